// SignalBox: groups that users belong to, with or without a connection
// SPDX-License-Identifier: Apache-2.0

import NIOConcurrencyHelpers
import NIOCore

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
    private let state: NIOLockedValueBox<State>
    private let sweeper = NIOLockedValueBox<RepeatedTask?>(nil)

    private struct State {
        var users: [String: [Membership]]
        /// No membership ends before that.
        var nextEnd = Double.infinity
    }

    /// - Parameter kept: what was there before a restart, oldest first.
    init(hub: String = "", log: MembershipLog? = nil, kept: [UserMembership] = []) {
        self.hub = hub
        self.log = log
        let users = Dictionary(grouping: kept, by: \.user).mapValues { memberships in
            memberships.suffix(Self.maximumPerUser).map { Membership(group: $0.group, deadline: $0.deadline) }
        }
        self.state = NIOLockedValueBox(State(users: users, nextEnd: kept.map(\.deadline).min() ?? .infinity))
    }

    deinit { sweeper.withLockedValue { $0?.cancel() } }

    // MARK: Changes

    /// - Returns: false when there are too many users.
    func add(_ user: String, to group: String, lifetime: Double?, now: Double = AccessKeys.now) -> Bool {
        let deadline = now + min(lifetime ?? Self.longestLifetime, Self.longestLifetime)
        return state.withLockedValue { state in
            if state.users[user] == nil, state.users.count >= Self.maximumUsers {
                state.users = state.users.filter { $0.value.contains { $0.deadline > now } }
                log?.append([.expire(hub: hub, now: now)])
                guard state.users.count < Self.maximumUsers else { return false }
            }
            var memberships = state.users[user, default: []].filter { $0.group != group && $0.deadline > now }
            memberships.append(Membership(group: group, deadline: deadline))
            let dropped = memberships.dropLast(Self.maximumPerUser)
            state.users[user] = memberships.suffix(Self.maximumPerUser)
            state.nextEnd = min(state.nextEnd, deadline)
            log?.append(
                dropped.map { .remove(hub: hub, user: user, group: $0.group) }
                    + [.add(.init(hub: hub, user: user, group: group, deadline: deadline))])
            return true
        }
    }

    /// Removes one membership, or all of them.
    func remove(_ user: String, from group: String?) {
        state.withLockedValue { state in
            guard let memberships = state.users[user] else { return }
            let left = group.map { group in memberships.filter { $0.group != group } } ?? []
            state.users[user] = left.isEmpty ? nil : left
            log?.append([.remove(hub: hub, user: user, group: group)])
        }
    }

    // MARK: Questions

    /// Whether any user belongs to the group. Looks at all of them: for questions that are asked now and then.
    func hasMembers(_ group: String, now: Double = AccessKeys.now) -> Bool {
        state.withLockedValue { state in
            state.users.values.contains { $0.contains { $0.group == group && $0.deadline > now } }
        }
    }

    func groups(of user: String, now: Double = AccessKeys.now) -> [String] {
        state.withLockedValue { $0.users[user]?.filter { $0.deadline > now }.map(\.group) ?? [] }
    }

    /// Returns when every change made so far survives a restart.
    /// - Throws: what the store throws; the changes hold until the restart then.
    func settle() async throws { try await log?.settle() }

    // MARK: Ends

    /// Calls `ended` with users and groups that they were in until their time was over, a second late at most; on `eventLoop`.
    func watch(on eventLoop: any EventLoop, _ ended: @escaping @Sendable (_ user: String, _ groups: [String]) -> Void) {
        let task = eventLoop.scheduleRepeatedTask(initialDelay: .seconds(1), delay: .seconds(1)) { [weak self] _ in
            for (user, groups) in self?.expire() ?? [:] { ended(user, groups) }
        }
        sweeper.withLockedValue { $0 = task }
    }

    /// Removes what has ended, and tells it by user. Looks at all of them, but only when something has.
    func expire(now: Double = AccessKeys.now) -> [String: [String]] {
        state.withLockedValue { state in
            guard state.nextEnd <= now else { return [:] }
            state.nextEnd = .infinity
            var ended: [String: [String]] = [:]
            for (user, memberships) in state.users {
                let left = memberships.filter { $0.deadline > now }
                state.nextEnd = left.reduce(state.nextEnd) { min($0, $1.deadline) }
                guard left.count < memberships.count else { continue }
                ended[user] = memberships.filter { $0.deadline <= now }.map(\.group)
                state.users[user] = left.isEmpty ? nil : left
            }
            if !ended.isEmpty { log?.append([.expire(hub: hub, now: now)]) }
            return ended
        }
    }
}
