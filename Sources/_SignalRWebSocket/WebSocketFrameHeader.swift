// SignalBox: the header of an arriving frame, RFC 6455 §5.2
// SPDX-License-Identifier: Apache-2.0

/// A header that is right by itself; whether it may come now is for the reader to say.
struct WebSocketFrameHeader {
    var opcode: WebSocketOpcode
    var isFinal: Bool
    /// RSV1 (RFC 7692 §6).
    var isCompressed: Bool
    var payloadLength = 0
    /// The masking key; 0, which changes nothing, for an unmasked frame.
    var mask: UInt32 = 0
    /// How many bytes the header takes.
    var size = 2

    /// The header at the start of `bytes`; nil until all of it has come. Each part is judged as soon as it is there.
    static func peek(
        _ bytes: UnsafeRawBufferPointer, masked: Bool, allowsCompression: Bool, maximumPayload: Int
    ) throws(WebSocketError) -> WebSocketFrameHeader? {
        guard let start = bytes.integer(at: 0, as: UInt16.self) else { return nil }
        var header = try Self(start, masked: masked, allowsCompression: allowsCompression)
        guard let length = try header.readLength(bytes, marker: start & 0x7F) else { return nil }
        guard length <= UInt64(maximumPayload) else {
            throw .tooBig("The frame is larger than the limit of \(maximumPayload) bytes.")
        }
        header.payloadLength = Int(length)
        guard masked else { return header }
        guard let mask = bytes.integer(at: header.size, as: UInt32.self) else { return nil }
        header.mask = mask
        header.size += 4
        return header
    }

    private init(_ start: UInt16, masked: Bool, allowsCompression: Bool) throws(WebSocketError) {
        guard let opcode = WebSocketOpcode(rawValue: UInt8(start >> 8 & 0x0F)) else {
            throw .protocolError("The frame has an unknown opcode.")
        }
        self.opcode = opcode
        self.isFinal = start & 0x8000 != 0
        self.isCompressed = start & 0x4000 != 0
        let mayBeCompressed = allowsCompression && (opcode == .text || opcode == .binary)
        guard start & 0x3000 == 0, !isCompressed || mayBeCompressed else {
            throw .protocolError("The frame has a reserved bit set.")
        }
        guard masked == (start & 0x80 != 0) else {
            throw .protocolError(masked ? "A client's frame is not masked." : "A server's frame is masked.")
        }
        guard opcode.isControl else { return }
        guard isFinal else { throw .protocolError("A control frame is fragmented.") }
        guard start & 0x7F <= WebSocketFrame.maximumControlPayload else {
            throw .protocolError("A control frame is longer than 125 bytes.")
        }
    }

    /// The payload length, which must be in its shortest form; moves `size` behind it.
    private mutating func readLength(
        _ bytes: UnsafeRawBufferPointer, marker: UInt16
    ) throws(WebSocketError) -> UInt64? {
        let length: UInt64
        switch marker {
        case 126:
            guard let short = bytes.integer(at: size, as: UInt16.self) else { return nil }
            length = UInt64(short)
            size += 2
            guard length > 125 else { throw .protocolError("The frame's length is not in its shortest form.") }
        case 127:
            guard let long = bytes.integer(at: size, as: UInt64.self) else { return nil }
            length = long
            size += 8
            guard length > 0xFFFF else { throw .protocolError("The frame's length is not in its shortest form.") }
            guard length >> 63 == 0 else { throw .protocolError("The frame's length is negative.") }
        default:
            length = UInt64(marker)
        }
        return length
    }
}

extension UnsafeRawBufferPointer {
    /// A number in network byte order; nil if it is not all there.
    fileprivate func integer<Number: FixedWidthInteger & BitwiseCopyable>(at offset: Int, as: Number.Type) -> Number? {
        guard count >= offset + MemoryLayout<Number>.size else { return nil }
        return Number(bigEndian: loadUnaligned(fromByteOffset: offset, as: Number.self))
    }
}
