// SignalBox: values to MessagePack bytes
// SPDX-License-Identifier: Apache-2.0

public import NIOCore

extension MessagePack {
    /// Appends `value` in its shortest form.
    ///
    /// - Throws: `HubProtocolError` for more than 64 levels, a timestamp with a billion nanoseconds or more, and
    ///   content of 4 GiB or more. `buffer` is then as before.
    public static func write(_ value: HubValue, into buffer: inout ByteBuffer) throws(HubProtocolError) {
        try buffer.writeOrRestore { buffer throws(HubProtocolError) in
            try self.write(value, levelsLeft: MessagePackReader.maximumDepth, into: &buffer)
        }
    }

    static func write(string: String, into buffer: inout ByteBuffer) throws(HubProtocolError) {
        let length = string.utf8.count
        if length < 32 {
            buffer.writeInteger(0xA0 | UInt8(length))
        } else {
            try self.write(length: length, formats: (0xD9, 0xDA, 0xDB), into: &buffer)
        }
        buffer.writeString(string)
    }

    static func write(binary bytes: ByteBuffer, into buffer: inout ByteBuffer) throws(HubProtocolError) {
        try self.write(length: bytes.readableBytes, formats: (0xC4, 0xC5, 0xC6), into: &buffer)
        buffer.writeImmutableBuffer(bytes)
    }

    static func write(integer number: Int64, into buffer: inout ByteBuffer) {
        if number >= 0 { return self.write(unsigned: UInt64(number), into: &buffer) }
        if number >= -32 {
            buffer.writeInteger(Int8(number))
        } else if let number = Int8(exactly: number) {
            buffer.writeMultipleIntegers(0xD0 as UInt8, number)
        } else if let number = Int16(exactly: number) {
            buffer.writeMultipleIntegers(0xD1 as UInt8, number)
        } else if let number = Int32(exactly: number) {
            buffer.writeMultipleIntegers(0xD2 as UInt8, number)
        } else {
            buffer.writeMultipleIntegers(0xD3 as UInt8, number)
        }
    }

    static func writeArrayHead(count: Int, into buffer: inout ByteBuffer) throws(HubProtocolError) {
        if count < 16 {
            buffer.writeInteger(0x90 | UInt8(count))
        } else {
            try self.write(length: count, formats: (nil, 0xDC, 0xDD), into: &buffer)
        }
    }

    static func writeMapHead(count: Int, into buffer: inout ByteBuffer) throws(HubProtocolError) {
        if count < 16 {
            buffer.writeInteger(0x80 | UInt8(count))
        } else {
            try self.write(length: count, formats: (nil, 0xDE, 0xDF), into: &buffer)
        }
    }

    private static func write(
        _ value: HubValue,
        levelsLeft: Int,
        into buffer: inout ByteBuffer
    ) throws(HubProtocolError) {
        switch value {
        case .null: buffer.writeInteger(Format.nil)
        case .bool(let flag): buffer.writeInteger(flag ? 0xC3 : 0xC2 as UInt8)
        case .int(let number): self.write(integer: number, into: &buffer)
        case .uint(let number): self.write(unsigned: number, into: &buffer)
        case .float(let number): buffer.writeMultipleIntegers(0xCA as UInt8, number.bitPattern)
        case .double(let number): buffer.writeMultipleIntegers(0xCB as UInt8, number.bitPattern)
        case .string(let text): try self.write(string: text, into: &buffer)
        case .binary(let bytes):
            try self.write(length: bytes.count, formats: (0xC4, 0xC5, 0xC6), into: &buffer)
            buffer.writeBytes(bytes)
        case .array(let items):
            guard levelsLeft > 0 else { throw .tooDeep }
            try self.writeArrayHead(count: items.count, into: &buffer)
            for item in items { try self.write(item, levelsLeft: levelsLeft - 1, into: &buffer) }
        case .map(let members):
            guard levelsLeft > 0 else { throw .tooDeep }
            try self.writeMapHead(count: members.count, into: &buffer)
            for member in members {
                try self.write(string: member.key, into: &buffer)
                try self.write(member.value, levelsLeft: levelsLeft - 1, into: &buffer)
            }
        case .timestamp(let seconds, let nanoseconds):
            try self.writeTimestamp(seconds: seconds, nanoseconds: nanoseconds, into: &buffer)
        case .ext(let type, let data):
            try self.writeExtensionHead(type: type, length: data.count, into: &buffer)
            buffer.writeBytes(data)
        }
    }

    static func write(unsigned number: UInt64, into buffer: inout ByteBuffer) {
        if number < 0x80 {
            buffer.writeInteger(UInt8(number))
        } else if let number = UInt8(exactly: number) {
            buffer.writeMultipleIntegers(0xCC as UInt8, number)
        } else if let number = UInt16(exactly: number) {
            buffer.writeMultipleIntegers(0xCD as UInt8, number)
        } else if let number = UInt32(exactly: number) {
            buffer.writeMultipleIntegers(0xCE as UInt8, number)
        } else {
            buffer.writeMultipleIntegers(0xCF as UInt8, number)
        }
    }

    /// A format byte and a length in the narrowest of the widths 1, 2 and 4 that exist for the format.
    private static func write(
        length: Int,
        formats: (UInt8?, UInt8, UInt8),
        into buffer: inout ByteBuffer
    ) throws(HubProtocolError) {
        if let format = formats.0, let length = UInt8(exactly: length) {
            buffer.writeMultipleIntegers(format, length)
        } else if let length = UInt16(exactly: length) {
            buffer.writeMultipleIntegers(formats.1, length)
        } else if let length = UInt32(exactly: length) {
            buffer.writeMultipleIntegers(formats.2, length)
        } else {
            throw HubProtocolError("MessagePack cannot express content of 4 GiB or more.")
        }
    }

    private static func writeExtensionHead(
        type: Int8,
        length: Int,
        into buffer: inout ByteBuffer
    ) throws(HubProtocolError) {
        switch length {
        case 1: buffer.writeInteger(0xD4 as UInt8)
        case 2: buffer.writeInteger(0xD5 as UInt8)
        case 4: buffer.writeInteger(0xD6 as UInt8)
        case 8: buffer.writeInteger(0xD7 as UInt8)
        case 16: buffer.writeInteger(0xD8 as UInt8)
        default: try self.write(length: length, formats: (0xC7, 0xC8, 0xC9), into: &buffer)
        }
        buffer.writeInteger(type)
    }

    private static func writeTimestamp(
        seconds: Int64,
        nanoseconds: UInt32,
        into buffer: inout ByteBuffer
    ) throws(HubProtocolError) {
        guard nanoseconds < Timestamp.nanosecondsPerSecond else { throw .badTimestamp }
        if nanoseconds == 0, let seconds = UInt32(exactly: seconds) {
            try self.writeExtensionHead(type: Format.timestamp, length: 4, into: &buffer)
            buffer.writeInteger(seconds)
        } else if seconds >= 0, seconds >> 34 == 0 {
            try self.writeExtensionHead(type: Format.timestamp, length: 8, into: &buffer)
            buffer.writeInteger(UInt64(nanoseconds) << 34 | UInt64(seconds))
        } else {
            try self.writeExtensionHead(type: Format.timestamp, length: 12, into: &buffer)
            buffer.writeMultipleIntegers(nanoseconds, seconds)
        }
    }
}
