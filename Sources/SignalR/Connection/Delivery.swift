// SignalBox: one message on its way to many connections of an event loop
// SPDX-License-Identifier: Apache-2.0

import NIOCore
import SignalRWire

/// What a broadcast must know of a connection: enough to write to it without looking at the connection itself.
struct Lane {
    /// The socket, if bytes sent to it now come after all others; nil: ask the connection.
    var socket: NIOBSDSocket.Handle?
    var format = Format(codec: 0, packaging: .bare)
}

/// How often messages come for the same receivers.
///
/// A lone message is written in the pass that finds its receivers; a second pass at the end of the tick would have to fetch them all into
/// the cache again. Where the tick before had several, they wait for that second pass and leave joined.
struct DeliveryPace {
    private var tick: UInt64 = 0
    private var count = 0

    /// Whether a message that comes in this tick may leave at once.
    mutating func isLone(in tick: UInt64) -> Bool {
        if tick == self.tick {
            count += 1
            return false
        }
        let wasBusy = count > 1
        self.tick = tick
        count = 1
        return !wasBusy
    }
}

/// Queues or sends one message for many receivers.
///
/// With thousands of receivers the time goes into waiting for memory. Therefore receivers are visited a handful at a time: first all that
/// is to know about them, where the processor fetches several from memory at once, and then one system call after the other.
struct Delivery {
    private let message: Outgoing
    private let shard: ConnectionShard
    private let except: Exclusion
    /// Whether the message may leave without waiting for the end of the tick, where nothing is in front of it.
    private let atOnce: Bool
    /// Whether receivers are reached by their lanes alone, and therefore counted all at once.
    private let asksNobody: Bool
    /// What the formats seen so far get; usually one or two.
    private var formats: [(format: Format, batch: Batch?, bytes: ByteBuffer)] = []
    private var memo: (before: Batch, after: Batch)?
    /// Receivers whose socket did not take all, and what it took.
    private var incomplete: [Ready] = []

    init(_ message: Outgoing, in shard: ConnectionShard, except: Exclusion, atOnce: Bool) {
        self.message = message
        self.shard = shard
        self.except = except
        self.atOnce = atOnce
        self.asksNobody = atOnce && except.isEmpty
    }

    /// A receiver whose socket can be written now.
    private struct Ready {
        var socket: NIOBSDSocket.Handle
        var receiver: Int
        var format: Int
        var sent = 0
    }

    private static let handful = 64

    /// Writes to every socket; runs no code of the application and closes nothing, so that none of them can be gone.
    /// - Parameter places: where `receivers` stand in the shard; nil when they are all of its connections.
    mutating func deliver(to receivers: ContiguousArray<Connection>, at places: ContiguousArray<UInt32>?) {
        withUnsafeTemporaryAllocation(of: Ready.self, capacity: min(Self.handful, receivers.count)) { ready in
            for start in stride(from: 0, to: receivers.count, by: Self.handful) {
                let few = start..<min(start + Self.handful, receivers.count)
                send(ready.prefix(collect(receivers, few, places, into: ready)))
            }
        }
    }

    /// Counts for all receivers at once, where they were not counted one by one; before any of them can end.
    func count(in shared: inout SharedTraffic) {
        guard asksNobody else { return }
        for format in formats where format.batch != nil { shared.sent(format.bytes.readableBytes, in: format.format) }
    }

    /// Queues what sockets of `receivers` did not take, which may end some.
    func sendRests(to receivers: ContiguousArray<Connection>) {
        for one in incomplete {
            var rest = formats[one.format].bytes
            rest.moveReaderIndex(forwardBy: one.sent)
            receivers[one.receiver].sendRest(rest)
        }
    }

    /// Queues the message for those of `receivers` that must wait, and notes the others.
    private mutating func collect(
        _ receivers: ContiguousArray<Connection>, _ few: Range<Int>, _ places: ContiguousArray<UInt32>?,
        into ready: UnsafeMutableBufferPointer<Ready>
    ) -> Int {
        var count = 0
        for index in few {
            var lane = asksNobody ? shard.lanes[places.map { Int($0[index]) } ?? index] : Lane()
            if lane.socket == nil {
                let connection = receivers[index]
                guard connection.state == .open, !except.contains(connection) else { continue }
                lane = connection.lane
                if !atOnce || lane.socket == nil {
                    queue(for: connection)
                    continue
                }
            }
            let format = slot(of: lane.format)
            guard let socket = lane.socket, formats[format].batch != nil else { continue }
            if !asksNobody {
                receivers[index].ownTraffic.sent((1, formats[format].bytes.readableBytes))
            }
            ready.initializeElement(at: count, to: Ready(socket: socket, receiver: index, format: format))
            count += 1
        }
        return count
    }

    private mutating func queue(for connection: Connection) {
        if asksNobody {
            // It is about to be counted with all others.
            let format = formats[slot(of: connection.format)]
            if format.batch != nil {
                connection.ownTraffic.sent((-1, -format.bytes.readableBytes))
            }
        }
        if connection.isStateful || connection.isHolding {
            connection.send(message)
        } else if let batch = formats[slot(of: connection.format)].batch {
            connection.countSentMessage()
            connection.enqueue(batch, sharing: &memo)
        }
    }

    private mutating func slot(of format: Format) -> Int {
        if let known = formats.firstIndex(where: { $0.format == format }) { return known }
        let batch = shard.encoded(message, format)
        formats.append((format, batch, batch?.bytes() ?? ByteBuffer()))
        return formats.count - 1
    }

    private mutating func send(_ ready: Slice<UnsafeMutableBufferPointer<Ready>>) {
        for format in formats.indices {
            var count = 0
            formats[format].bytes.withUnsafeReadableBytes { bytes in
                for var one in ready where one.format == format {
                    count += 1
                    one.sent = SocketOutput.send(bytes, to: one.socket)
                    if one.sent < bytes.count { incomplete.append(one) }
                }
            }
            shard.traffic.sent((count, count &* formats[format].bytes.readableBytes))
        }
    }
}
