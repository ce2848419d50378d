// SignalBox: JSON text to values
// SPDX-License-Identifier: Apache-2.0

public import NIOCore

/// JSON (RFC 8259) as the hub protocol uses it: no comments, no trailing commas.
public enum JSON {
    /// Reads the one value that `text` consists of; white space around it is allowed.
    ///
    /// - Parameter maximumDepth: How many arrays and objects may be inside each other; at most 64 count.
    /// - Throws: `HubProtocolError` when it is not JSON, is nested too deeply, or has a number or an escaped character
    ///   that Swift cannot express.
    public static func value(from text: ByteBuffer, maximumDepth: Int = 64) throws(HubProtocolError) -> HubValue {
        try text.withUnsafeReadableBytes { bytes throws(HubProtocolError) in
            // The cap keeps the recursion within any thread's stack.
            var scanner = JSONScanner(bytes, maximumDepth: min(maximumDepth, JSONScanner.maximumDepth))
            let value = try scanner.decode()
            try scanner.end()
            return value
        }
    }

    /// What `read` makes of the whole text; nil when it fails or leaves something over.
    static func scan<Value>(
        _ text: ByteBuffer,
        _ read: (inout JSONScanner) throws(HubProtocolError) -> Value?
    ) -> Value? {
        text.withUnsafeReadableBytes { bytes in
            var scanner = JSONScanner(bytes)
            guard let value = try? read(&scanner), (try? scanner.end()) != nil else { return nil }
            return value
        }
    }
}

/// Typed reading: nil when the next value is of another type.
extension JSONScanner {
    mutating func stringValue() throws(HubProtocolError) -> String? {
        guard try self.kind() == .string else { return nil }
        return try self.string().text()
    }

    mutating func integerValue() throws(HubProtocolError) -> Int64? {
        guard try self.kind() == .number else { return nil }
        return try self.number().integer
    }

    mutating func numberValue() throws(HubProtocolError) -> HubValue? {
        guard try self.kind() == .number else { return nil }
        return try self.number().value()
    }

    mutating func boolValue() throws(HubProtocolError) -> Bool? {
        switch try self.kind() {
        case .true: try self.literal("true")
        case .false: try self.literal("false")
        default: return nil
        }
        return self.bytes[self.position - 2] == UInt8(ascii: "u")
    }

    mutating func decode() throws(HubProtocolError) -> HubValue {
        switch try self.kind() {
        case .object:
            var members: [HubValue.Member] = []
            try self.object { scanner, key throws(HubProtocolError) in
                members.append(.init(key: try key.text(), value: try scanner.decode()))
            }
            return .map(members)
        case .array:
            var items: [HubValue] = []
            try self.array { scanner throws(HubProtocolError) in items.append(try scanner.decode()) }
            return .array(items)
        case .string: return .string(try self.string().text())
        case .number: return try self.number().value()
        case .true:
            try self.literal("true")
            return .bool(true)
        case .false:
            try self.literal("false")
            return .bool(false)
        case .null:
            try self.literal("null")
            return .null
        }
    }
}
