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

    private let users = NIOLockedValueBox<[String: [Membership]]>([:])

    /// - Returns: false when there are too many users.
    func add(_ user: String, to group: String, lifetime: Double?, now: Double = AccessKeys.now) -> Bool {
        let deadline = now + min(lifetime ?? Self.longestLifetime, Self.longestLifetime)
        return users.withLockedValue { users in
            if users[user] == nil, users.count >= Self.maximumUsers {
                users = users.filter { $0.value.contains { $0.deadline > now } }
                guard users.count < Self.maximumUsers else { return false }
            }
            var memberships = users[user, default: []].filter { $0.group != group && $0.deadline > now }
            memberships.append(Membership(group: group, deadline: deadline))
            users[user] = memberships.suffix(Self.maximumPerUser)
            return true
        }
    }

    /// Removes one membership, or all of them.
    func remove(_ user: String, from group: String?) {
        users.withLockedValue { users in
            let left = users[user]?.filter { group != nil && $0.group != group } ?? []
            users[user] = left.isEmpty ? nil : left
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
}
