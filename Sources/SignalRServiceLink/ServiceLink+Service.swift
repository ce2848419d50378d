// SignalBox: what only the service knows: who is connected anywhere, which groups there are, users' groups
// SPDX-License-Identifier: Apache-2.0

import NIOCore
import SignalR
import SignalRWire

extension ServiceLink {
    /// Somebody whom the service can be asked about.
    public enum Subject: Sendable, Hashable {
        case connection(String)
        case user(String)
        /// Exists while it has members.
        case group(String)
    }

    /// Whose clients are to be closed.
    public enum ClosingTarget: Sendable, Hashable {
        case all
        case connection(String)
        case user(String)
        case group(String)
    }

    /// Whether there is such a connection, at least one of such a user, or a member of such a group, on whatever app server.
    /// - Throws: ``ServiceLinkError``, `CancellationError`, as all questions to the service.
    public func exists(_ subject: Subject) async throws -> Bool {
        let subject: ServiceMessage.Check.Subject =
            switch subject {
            case .connection(let id): .connection(id)
            case .user(let id): .user(id)
            case .group(let name): .group(name)
            }
        return try await ask { .check(.init(subject, ackID: $0)) }.isOK
    }

    /// Whether the user was added to the group by ``addUser(_:to:lifetime:)`` or by REST.
    public func isUser(_ user: String, in group: String) async throws -> Bool {
        try await ask { .check(.init(.userInGroup(user: user, group: group), ackID: $0)) }.isOK
    }

    /// Adds the connections that a user has, and will have, to a group.
    /// - Parameter lifetime: for how long, in whole seconds; nil leaves it to the service (a year at most), zero is for present
    ///   connections only.
    public func addUser(_ user: String, to group: String, lifetime: Duration? = nil) async throws {
        let seconds = lifetime.map { $0.components.seconds }
        _ = try await ask {
            .membership(
                .init(
                    .user(user), group: group, isJoin: true, ackID: $0, extension: seconds.map { .lifetime($0) } ?? []))
        }
    }

    /// Takes a user, and its connections, out of a group.
    /// - Parameter group: nil for all groups.
    public func removeUser(_ user: String, from group: String?) async throws {
        _ = try await ask { .membership(.init(.user(user), group: group, isJoin: false, ackID: $0)) }
    }

    /// Takes a connection out of all its groups.
    public func removeFromAllGroups(_ connectionID: String) async throws {
        _ = try await ask { .membership(.init(.connection(connectionID), group: nil, isJoin: false, ackID: $0)) }
    }

    /// Ends clients on whatever app server they are.
    /// - Parameters:
    ///   - reason: what they are told.
    ///   - excluding: connection ids that stay; not for a single connection.
    public func close(_ target: ClosingTarget, reason: String? = nil, excluding: [String] = []) async throws {
        let target: ServiceMessage.Closing.Target =
            switch target {
            case .all: .all
            case .connection(let id): .connection(id)
            case .user(let id): .user(id)
            case .group(let name): .group(name)
            }
        _ = try await ask { .closing(.init(target, reason: reason, ackID: $0, excludedConnections: excluding)) }
    }

    // MARK: Members of groups

    /// A connection in a group.
    public struct GroupMember: Sendable, Hashable {
        public let connectionID: String
        /// nil for an anonymous one.
        public let userID: String?
    }

    /// Some of a group's connections, and where those behind them begin.
    public struct GroupPage: Sendable, Hashable {
        public let members: [GroupMember]
        /// What asks for the next page; nil for the last one.
        public let continuationToken: String?
    }

    /// The connections in a group, on whatever app server, a page at a time; an unknown group has none.
    ///
    /// A service that does not know the question does not answer it, which ends in a timeout.
    /// - Parameters:
    ///   - maximum: of one page; nil leaves it to the service (SignalBox: 200, which is also the most).
    ///   - continuationToken: that of the page before; nil begins.
    /// - Throws: ``ServiceLinkError``, `CancellationError`.
    public func members(
        of group: String, maximum: Int? = nil, continuationToken: String? = nil
    ) async throws -> GroupPage {
        let answer = try await ask {
            .groupMemberQuery(
                .init(
                    group: group, ackID: $0, maximum: maximum.map { Int32(clamping: $0) },
                    continuationToken: continuationToken))
        }
        guard answer.isOK else { return GroupPage(members: [], continuationToken: nil) }
        guard let payload = answer.payload, let page = GroupPage(payload) else { throw ServiceLinkError.unreadable }
        return page
    }

    private func ask(
        _ message: @escaping @Sendable (_ ackID: Int32) -> ServiceMessage
    ) async throws -> ServerConnection.Answer {
        try await pool.way(nil, to: "").server.ask(message)
    }
}

extension ServiceLink.GroupPage {
    /// `[[[connection, user or nil]…], token or nil]` (service reference, "Notes per message").
    fileprivate init?(_ payload: ByteBuffer) {
        guard case .array(let items)? = try? MessagePack.value(from: payload), case .array(let list)? = items.first
        else { return nil }
        var members: [ServiceLink.GroupMember] = []
        for item in list {
            guard case .array(let pair) = item, case .string(let id)? = pair.first else { return nil }
            var user: String?
            if pair.count > 1, case .string(let name) = pair[1] { user = name }
            members.append(.init(connectionID: id, userID: user))
        }
        var token: String?
        if items.count > 1, case .string(let text) = items[1] { token = text }
        self.init(members: members, continuationToken: token)
    }
}
