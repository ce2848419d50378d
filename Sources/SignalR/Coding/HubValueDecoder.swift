// SignalBox: reads Decodable types from a hub value
// SPDX-License-Identifier: Apache-2.0

import SignalRWire

extension HubValue {
    /// The one way from a value to a type: the types with a form of their own first, then the type's `Decodable` code.
    func decode<T: Decodable>(_ type: T.Type, at path: @autoclosure () -> CodingPath) throws -> T {
        // The commonest types by identity, which takes half the time of looking up a conformance.
        switch self {
        case .string(let text) where T.self == String.self: if let value = text as? T { return value }
        case .int(let number) where T.self == Int.self:
            if let number = Int(exactly: number), let value = number as? T { return value }
        case .double(let number) where T.self == Double.self: if let value = number as? T { return value }
        case .bool(let flag) where T.self == Bool.self: if let value = flag as? T { return value }
        default: break
        }
        if let scalar = T.self as? any HubScalar.Type {
            do {
                if let value = try scalar.init(hubValue: self) as? T { return value }
            } catch let mismatch as HubMismatch {
                throw mismatch.decodingError(T.self, self, at: path())
            }
        }
        let path = path()
        if path.isTooDeep { throw DecodingError.tooDeep(at: path) }
        return try T(from: HubValueDecoder(value: self, path: path))
    }

    fileprivate var isNull: Bool {
        if case .null = self { true } else { false }
    }
}

struct HubValueDecoder: Decoder {
    let value: HubValue
    let path: CodingPath

    var codingPath: [any CodingKey] { self.path.keys }
    var userInfo: [CodingUserInfoKey: Any] { [:] }

    func container<Key: CodingKey>(keyedBy type: Key.Type) throws -> KeyedDecodingContainer<Key> {
        guard self.path.allowsContainer else { throw DecodingError.tooDeep(at: self.path) }
        guard case .map(let members) = self.value else {
            throw DecodingError.mismatch("an object", [String: Any].self, self.value, at: self.path)
        }
        return KeyedDecodingContainer(HubKeyedDecodingContainer(members: HubMembers(members), path: self.path))
    }

    func unkeyedContainer() throws -> any UnkeyedDecodingContainer {
        guard self.path.allowsContainer else { throw DecodingError.tooDeep(at: self.path) }
        switch self.value {
        case .array(let items):
            return HubUnkeyedDecodingContainer(items: items, path: self.path)
        case .binary(let bytes):
            // MessagePack peers send a byte array as binary, also where an array of numbers is declared.
            return HubUnkeyedDecodingContainer(items: bytes.map { .int(Int64($0)) }, path: self.path)
        default:
            throw DecodingError.mismatch("an array", [Any].self, self.value, at: self.path)
        }
    }

    func singleValueContainer() -> any SingleValueDecodingContainer { self }
}

extension HubValueDecoder: SingleValueDecodingContainer {
    func decodeNil() -> Bool { self.value.isNull }

    func decode<T: Decodable>(_ type: T.Type) throws -> T {
        try self.value.decode(type, at: self.path.wrapped())
    }
}

/// The generic `decode` here and below stands for the protocol's fifteen.
private struct HubKeyedDecodingContainer<Key: CodingKey>: KeyedDecodingContainerProtocol {
    let members: HubMembers
    let path: CodingPath

    var codingPath: [any CodingKey] { self.path.keys }
    var allKeys: [Key] { self.members.list.compactMap { Key(stringValue: $0.key) } }

    func contains(_ key: Key) -> Bool { self.members[key.stringValue] != nil }
    func decodeNil(forKey key: Key) throws -> Bool { try self.value(for: key).isNull }

    func decode<T: Decodable>(_ type: T.Type, forKey key: Key) throws -> T {
        try self.value(for: key).decode(type, at: self.path.inside(key))
    }

    func decodeIfPresent<T: Decodable>(_ type: T.Type, forKey key: Key) throws -> T? {
        guard let value = self.members[key.stringValue], !value.isNull else { return nil }
        return try value.decode(type, at: self.path.inside(key))
    }

    func nestedContainer<Nested: CodingKey>(
        keyedBy type: Nested.Type,
        forKey key: Key
    ) throws -> KeyedDecodingContainer<Nested> {
        try HubValueDecoder(value: self.value(for: key), path: self.path.inside(key)).container(keyedBy: type)
    }

    func nestedUnkeyedContainer(forKey key: Key) throws -> any UnkeyedDecodingContainer {
        try HubValueDecoder(value: self.value(for: key), path: self.path.inside(key)).unkeyedContainer()
    }

    func superDecoder() -> any Decoder { self.superDecoder(at: HubCodingKey.super) }
    func superDecoder(forKey key: Key) -> any Decoder { self.superDecoder(at: key) }

    /// A superclass without members may have left nothing to read.
    private func superDecoder(at key: any CodingKey) -> any Decoder {
        HubValueDecoder(value: self.members[key.stringValue] ?? .null, path: self.path.inside(key))
    }

    private func value(for key: Key) throws -> HubValue {
        if let value = self.members[key.stringValue] { return value }
        let reason = "The object has no member '\(key.stringValue)'."
        throw DecodingError.keyNotFound(key, .init(codingPath: self.codingPath, debugDescription: reason))
    }
}

private struct HubUnkeyedDecodingContainer: UnkeyedDecodingContainer {
    let items: [HubValue]
    let path: CodingPath
    private(set) var currentIndex = 0

    init(items: [HubValue], path: CodingPath) {
        self.items = items
        self.path = path
    }

    var codingPath: [any CodingKey] { self.path.keys }
    var count: Int? { self.items.count }
    var isAtEnd: Bool { self.currentIndex == self.items.count }

    mutating func decodeNil() throws -> Bool {
        guard try self.next(Never.self).isNull else { return false }
        self.currentIndex += 1
        return true
    }

    mutating func decode<T: Decodable>(_ type: T.Type) throws -> T {
        let value = try self.next(type).decode(type, at: self.path.inside(self.currentIndex))
        self.currentIndex += 1
        return value
    }

    mutating func nestedContainer<Key: CodingKey>(keyedBy type: Key.Type) throws -> KeyedDecodingContainer<Key> {
        let container = try self.nextDecoder().container(keyedBy: type)
        self.currentIndex += 1
        return container
    }

    mutating func nestedUnkeyedContainer() throws -> any UnkeyedDecodingContainer {
        let container = try self.nextDecoder().unkeyedContainer()
        self.currentIndex += 1
        return container
    }

    mutating func superDecoder() throws -> any Decoder {
        let decoder = try self.nextDecoder()
        self.currentIndex += 1
        return decoder
    }

    private func nextDecoder() throws -> HubValueDecoder {
        HubValueDecoder(value: try self.next((any Decoder).self), path: self.path.inside(self.currentIndex))
    }

    private func next(_ type: any Any.Type) throws -> HubValue {
        if self.currentIndex < self.items.count { return self.items[self.currentIndex] }
        let reason = "The array has only \(self.items.count) items."
        let path = self.path.inside(self.currentIndex)
        throw DecodingError.valueNotFound(type, .init(codingPath: path.keys, debugDescription: reason))
    }
}
