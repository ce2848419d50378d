// SignalBox: finds the members of a hub value's map by name
// SPDX-License-Identifier: Apache-2.0

import SignalRWire

/// A name is looked up as it is, then without regard to case, as .NET does: its MessagePack sends `PascalCase` member
/// names. Of equal names the last one counts. Small maps are searched, large ones indexed when the first name is looked
/// up.
final class HubMembers {
    /// Up to here looking at each member is faster than an index.
    static let searchedCount = 16

    let list: [HubValue.Member]
    private lazy var exact = self.index { $0 }
    private lazy var caseless = self.index { $0.lowercased() }

    init(_ list: [HubValue.Member]) {
        self.list = list
    }

    subscript(name: String) -> HubValue? {
        let position =
            if self.list.count <= Self.searchedCount {
                self.list.lastIndex { $0.key == name } ?? self.list.lastIndex { $0.key.equalsIgnoringCase(name) }
            } else {
                self.exact[name] ?? self.caseless[name.lowercased()]
            }
        return position.map { self.list[$0].value }
    }

    private func index(by name: @escaping (String) -> String) -> [String: Int] {
        Dictionary(zip(self.list.lazy.map { name($0.key) }, self.list.indices), uniquingKeysWith: { $1 })
    }
}

extension String {
    /// The same answer as comparing the lower-cased texts, without making them where both are ASCII.
    fileprivate func equalsIgnoringCase(_ other: String) -> Bool {
        var (left, right) = (self.utf8.makeIterator(), other.utf8.makeIterator())
        while true {
            switch (left.next(), right.next()) {
            case (nil, nil): return true
            case (let a?, let b?) where a | b >= 0x80: return self.lowercased() == other.lowercased()
            case (let a?, let b?) where a == b || (a ^ b == 0x20 && (0x61...0x7a).contains(a | 0x20)): continue
            default: return false
            }
        }
    }
}
