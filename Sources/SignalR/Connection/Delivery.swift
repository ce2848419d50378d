// SignalBox: one message on its way to many connections of an event loop
// SPDX-License-Identifier: Apache-2.0

import NIOCore
import SignalRWire

/// Queues or sends one message for many receivers.
///
/// With thousands of receivers the time goes into waiting for memory. Therefore receivers are visited a handful at a time: first all that
/// is to know about them, where the processor fetches several from memory at once, and then one system call after the other.
struct Delivery {
    private let message: Outgoing
    private let codecs: [any HubCodec]
    private let excluding: Set<ConnectionID>
    /// Whether the message may leave without waiting for the end of the tick, where nothing is in front of it.
    private let atOnce: Bool
    /// What the formats seen so far get; usually one or two.
    private var formats: [(format: Format, batch: Batch?, bytes: ByteBuffer)] = []
    private var memo: (before: Batch, after: Batch)?

    init(_ message: Outgoing, codecs: [any HubCodec], excluding: Set<ConnectionID>, atOnce: Bool) {
        self.message = message
        self.codecs = codecs
        self.excluding = excluding
        self.atOnce = atOnce
    }

    /// A receiver whose socket can be written now.
    private struct Ready {
        var socket: NIOBSDSocket.Handle
        var receiver: Int
        var format: Int
        var sent = 0
    }

    private static let handful = 64

    mutating func deliver(to receivers: ContiguousArray<Connection>) {
        receivers.withUnsafeBufferPointer { receivers in
            withUnsafeTemporaryAllocation(of: Ready.self, capacity: min(Self.handful, receivers.count)) { ready in
                for start in stride(from: 0, to: receivers.count, by: Self.handful) {
                    let few = start..<min(start + Self.handful, receivers.count)
                    let count = collect(receivers, few, into: ready)
                    send(ready.prefix(count), receivers)
                }
            }
        }
    }

    /// Queues the message for those of `receivers` that must wait, and notes the others. Runs no code of the application.
    private mutating func collect(
        _ receivers: UnsafeBufferPointer<Connection>, _ few: Range<Int>, into ready: UnsafeMutableBufferPointer<Ready>
    ) -> Int {
        var count = 0
        for index in few {
            let connection = receivers[index]
            guard connection.state == .open, excluding.isEmpty || !excluding.contains(connection.id) else { continue }
            guard !connection.isStateful else {
                connection.send(message)
                continue
            }
            let format = slot(of: connection.format)
            guard let batch = formats[format].batch else { continue }
            if atOnce, let socket = connection.idleSocket {
                ready.initializeElement(at: count, to: Ready(socket: socket, receiver: index, format: format))
                count += 1
            } else {
                connection.enqueue(batch, sharing: &memo)
            }
        }
        return count
    }

    private mutating func slot(of format: Format) -> Int {
        if let known = formats.firstIndex(where: { $0.format == format }) { return known }
        let batch = message.batch(for: format, codecs: codecs)
        formats.append((format, batch, batch?.bytes() ?? ByteBuffer()))
        return formats.count - 1
    }

    /// Between `collect` and the last of these system calls nothing happens that could close a socket.
    private func send(_ ready: Slice<UnsafeMutableBufferPointer<Ready>>, _ receivers: UnsafeBufferPointer<Connection>) {
        var isComplete = true
        for format in formats.indices {
            formats[format].bytes.withUnsafeReadableBytes { bytes in
                for place in ready.indices where ready[place].format == format {
                    let sent = SocketOutput.send(bytes, to: ready[place].socket)
                    ready.base[place].sent = sent
                    if sent < bytes.count { isComplete = false }
                }
            }
        }
        guard !isComplete else { return }
        for one in ready {
            var rest = formats[one.format].bytes
            rest.moveReaderIndex(forwardBy: one.sent)
            if rest.readableBytes > 0 { receivers[one.receiver].sendRest(rest) }
        }
    }
}
