// SignalBox: values to JSON text
// SPDX-License-Identifier: Apache-2.0

public import NIOCore

extension JSON {
    /// Appends `value` without white space, as .NET writes it.
    ///
    /// - Throws: `HubProtocolError` for what JSON cannot express: infinities, not-a-number, MessagePack extensions,
    ///   timestamps outside the years 1 to 9999, and more than 64 levels. `buffer` is then as before.
    public static func write(_ value: HubValue, into buffer: inout ByteBuffer) throws(HubProtocolError) {
        try buffer.writeOrRestore { buffer throws(HubProtocolError) in
            try self.write(value, levelsLeft: JSONScanner.maximumDepth, into: &buffer)
        }
    }

    /// Appends a string with its quotes. Only quotes, backslashes and control characters are escaped.
    public static func write(string: String, into buffer: inout ByteBuffer) {
        var string = string
        string.withUTF8 { utf8 in
            let text = UnsafeRawBufferPointer(utf8)
            if text.endOfPlainText(from: 0, stopsAtNonASCII: false) == text.count {
                self.write(plain: text, into: &buffer)
            } else {
                self.write(escaping: text, into: &buffer)
            }
        }
    }

    /// Most strings need no escapes. Each separate write to a buffer costs as much as copying a kilobyte.
    private static func write(plain text: UnsafeRawBufferPointer, into buffer: inout ByteBuffer) {
        buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: text.count + 2) { target in
            target[0] = UInt8(ascii: "\"")
            UnsafeMutableRawBufferPointer(rebasing: target[1...]).copyMemory(from: text)
            target[text.count + 1] = UInt8(ascii: "\"")
            return text.count + 2
        }
    }

    private static func write(escaping text: UnsafeRawBufferPointer, into buffer: inout ByteBuffer) {
        buffer.writeInteger(UInt8(ascii: "\""))
        var position = 0
        while position < text.count {
            let run = text.endOfPlainText(from: position, stopsAtNonASCII: false)
            buffer.writeBytes(UnsafeRawBufferPointer(rebasing: text[position..<run]))
            if run < text.count { self.writeEscape(of: text[run], into: &buffer) }
            position = run + 1
        }
        buffer.writeInteger(UInt8(ascii: "\""))
    }

    private static func write(
        _ value: HubValue,
        levelsLeft: Int,
        into buffer: inout ByteBuffer
    ) throws(HubProtocolError) {
        switch value {
        case .null: buffer.writeStaticString("null")
        case .bool(let flag): buffer.writeStaticString(flag ? "true" : "false")
        case .int(let number): buffer.writeString(String(number))
        case .uint(let number): buffer.writeString(String(number))
        case .float(let number): try self.write(shortest: number.description, isFinite: number.isFinite, into: &buffer)
        case .double(let number): try self.write(shortest: number.description, isFinite: number.isFinite, into: &buffer)
        case .string(let text): self.write(string: text, into: &buffer)
        case .binary(let bytes):
            buffer.writeStaticString("\"")
            Base64.encode(bytes, into: &buffer)
            buffer.writeStaticString("\"")
        case .array(let items): try self.write(items, levelsLeft: levelsLeft, into: &buffer)
        case .map(let members): try self.write(members, levelsLeft: levelsLeft, into: &buffer)
        case .timestamp(let seconds, let nanoseconds):
            buffer.writeStaticString("\"")
            try Timestamp.write(seconds: seconds, nanoseconds: nanoseconds, into: &buffer)
            buffer.writeStaticString("\"")
        case .ext: throw HubProtocolError("JSON cannot express a MessagePack extension.")
        }
    }

    private static func write(
        _ items: [HubValue],
        levelsLeft: Int,
        into buffer: inout ByteBuffer
    ) throws(HubProtocolError) {
        guard levelsLeft > 0 else { throw .tooDeep }
        var separator: StaticString = "["
        for item in items {
            buffer.writeStaticString(separator)
            try self.write(item, levelsLeft: levelsLeft - 1, into: &buffer)
            separator = ","
        }
        buffer.writeStaticString(items.isEmpty ? "[]" : "]")
    }

    private static func write(
        _ members: [HubValue.Member],
        levelsLeft: Int,
        into buffer: inout ByteBuffer
    ) throws(HubProtocolError) {
        guard levelsLeft > 0 else { throw .tooDeep }
        var separator: StaticString = "{"
        for member in members {
            buffer.writeStaticString(separator)
            self.write(string: member.key, into: &buffer)
            buffer.writeStaticString(":")
            try self.write(member.value, levelsLeft: levelsLeft - 1, into: &buffer)
            separator = ","
        }
        buffer.writeStaticString(members.isEmpty ? "{}" : "}")
    }

    /// Swift's shortest text that reads back as the same number is also JSON, except that .NET has no `.0` at its end.
    private static func write(
        shortest text: String,
        isFinite: Bool,
        into buffer: inout ByteBuffer
    ) throws(HubProtocolError) {
        guard isFinite else { throw HubProtocolError("JSON cannot express infinity or NaN.") }
        buffer.writeString(text)
        if text.hasSuffix(".0") { buffer.moveWriterIndex(to: buffer.writerIndex - 2) }
    }

    private static func writeEscape(of byte: UInt8, into buffer: inout ByteBuffer) {
        switch byte {
        case UInt8(ascii: "\""): buffer.writeStaticString("\\\"")
        case UInt8(ascii: "\\"): buffer.writeStaticString("\\\\")
        case 0x08: buffer.writeStaticString("\\b")
        case 0x09: buffer.writeStaticString("\\t")
        case 0x0A: buffer.writeStaticString("\\n")
        case 0x0C: buffer.writeStaticString("\\f")
        case 0x0D: buffer.writeStaticString("\\r")
        default:
            buffer.writeStaticString(byte < 0x10 ? "\\u000" : "\\u00")
            buffer.writeString(String(byte, radix: 16))
        }
    }
}

extension HubProtocolError {
    static let tooDeep = HubProtocolError("The value is nested deeper than \(JSONScanner.maximumDepth) levels.")
}
