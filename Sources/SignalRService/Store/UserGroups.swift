// SignalBox: groups that users belong to, with or without a connection
// SPDX-License-Identifier: Apache-2.0

import NIOConcurrencyHelpers

/// Which groups a user's connections join when they come. A membership lasts until its time is over, at most a year
/// (service reference, "Fan-out, users, groups").
final class UserGroups: Sendable {
    /// A user's oldest membership makes room for its newest.
    static let maximumPerUser = 100
    static let maximumUsers = 100_000
    private static let longestLifetime = 365.0 * 24 * 3600

    private struct Membership {
        let group: String
        let deadline: Double
    }

    private let hub: String
    /// Where changes are kept; nil when they last as long as the process.
    private let log: MembershipLog?
    private let users: NIOLockedValueBox<[String: [Membership]]>

    /// - Parameter kept: what was there before a restart, oldest first.
    init(hub: String = "", log: MembershipLog? = nil, kept: [UserMembership] = []) {
        self.hub = hub
        self.log = log
        self.users = NIOLockedValueBox(
            Dictionary(grouping: kept, by: \.user).mapValues { memberships in
                memberships.suffix(Self.maximumPerUser).map { Membership(group: $0.group, deadline: $0.deadline) }
            })
    }

    /// - Returns: false when there are too many users.
    func add(_ user: String, to group: String, lifetime: Double?, now: Double = AccessKeys.now) -> Bool {
        let deadline = now + min(lifetime ?? Self.longestLifetime, Self.longestLifetime)
        return users.withLockedValue { users in
            if users[user] == nil, users.count >= Self.maximumUsers {
                users = users.filter { $0.value.contains { $0.deadline > now } }
                log?.append([.expire(hub: hub, now: now)])
                guard users.count < Self.maximumUsers else { return false }
            }
            var memberships = users[user, default: []].filter { $0.group != group && $0.deadline > now }
            memberships.append(Membership(group: group, deadline: deadline))
            let dropped = memberships.dropLast(Self.maximumPerUser)
            users[user] = memberships.suffix(Self.maximumPerUser)
            log?.append(
                dropped.map { .remove(hub: hub, user: user, group: $0.group) }
                    + [.add(.init(hub: hub, user: user, group: group, deadline: deadline))])
            return true
        }
    }

    /// Removes one membership, or all of them.
    func remove(_ user: String, from group: String?) {
        users.withLockedValue { users in
            guard let memberships = users[user] else { return }
            let left = group.map { group in memberships.filter { $0.group != group } } ?? []
            users[user] = left.isEmpty ? nil : left
            log?.append([.remove(hub: hub, user: user, group: group)])
        }
    }

    /// Whether any user belongs to the group. Looks at all of them: for questions that are asked now and then.
    func hasMembers(_ group: String, now: Double = AccessKeys.now) -> Bool {
        users.withLockedValue { users in
            users.values.contains { $0.contains { $0.group == group && $0.deadline > now } }
        }
    }

    func groups(of user: String, now: Double = AccessKeys.now) -> [String] {
        users.withLockedValue { $0[user]?.filter { $0.deadline > now }.map(\.group) ?? [] }
    }

    /// Returns when every change made so far survives a restart.
    /// - Throws: what the store throws; the changes hold until the restart then.
    func settle() async throws { try await log?.settle() }
}
