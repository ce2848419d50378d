// SignalBox: a hub value in the making
// SPDX-License-Identifier: Apache-2.0

import SignalRWire

/// The value of one encoder, open for as long as a container of it may still be written to.
///
/// Whatever is encoded in one go is a `HubValue` at once. Only nested containers and superclass encoders are nodes of
/// their own, each with a null in its place until `value()` puts them together.
final class HubValueNode {
    private enum Shape {
        case none
        case single(HubValue)
        case map, array
    }

    let path: CodingPath
    private var shape = Shape.none
    private var members: [HubValue.Member] = []
    private var positions: [String: Int] = [:]
    private var items: [HubValue] = []
    private var nested: [Int: HubValueNode] = [:]
    private var failure: String?

    init(path: CodingPath) {
        self.path = path
    }

    var count: Int { self.items.count }

    /// - Throws: `EncodingError` when the containers were used in a way that makes no value.
    func value() throws -> HubValue {
        if let failure { throw self.error(failure) }
        switch self.shape {
        case .single(let value):
            return value
        case .array:
            for (position, node) in self.nested { self.items[position] = try node.value() }
            return .array(self.items)
        case .map, .none:
            for (position, node) in self.nested { self.members[position].value = try node.value() }
            return .map(self.members)
        }
    }

    func error(_ reason: String) -> EncodingError {
        HubMismatch.value(reason).encodingError(Self.self, at: self.path)
    }

    /// Containers cannot throw when they are opened, so a wrong one is told of in the end.
    func openMap() {
        switch self.shape {
        case .none where self.path.allowsContainer: self.shape = .map
        case .none: self.failure = HubValue.tooDeep
        case .map: break
        case .single, .array: self.failure = Self.conflict
        }
    }

    func openArray() {
        switch self.shape {
        case .none where self.path.allowsContainer: self.shape = .array
        case .none: self.failure = HubValue.tooDeep
        case .array: break
        case .single, .map: self.failure = Self.conflict
        }
    }

    func put(_ value: HubValue) throws {
        guard case .none = self.shape else { throw self.error(Self.conflict) }
        self.shape = .single(value)
    }

    func append(_ value: HubValue) {
        self.items.append(value)
    }

    func appendNested() -> HubValueNode {
        guard self.path.allowsContainer else { return self.failingTooDeep() }
        let node = HubValueNode(path: self.path.inside(self.items.count))
        self.nested[self.items.count] = node
        self.items.append(.null)
        return node
    }

    /// A name that is set twice, by a class and its superclass, keeps its place and takes the later value.
    func set(_ value: HubValue, for name: String) {
        let position = self.position(of: name)
        self.members[position].value = value
        self.nested[position] = nil
    }

    /// The node that is already there, if any: a nested container may be asked for in parts.
    func nestedNode(for key: any CodingKey) -> HubValueNode {
        guard self.path.allowsContainer else { return self.failingTooDeep() }
        let position = self.position(of: key.stringValue)
        if let node = self.nested[position] { return node }
        let node = HubValueNode(path: self.path.inside(key))
        self.nested[position] = node
        return node
    }

    /// Below a node that fails anyway no more are made: a long chain of them would exhaust the stack when it is
    /// released.
    private func failingTooDeep() -> HubValueNode {
        self.failure = HubValue.tooDeep
        return self
    }

    /// Where the member is, or is from now on; few are searched, many indexed.
    private func position(of name: String) -> Int {
        if let position = self.members.count <= HubMembers.searchedCount ? self.search(name) : self.lookUp(name) {
            return position
        }
        self.members.append(.init(key: name, value: .null))
        return self.members.count - 1
    }

    private func search(_ name: String) -> Int? {
        self.members.firstIndex { $0.key == name }
    }

    private func lookUp(_ name: String) -> Int? {
        for position in self.positions.count..<self.members.count {
            self.positions[self.members[position].key] = position
        }
        return self.positions[name]
    }

    private static let conflict = "The type asked its encoder for containers of different kinds."
}
