// SignalBox: a message on its way to any number of receivers, encoded once for each format among them
// SPDX-License-Identifier: Apache-2.0

import NIOConcurrencyHelpers
package import NIOCore
package import SignalRWire
import _SignalRWebSocket

/// How the bytes of a hub message are wrapped for a transport.
package enum Packaging: UInt8, Sendable, CaseIterable {
    /// A WebSocket frame; server frames are not masked, so all receivers share one.
    case webSocketText, webSocketBinary
    /// The same, compressed without context takeover, so that all receivers share it too (RFC 7692 §7.1.1.1).
    case deflatedText, deflatedBinary
    /// One Server-Sent Event in one HTTP chunk.
    case serverSentEvent
    /// One script element of an endless page in one HTTP chunk.
    case foreverFrame
    /// The bytes as they are, for long polling.
    case bare
}

/// Which encoding a connection receives: one of the server's codecs, wrapped for its transport.
package struct Format: Hashable, Sendable {
    /// Index into the registry's codecs.
    package var codec: UInt8
    package var packaging: Packaging

    package init(codec: UInt8, packaging: Packaging) {
        self.codec = codec
        self.packaging = packaging
    }

    var slot: Int { Int(codec) * Packaging.allCases.count + Int(packaging.rawValue) }
}

/// A message for any number of receivers. It is encoded at most once per format, by the first receiver that needs it,
/// and every receiver writes the same buffer.
package final class Outgoing: Sendable {
    package enum Content: Sendable {
        case message(HubMessage)
        /// Framed hub messages by protocol name, as other nodes and app servers send them; a missing protocol receives nothing.
        case encoded([String: ByteBuffer])
        /// Bytes of an application's own format.
        case raw(ByteBuffer, TransferFormat)
        /// A message with its number, for the receivers of one event loop; those that need none get the message itself.
        case numbered(any NumberedMessage)
    }

    private enum Slot: Sendable {
        case empty, failed
        case ready(Batch)
    }

    package let content: Content
    /// Counted and kept for stateful clients (message types 1 to 5).
    let isNumbered: Bool
    private let slots = NIOLockedValueBox<[Slot]>([])

    /// The call that sends this to its own caller, for codecs that carry more than the message.
    package let call: (any AnyObject & Sendable)?

    /// The place in the backplane's stream; nil for messages of this node alone.
    package let position: UInt64?

    package init(_ content: Content, from call: (any AnyObject & Sendable)? = nil, position: UInt64? = nil) {
        self.content = content
        self.call = call
        self.position = position
        self.isNumbered =
            switch content {
            case .message(let message): message.isNumbered
            case .numbered(let message): message.original.isNumbered
            case .encoded, .raw: true
            }
    }

    package convenience init(_ message: HubMessage) { self.init(.message(message)) }

    /// The bytes for `format`; nil when the message has none in it.
    package func batch(for format: Format, codecs: [any HubCodec]) -> Batch? {
        slots.withLockedValue { slots in
            while slots.count <= format.slot { slots.append(.empty) }
            switch slots[format.slot] {
            case .ready(let batch): return batch
            case .failed: return nil
            case .empty:
                guard let bytes = encode(format, codecs) else {
                    slots[format.slot] = .failed
                    return nil
                }
                let batch = Batch(bytes)
                slots[format.slot] = .ready(batch)
                return batch
            }
        }
    }

    /// Whether the sender left this protocol out.
    func lacks(_ codec: any HubCodec) -> Bool {
        if case .encoded(let byProtocol) = content { byProtocol[codec.name] == nil } else { false }
    }

    private func encode(_ format: Format, _ codecs: [any HubCodec]) -> ByteBuffer? {
        let codec = codecs[Int(format.codec)]
        switch content {
        case .message(let message): return format.packaging.encode(message, with: codec)
        case .encoded(let byProtocol):
            let frame = byProtocol[codec.name] ?? (codec as? ClassicHubCodec)?.translate(byProtocol)
            return frame.flatMap { format.packaging.wrap($0) }
        case .raw(let bytes, let transferFormat):
            return format.packaging.carrying(transferFormat).wrap(bytes)
        case .numbered(let message): return message.encode(format, codecs)
        }
    }
}

extension Packaging {
    /// The longest header of an unmasked frame.
    private static let frameHeader = 10

    /// Encodes a message; for WebSockets right behind room for the frame header, so that it is written once.
    func encode(_ message: HubMessage, with codec: any HubCodec) -> ByteBuffer? {
        let opcode: WebSocketOpcode
        switch self {
        case .webSocketText: opcode = .text
        case .webSocketBinary: opcode = .binary
        default:
            var bytes = ByteBuffer()
            guard (try? codec.write(message, into: &bytes)) != nil else { return nil }
            return wrap(bytes)
        }
        var bytes = ByteBufferAllocator().buffer(capacity: 240)
        bytes.writeRepeatingByte(0, count: Self.frameHeader)
        bytes.moveReaderIndex(to: Self.frameHeader)
        guard (try? codec.write(message, into: &bytes)) != nil else { return nil }
        let (end, length) = (bytes.writerIndex, bytes.readableBytes)
        bytes.moveReaderIndex(to: Self.frameHeader - (length < 126 ? 2 : length <= 0xFFFF ? 4 : 10))
        bytes.moveWriterIndex(to: bytes.readerIndex)
        WebSocketFrame.header(opcode: opcode, payloadLength: length, into: &bytes)
        bytes.moveWriterIndex(to: end)
        return bytes
    }

    package func wrap(_ payload: ByteBuffer) -> ByteBuffer? {
        var out = ByteBuffer()
        switch self {
        case .webSocketText: WebSocketFrame.write(opcode: .text, payload: payload, into: &out)
        case .webSocketBinary: WebSocketFrame.write(opcode: .binary, payload: payload, into: &out)
        case .deflatedText, .deflatedBinary:
            guard let deflated = try? PerMessageDeflate.compress(payload) else { return nil }
            WebSocketFrame.write(
                opcode: self == .deflatedText ? .text : .binary, payload: deflated, compressed: true, into: &out)
        case .serverSentEvent:
            var event = ByteBuffer()
            ServerSentEvent.write(payload, into: &event)
            Self.write(chunk: &event, into: &out)
        case .foreverFrame:
            var script = ByteBuffer()
            ForeverFrame.write(payload, into: &script)
            Self.write(chunk: &script, into: &out)
        case .bare: return payload
        }
        return out
    }

    private static func write(chunk: inout ByteBuffer, into out: inout ByteBuffer) {
        out.writeString(String(chunk.readableBytes, radix: 16))
        out.writeStaticString("\r\n")
        out.writeBuffer(&chunk)
        out.writeStaticString("\r\n")
    }

    /// The packaging of the same transport for text or binary payloads.
    package func carrying(_ format: TransferFormat) -> Packaging {
        switch self {
        case .webSocketText, .webSocketBinary: format == .text ? .webSocketText : .webSocketBinary
        case .deflatedText, .deflatedBinary: format == .text ? .deflatedText : .deflatedBinary
        case .serverSentEvent, .foreverFrame, .bare: self
        }
    }
}

/// A sequence of encoded messages that waits for a socket, shared by every connection that waits for exactly these.
///
/// Appending makes a new batch that points to the one before it. While one message is delivered to many connections with the same
/// batch pending, they all get the same longer batch, so that a receiver costs a pointer, and the bytes are joined once for all of them.
///
/// Safety: all stored properties but `joined` are constants. `joined` is written only for batches of more than one message, and those
/// are made on an event loop and never leave it.
package final class Batch: @unchecked Sendable {
    /// Longer chains are collapsed into one piece: releasing a chain recurses once per link.
    private static let longestChain = 128

    private let last: ByteBuffer
    private let previous: Batch?
    private let length: Int
    package let byteCount: Int
    private var joined: ByteBuffer?

    package init(_ bytes: ByteBuffer) {
        self.last = bytes
        self.previous = nil
        self.length = 1
        self.byteCount = bytes.readableBytes
    }

    /// `next` must be the batch of a single message.
    init(_ previous: Batch, then next: Batch) {
        let previous = previous.length < Self.longestChain ? previous : Batch(previous.bytes())
        self.previous = previous
        self.last = next.last
        self.length = previous.length + 1
        self.byteCount = previous.byteCount + next.byteCount
    }

    /// All bytes in order, ready for one write.
    package func bytes() -> ByteBuffer {
        guard previous != nil else { return last }
        if let joined { return joined }
        var parts: [ByteBuffer] = []
        parts.reserveCapacity(length)
        var batch: Batch? = self
        while let current = batch {
            parts.append(current.last)
            batch = current.previous
        }
        var all = ByteBufferAllocator().buffer(capacity: byteCount)
        for part in parts.reversed() { all.writeImmutableBuffer(part) }
        joined = all
        return all
    }
}
