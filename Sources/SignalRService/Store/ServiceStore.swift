// SignalBox: the seam to what keeps the service's state over a restart
// SPDX-License-Identifier: Apache-2.0

/// Keeps what must outlive the service: which groups users belong to. Without one, that lasts as long as the process.
public protocol ServiceStore: Sendable {
    /// Everything that is kept and has not run out.
    func memberships() async throws -> [UserMembership]
    /// Carries out changes in their order, all or none. Returns when they survive the end of the process.
    func write(_ changes: [MembershipChange]) async throws
}

/// A user's place in a group of a hub.
public struct UserMembership: Sendable, Hashable {
    public let hub: String
    public let user: String
    public let group: String
    /// When it ends, in seconds since 1970.
    public let deadline: Double

    public init(hub: String, user: String, group: String, deadline: Double) {
        self.hub = hub
        self.user = user
        self.group = group
        self.deadline = deadline
    }
}

/// A change of memberships.
public enum MembershipChange: Sendable, Hashable {
    /// In place of the user's membership in the same group, if there is one.
    case add(UserMembership)
    /// One membership, or all of the user's where `group` is nil.
    case remove(hub: String, user: String, group: String?)
    /// Every membership of the hub whose deadline is not after this time, in seconds since 1970.
    case expire(hub: String, now: Double)
}
