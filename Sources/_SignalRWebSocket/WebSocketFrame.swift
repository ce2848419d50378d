// SignalBox: frames on their way out, RFC 6455 §5.2
// SPDX-License-Identifier: Apache-2.0

package import NIOCore

/// What a frame is for (RFC 6455 §5.2).
package enum WebSocketOpcode: UInt8, Sendable {
    case continuation = 0x0
    case text = 0x1
    case binary = 0x2
    case close = 0x8
    case ping = 0x9
    case pong = 0xA

    var isControl: Bool { rawValue & 0x8 != 0 }
}

/// Writes frames. A server's frames are not masked, so that one frame serves any number of receivers; a client passes a
/// fresh random `mask` for every frame (RFC 6455 §5.3).
package enum WebSocketFrame {
    /// A ping without payload, as an unmasked frame.
    package static let emptyPing = ByteBuffer(bytes: [0x89, 0x00])

    /// The largest payload of a control frame, in bytes (RFC 6455 §5.5).
    package static let maximumControlPayload = 125

    /// Writes the header of a frame whose payload of `payloadLength` bytes follows, already masked if `mask` is given.
    /// - Parameters:
    ///   - final: whether this frame ends its message; true by default.
    ///   - compressed: sets RSV1, for the first frame of a message that permessage-deflate compressed (RFC 7692 §6).
    package static func header(
        opcode: WebSocketOpcode, payloadLength: Int, final: Bool = true, compressed: Bool = false, mask: UInt32? = nil,
        into buffer: inout ByteBuffer
    ) {
        let masked: UInt8 = mask == nil ? 0 : 0x80
        buffer.writeInteger((final ? 0x80 : 0) | (compressed ? 0x40 : 0) | opcode.rawValue)
        switch payloadLength {
        case ...125:
            buffer.writeInteger(masked | UInt8(truncatingIfNeeded: payloadLength))
        case ...0xFFFF:
            buffer.writeInteger(masked | 126)
            buffer.writeInteger(UInt16(truncatingIfNeeded: payloadLength))
        default:
            buffer.writeInteger(masked | 127)
            buffer.writeInteger(UInt64(payloadLength))
        }
        if let mask { buffer.writeInteger(mask) }
    }

    /// Writes a whole frame.
    package static func write(
        opcode: WebSocketOpcode, payload: ByteBuffer, final: Bool = true, mask: UInt32? = nil, compressed: Bool = false,
        into buffer: inout ByteBuffer
    ) {
        buffer.reserveCapacity(minimumWritableBytes: payload.readableBytes + 14)
        header(
            opcode: opcode, payloadLength: payload.readableBytes, final: final, compressed: compressed, mask: mask,
            into: &buffer)
        guard var mask = mask.map(WebSocketMask.init) else {
            buffer.writeImmutableBuffer(payload)
            return
        }
        var payload = payload
        payload.withUnsafeMutableReadableBytes { mask.apply(to: $0) }
        buffer.writeBuffer(&payload)
    }

    /// A close frame. A nil `code` makes an empty one, the answer to an empty one (RFC 6455 §5.5.1).
    /// - Parameter reason: text for the peer's log, cut at a character boundary to the 123 bytes that fit.
    package static func close(code: WebSocketCloseCode?, reason: String = "", mask: UInt32? = nil) -> ByteBuffer {
        var payload = ByteBuffer()
        if let code {
            payload.writeInteger(code.rawValue)
            payload.writeSubstring(cut(reason, toBytes: maximumControlPayload - 2))
        }
        var frame = ByteBuffer()
        write(opcode: .close, payload: payload, mask: mask, into: &frame)
        return frame
    }

    private static func cut(_ text: String, toBytes limit: Int) -> Substring {
        guard text.utf8.count > limit else { return text[...] }
        var end = text.startIndex
        while case let next = text.index(after: end), text.utf8.distance(from: text.startIndex, to: next) <= limit {
            end = next
        }
        return text[..<end]
    }
}
