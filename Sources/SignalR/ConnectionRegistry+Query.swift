// SignalBox: the connections of a hub that a condition picks, and group members by pages
// SPDX-License-Identifier: Apache-2.0

extension Connection {
    /// The groups it is in, in no order. On the event loop.
    package var groupNames: [String] { memberships.filter(\.set.isGroup).map(\.set.name) }

    /// On the event loop.
    package func join(_ group: String) { shard.join(self, group: group) }
    /// On the event loop.
    package func leave(_ group: String) { shard.leave(self, group: group) }
}

extension ConnectionRegistry {
    /// A connection as one that lists a group sees it.
    package struct Member: Sendable, Hashable {
        package let id: String
        package let userID: String?
    }

    /// Runs `work` for every open connection that `condition` picks, each on its event loop, and returns how many there were.
    @discardableResult
    package func forEach(
        where condition: @escaping @Sendable (Connection) -> Bool, _ work: @escaping @Sendable (Connection) -> Void
    ) async -> Int {
        await collect { shard in
            let picked = shard.members(of: .all).filter(condition)
            for connection in picked { work(connection) }
            return picked.count
        }.reduce(0, +)
    }

    /// The open members of a group whose ids come after `last`, by id, at most `limit`.
    package func members(of group: String, after last: String?, limit: Int) async -> [Member] {
        let found = await collect { shard in
            shard.members(of: .groups([group])).lazy.filter { $0.state == .open }
                .map { Member(id: $0.id.description, userID: $0.userID) }
                .filter { member in last.map { $0 < member.id } ?? true }
                .sorted { $0.id < $1.id }.prefix(limit)
        }
        return Array(found.joined().sorted { $0.id < $1.id }.prefix(limit))
    }
}
