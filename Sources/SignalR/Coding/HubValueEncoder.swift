// SignalBox: writes Encodable types as a hub value
// SPDX-License-Identifier: Apache-2.0

import SignalRWire

extension HubValue {
    /// The one way from a type to a value: the types with a form of their own first, then the type's `Encodable` code.
    static func encode<T: Encodable>(_ value: T, at path: @autoclosure () -> CodingPath) throws -> HubValue {
        if let common = Self.common(value) { return common }
        if T.self is any HubScalar.Type, let scalar = value as? any HubScalar {
            do {
                let value = try scalar.hubValue()
                if value.isContainer, value.isNested(deeperThan: CodingPath.maximumDepth - path().depth) {
                    throw HubMismatch.value(Self.tooDeep)
                }
                return value
            } catch let mismatch as HubMismatch {
                throw mismatch.encodingError(value, at: path())
            }
        }
        let path = path()
        if path.isTooDeep { throw HubMismatch.value(Self.tooDeep).encodingError(value, at: path) }
        let node = HubValueNode(path: path)
        try value.encode(to: HubValueEncoder(node: node))
        return try node.value()
    }

    /// See the decoder's.
    private static func common<T>(_ value: T) -> HubValue? {
        if T.self == String.self, let text = value as? String { return .string(text) }
        if T.self == Int.self, let number = value as? Int { return .int(Int64(number)) }
        if T.self == Double.self, let number = value as? Double { return .double(number) }
        if T.self == Bool.self, let flag = value as? Bool { return .bool(flag) }
        return nil
    }

    private var isContainer: Bool {
        switch self {
        case .array, .map: true
        default: false
        }
    }

    private func isNested(deeperThan depth: Int) -> Bool {
        switch self {
        case .array(let items): depth <= 0 || items.contains { $0.isNested(deeperThan: depth - 1) }
        case .map(let members): depth <= 0 || members.contains { $0.value.isNested(deeperThan: depth - 1) }
        default: false
        }
    }
}

struct HubValueEncoder: Encoder {
    let node: HubValueNode

    var codingPath: [any CodingKey] { self.node.path.keys }
    var userInfo: [CodingUserInfoKey: Any] { [:] }

    func container<Key: CodingKey>(keyedBy type: Key.Type) -> KeyedEncodingContainer<Key> {
        self.node.openMap()
        return KeyedEncodingContainer(HubKeyedEncodingContainer<Key>(node: self.node))
    }

    func unkeyedContainer() -> any UnkeyedEncodingContainer {
        self.node.openArray()
        return HubUnkeyedEncodingContainer(node: self.node)
    }

    func singleValueContainer() -> any SingleValueEncodingContainer { self }
}

extension HubValueEncoder: SingleValueEncodingContainer {
    func encodeNil() throws { try self.node.put(.null) }

    func encode<T: Encodable>(_ value: T) throws {
        try self.node.put(.encode(value, at: self.node.path.wrapped()))
    }
}

/// The generic `encode` here and below stands for the protocol's fifteen.
private struct HubKeyedEncodingContainer<Key: CodingKey>: KeyedEncodingContainerProtocol {
    let node: HubValueNode

    var codingPath: [any CodingKey] { self.node.path.keys }

    func encodeNil(forKey key: Key) { self.node.set(.null, for: key.stringValue) }

    func encode<T: Encodable>(_ value: T, forKey key: Key) throws {
        self.node.set(try .encode(value, at: self.node.path.inside(key)), for: key.stringValue)
    }

    func nestedContainer<Nested: CodingKey>(
        keyedBy type: Nested.Type,
        forKey key: Key
    ) -> KeyedEncodingContainer<Nested> {
        HubValueEncoder(node: self.node.nestedNode(for: key)).container(keyedBy: type)
    }

    func nestedUnkeyedContainer(forKey key: Key) -> any UnkeyedEncodingContainer {
        HubValueEncoder(node: self.node.nestedNode(for: key)).unkeyedContainer()
    }

    func superEncoder() -> any Encoder { HubValueEncoder(node: self.node.nestedNode(for: HubCodingKey.super)) }
    func superEncoder(forKey key: Key) -> any Encoder { HubValueEncoder(node: self.node.nestedNode(for: key)) }
}

private struct HubUnkeyedEncodingContainer: UnkeyedEncodingContainer {
    let node: HubValueNode

    var codingPath: [any CodingKey] { self.node.path.keys }
    var count: Int { self.node.count }

    func encodeNil() { self.node.append(.null) }

    func encode<T: Encodable>(_ value: T) throws {
        self.node.append(try .encode(value, at: self.node.path.inside(self.node.count)))
    }

    func nestedContainer<Key: CodingKey>(keyedBy type: Key.Type) -> KeyedEncodingContainer<Key> {
        HubValueEncoder(node: self.node.appendNested()).container(keyedBy: type)
    }

    func nestedUnkeyedContainer() -> any UnkeyedEncodingContainer {
        HubValueEncoder(node: self.node.appendNested()).unkeyedContainer()
    }

    func superEncoder() -> any Encoder { HubValueEncoder(node: self.node.appendNested()) }
}
