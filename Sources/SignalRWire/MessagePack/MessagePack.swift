// SignalBox: MessagePack bytes to values
// SPDX-License-Identifier: Apache-2.0

public import NIOCore

/// MessagePack (the specification of msgpack.org, with the timestamp extension), read as bytes from a stranger.
public enum MessagePack {
    enum Format {
        static let `nil`: UInt8 = 0xC0
        static let timestamp: Int8 = -1
    }

    /// Reads the one value that `bytes` consist of. Every width of a number or length is accepted.
    ///
    /// - Parameter maximumDepth: How many arrays and maps may be inside each other; at most 64 count.
    /// - Throws: `HubProtocolError` when it is not MessagePack, is nested too deeply, or has text that is not UTF-8 or
    ///   a map key that is neither text nor an integer.
    public static func value(from bytes: ByteBuffer, maximumDepth: Int = 64) throws(HubProtocolError) -> HubValue {
        try bytes.withUnsafeReadableBytes { bytes throws(HubProtocolError) in
            var reader = MessagePackReader(bytes)
            // The cap keeps the recursion within any thread's stack.
            let value = try reader.decode(levelsLeft: min(maximumDepth, MessagePackReader.maximumDepth))
            guard reader.isAtEnd else { throw .messagePack }
            return value
        }
    }

    /// What `read` makes of all the bytes; nil when it fails or leaves something over.
    static func read<Value>(_ bytes: ByteBuffer, _ read: (inout MessagePackReader) -> Value?) -> Value? {
        bytes.withUnsafeReadableBytes { bytes in
            var reader = MessagePackReader(bytes)
            guard let value = read(&reader), reader.isAtEnd else { return nil }
            return value
        }
    }

    /// Takes one value off the front of `bytes`.
    static func readItem(from bytes: inout ByteBuffer) throws(HubProtocolError) -> ByteBuffer {
        let length = bytes.withUnsafeReadableBytes { bytes -> Int? in
            var reader = MessagePackReader(bytes)
            return reader.skip() ? reader.position : nil
        }
        guard let length, let item = bytes.readSlice(length: length) else { throw .messagePack }
        return item
    }
}

extension MessagePackReader {
    mutating func decode(levelsLeft: Int) throws(HubProtocolError) -> HubValue {
        switch self.head() {
        case nil: throw .messagePack
        case .null: return .null
        case .bool(let flag): return .bool(flag)
        case .int(let number): return .int(number)
        case .uint(let number): return .uint(number)
        case .float(let number): return .float(number)
        case .double(let number): return .double(number)
        case .string(let length): return .string(try self.text(length))
        case .binary(let length): return .binary(Array(self.content(length)))
        case .array(let count): return .array(try self.items(count, levelsLeft: levelsLeft))
        case .map(let count): return .map(try self.members(count, levelsLeft: levelsLeft))
        case .ext(MessagePack.Format.timestamp, let length): return try self.timestamp(length)
        case .ext(let type, let length): return .ext(type: type, data: Array(self.content(length)))
        }
    }

    private mutating func items(_ count: Int, levelsLeft: Int) throws(HubProtocolError) -> [HubValue] {
        guard levelsLeft > 0 else { throw .tooDeep }
        var items: [HubValue] = []
        items.reserveCapacity(Self.reservation(count))
        for _ in 0..<count { items.append(try self.decode(levelsLeft: levelsLeft - 1)) }
        return items
    }

    private mutating func members(_ count: Int, levelsLeft: Int) throws(HubProtocolError) -> [HubValue.Member] {
        guard levelsLeft > 0 else { throw .tooDeep }
        var members: [HubValue.Member] = []
        members.reserveCapacity(Self.reservation(count))
        for _ in 0..<count {
            members.append(.init(key: try self.key(), value: try self.decode(levelsLeft: levelsLeft - 1)))
        }
        return members
    }

    /// A declared count is only a hint: each level of a nested value could declare as many items as bytes remain.
    private static func reservation(_ count: Int) -> Int { min(count, 64) }

    /// Dictionaries with integer keys have them as text in JSON, and so here.
    private mutating func key() throws(HubProtocolError) -> String {
        switch self.head() {
        case .string(let length): return try self.text(length)
        case .int(let number): return String(number)
        case .uint(let number): return String(number)
        case nil: throw .messagePack
        default: throw HubProtocolError("A MessagePack map has a key that is neither text nor an integer.")
        }
    }

    private mutating func text(_ length: Int) throws(HubProtocolError) -> String {
        guard let text = String(validating: self.content(length), as: UTF8.self) else {
            throw HubProtocolError("A MessagePack string is not UTF-8.")
        }
        return text
    }

    /// 4, 8 or 12 bytes (MessagePack specification, "Timestamp extension type").
    private mutating func timestamp(_ length: Int) throws(HubProtocolError) -> HubValue {
        let content = self.content(length)
        let seconds: Int64
        let nanoseconds: UInt32
        switch length {
        case 4:
            seconds = Int64(content.bigEndian(UInt32.self, at: 0))
            nanoseconds = 0
        case 8:
            let both = content.bigEndian(UInt64.self, at: 0)
            seconds = Int64(both & 0x3_FFFF_FFFF)
            nanoseconds = UInt32(both >> 34)
        case 12:
            nanoseconds = content.bigEndian(UInt32.self, at: 0)
            seconds = content.bigEndian(Int64.self, at: 4)
        default: throw .badTimestamp
        }
        guard nanoseconds < Timestamp.nanosecondsPerSecond else { throw .badTimestamp }
        return .timestamp(seconds: seconds, nanoseconds: nanoseconds)
    }
}

extension UnsafeRawBufferPointer {
    fileprivate func bigEndian<Number: FixedWidthInteger & BitwiseCopyable>(_: Number.Type, at index: Int) -> Number {
        Number(bigEndian: self.loadUnaligned(fromByteOffset: index, as: Number.self))
    }
}

extension HubProtocolError {
    static let badTimestamp = HubProtocolError("A MessagePack timestamp is not well-formed.")
}
