// SignalBox: one JSON object of the hub protocol, before its type is known
// SPDX-License-Identifier: Apache-2.0

import NIOCore

/// The members of a message, whatever its type, in any order; payloads as places in the text.
///
/// Envelope keys are case-sensitive, unknown ones are skipped with their value, the last of several wins.
struct JSONEnvelope {
    var type: Int?
    var invocationID: String?
    var target: String?
    var arguments: (range: Range<Int>, count: Int)?
    var streamIDs: [String] = []
    var item: Range<Int>?
    var result: (range: Range<Int>, isNull: Bool)?
    var error: String?
    var headers: HubHeaders = [:]
    var allowsReconnect = false
    var sequenceID: Int64?

    /// Reads the object at the front of `bytes` and leaves what comes after it, as .NET does.
    init(_ bytes: UnsafeRawBufferPointer) throws(HubProtocolError) {
        var scanner = JSONScanner(bytes)
        try scanner.expectObject()
        try scanner.object { scanner, name throws(HubProtocolError) in
            guard let key = try Key(name) else {
                try scanner.value()
                return
            }
            try self.read(key, from: &scanner)
        }
    }

    private mutating func read(_ key: Key, from scanner: inout JSONScanner) throws(HubProtocolError) {
        switch key {
        case .type: self.type = Int(try scanner.int32(named: key.name))
        case .invocationID: self.invocationID = try scanner.optionalString(named: key.name)
        case .target: self.target = try scanner.requiredString(named: key.name)
        case .arguments: self.arguments = try scanner.arguments()
        case .streamIDs: self.streamIDs = try scanner.streamIDs()
        case .item: self.item = try scanner.value()
        case .result:
            let isNull = try scanner.kind() == .null
            self.result = (try scanner.value(), isNull)
        case .error: self.error = try scanner.optionalString(named: key.name)
        case .headers: self.headers = try scanner.headers()
        case .allowReconnect: self.allowsReconnect = try scanner.allowReconnect()
        case .sequenceID: self.sequenceID = try scanner.sequenceID()
        }
    }
}

extension JSONEnvelope {
    enum Key: CaseIterable {
        case type, invocationID, target, arguments, streamIDs, item, result, error, headers, allowReconnect, sequenceID

        var name: StaticString {
            switch self {
            case .type: "type"
            case .invocationID: "invocationId"
            case .target: "target"
            case .arguments: "arguments"
            case .streamIDs: "streamIds"
            case .item: "item"
            case .result: "result"
            case .error: "error"
            case .headers: "headers"
            case .allowReconnect: "allowReconnect"
            case .sequenceID: "sequenceId"
            }
        }

        /// nil for every name that is not of the envelope. Names may be escaped.
        init?(_ name: JSONString) throws(HubProtocolError) {
            guard name.hasEscapes else {
                self.init(name.content)
                return
            }
            var text = try name.text()
            guard let key = text.withUTF8({ Self(UnsafeRawBufferPointer($0)) }) else { return nil }
            self = key
        }

        /// Length and first letter leave one candidate.
        private init?(_ name: UnsafeRawBufferPointer) {
            switch (name.count, name.first) {
            case (4, UInt8(ascii: "t")): self = .type
            case (4, _): self = .item
            case (5, _): self = .error
            case (6, UInt8(ascii: "t")): self = .target
            case (6, _): self = .result
            case (7, _): self = .headers
            case (9, UInt8(ascii: "a")): self = .arguments
            case (9, _): self = .streamIDs
            case (10, _): self = .sequenceID
            case (12, _): self = .invocationID
            case (14, _): self = .allowReconnect
            default: return nil
            }
            guard name.equals(self.name) else { return nil }
        }
    }
}

// MARK: Members, with .NET's texts

extension JSONScanner {
    mutating func expectObject() throws(HubProtocolError) {
        let name: String
        switch try self.kind() {
        case .object: return
        case .array: name = "Array"
        case .string: name = "String"
        case .number: name = "Number"
        case .true: name = "True"
        case .false: name = "False"
        case .null: name = "Null"
        }
        // A number cut off by the end of the frame is bad JSON first of all.
        try self.value()
        throw HubProtocolError("Unexpected JSON Token Type '\(name)'. Expected a JSON Object.")
    }

    mutating func requiredString(named name: StaticString) throws(HubProtocolError) -> String {
        guard let text = try self.stringValue() else {
            throw HubProtocolError("Expected '\(name)' to be of type String.")
        }
        return text
    }

    /// .NET refuses null here. Reading it as absent keeps peers connected that write it.
    fileprivate mutating func optionalString(named name: StaticString) throws(HubProtocolError) -> String? {
        if try self.passesNull() { return nil }
        return try self.requiredString(named: name)
    }

    mutating func int32(named name: StaticString) throws(HubProtocolError) -> Int32 {
        guard try self.kind() == .number else { throw HubProtocolError("Expected '\(name)' to be of type Number.") }
        guard let number = try self.number().integer, let number = Int32(exactly: number) else {
            throw HubProtocolError("Expected '\(name)' to be a 32-bit integer.")
        }
        return number
    }

    fileprivate mutating func arguments() throws(HubProtocolError) -> (range: Range<Int>, count: Int) {
        guard try self.kind() == .array else { throw HubProtocolError("Expected 'arguments' to be of type Array.") }
        let start = self.position
        var count = 0
        try self.array { scanner throws(HubProtocolError) in
            try scanner.value()
            count += 1
        }
        return (start..<self.position, count)
    }

    fileprivate mutating func streamIDs() throws(HubProtocolError) -> [String] {
        guard try self.kind() == .array else { throw HubProtocolError("Expected 'streamIds' to be of type Array.") }
        var ids: [String] = []
        try self.array { scanner throws(HubProtocolError) in
            if try scanner.kind() == .null { throw HubProtocolError("Null value for 'streamIds' is not valid.") }
            ids.append(try scanner.requiredString(named: "streamIds"))
        }
        return ids
    }

    fileprivate mutating func headers() throws(HubProtocolError) -> HubHeaders {
        if try self.passesNull() { return [:] }
        guard try self.kind() == .object else {
            throw HubProtocolError("Expected 'headers' to be of type StartObject.")
        }
        var headers: HubHeaders = [:]
        try self.object { scanner, name throws(HubProtocolError) in
            let name = try name.text()
            guard let value = try scanner.stringValue() else {
                throw HubProtocolError("Expected header '\(name)' to be of type String.")
            }
            headers[name] = value
        }
        return headers
    }

    fileprivate mutating func allowReconnect() throws(HubProtocolError) -> Bool {
        guard let flag = try self.boolValue() else {
            throw HubProtocolError("Expected 'allowReconnect' to be true or false.")
        }
        return flag
    }

    /// null counts as missing.
    fileprivate mutating func sequenceID() throws(HubProtocolError) -> Int64? {
        if try self.passesNull() { return nil }
        guard let number = try self.integerValue() else {
            throw HubProtocolError("Expected 'sequenceId' to be of type Number.")
        }
        return number
    }

    private mutating func passesNull() throws(HubProtocolError) -> Bool {
        guard try self.kind() == .null else { return false }
        try self.literal("null")
        return true
    }
}
