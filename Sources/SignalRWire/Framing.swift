// SignalBox: where a message ends, in text (0x1E) and in binary (length prefix)
// SPDX-License-Identifier: Apache-2.0

package import NIOCore

/// Text messages end with the byte 0x1E, which JSON never contains (HubProtocol.md, "JSON Encoding").
enum RecordSeparator {
    static let byte: UInt8 = 0x1E

    /// Takes the bytes before the next separator, and the separator, off `buffer`; nil when there is none yet.
    ///
    /// The separator has to come within the first `maximumSize` bytes. That many bytes without one may still be the
    /// start of a longer read, so only one more makes the message too large.
    static func readFrame(from buffer: inout ByteBuffer, maximumSize: Int?) throws(HubProtocolError) -> ByteBuffer? {
        let window = min(buffer.readableBytes, max(maximumSize ?? .max, 0))
        let end = buffer.withUnsafeReadableBytes {
            UnsafeRawBufferPointer(rebasing: $0[..<window]).offset(of: Self.byte)
        }
        guard let end, let frame = buffer.readSlice(length: end) else {
            if let maximumSize, buffer.readableBytes > window { throw .tooLarge(maximumSize) }
            return nil
        }
        buffer.moveReaderIndex(forwardBy: 1)
        return frame
    }
}

/// Binary messages start with their length (HubProtocol.md, "MessagePack (MsgPack) encoding").
enum LengthPrefix {
    /// Takes one message without its prefix off `buffer`; nil when it is not there yet.
    static func readFrame(from buffer: inout ByteBuffer, maximumSize: Int?) throws(HubProtocolError) -> ByteBuffer? {
        let prefix = try buffer.withUnsafeReadableBytes { bytes throws(HubProtocolError) in try VarInt.read(bytes) }
        guard let prefix else { return nil }
        if let maximumSize, prefix.value > maximumSize - prefix.length { throw .tooLarge(maximumSize) }
        guard buffer.readableBytes - prefix.length >= prefix.value else { return nil }
        buffer.moveReaderIndex(forwardBy: prefix.length)
        return buffer.readSlice(length: prefix.value)
    }

    /// Runs `body` and puts the length of what it wrote before it.
    static func writeFrame(
        into buffer: inout ByteBuffer,
        _ body: (inout ByteBuffer) throws(HubProtocolError) -> Void
    ) throws(HubProtocolError) {
        // Two bytes are right for most messages (128 B to 16 KiB); the others are moved.
        let start = buffer.writerIndex
        let reserved = 2
        buffer.writeRepeatingByte(0, count: reserved)
        try body(&buffer)
        let length = buffer.writerIndex - start - reserved
        guard length <= VarInt.maximum else { throw VarInt.tooLarge }
        let shift = VarInt.length(of: length) - reserved
        if shift != 0 { buffer.moveTail(from: start + reserved, by: shift) }
        VarInt.set(length, at: start, in: &buffer)
    }
}

/// An unsigned number in groups of seven bits, the least significant group first.
enum VarInt {
    static let maximum = Int(Int32.max)
    static let tooLarge = HubProtocolError("Messages over 2GB in size are not supported.")

    /// The number at the front of `bytes` and how many bytes it takes; nil when it is not complete.
    static func read(_ bytes: UnsafeRawBufferPointer) throws(HubProtocolError) -> (value: Int, length: Int)? {
        var value = 0
        for index in 0..<min(bytes.count, 5) {
            let byte = bytes[index]
            value |= Int(byte & 0x7F) << (7 * index)
            if index == 4, byte > 7 { throw self.tooLarge }
            if byte < 0x80 { return (value, index + 1) }
        }
        return nil
    }

    /// How many bytes a number from 0 to `maximum` takes.
    static func length(of number: Int) -> Int {
        max(1, (Int.bitWidth - number.leadingZeroBitCount + 6) / 7)
    }

    /// Overwrites bytes of `buffer` with a number from 0 to `maximum`.
    static func set(_ number: Int, at index: Int, in buffer: inout ByteBuffer) {
        var rest = number
        var index = index
        while rest > 0x7F {
            buffer.setInteger(UInt8(truncatingIfNeeded: rest) | 0x80, at: index)
            rest >>= 7
            index += 1
        }
        buffer.setInteger(UInt8(truncatingIfNeeded: rest), at: index)
    }
}

extension TransferFormat {
    /// How many bytes at the front of `bytes` make whole messages, whatever is in them.
    ///
    /// - Throws: `HubProtocolError` for a length that is none.
    package func wholeMessages(in bytes: ByteBuffer) throws(HubProtocolError) -> Int {
        try bytes.withUnsafeReadableBytes { bytes throws(HubProtocolError) in
            switch self {
            case .text: return (bytes.lastIndex(of: RecordSeparator.byte) ?? -1) + 1
            case .binary:
                var end = 0
                while let prefix = try VarInt.read(UnsafeRawBufferPointer(rebasing: bytes[end...])),
                    bytes.count - end - prefix.length >= prefix.value
                {
                    end += prefix.length + prefix.value
                }
                return end
            }
        }
    }
}

extension ByteBuffer {
    /// Moves the bytes from `index` to the writer index, and the writer index, by a few bytes either way.
    fileprivate mutating func moveTail(from index: Int, by shift: Int) {
        let length = self.writerIndex - index
        if shift > 0 {
            self.writeRepeatingByte(0, count: shift)
        } else {
            self.moveWriterIndex(to: self.writerIndex + shift)
        }
        self.withVeryUnsafeMutableBytes { storage in
            guard let base = storage.baseAddress else { return }
            // Overlapping is fine: this is memmove.
            (base + index + shift).copyMemory(from: base + index, byteCount: length)
        }
    }
}
