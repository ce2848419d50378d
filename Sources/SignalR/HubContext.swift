// SignalBox: a hub seen from outside: sends, groups and presence for routes, timers and other services
// SPDX-License-Identifier: Apache-2.0

import SignalRWire

/// A hub seen from outside of its methods. Valid as long as the server runs.
public struct HubContext: Sendable {
    let server: HubServer

    public var clients: HubClients { HubClients(server: server) }
    /// The same with the methods of a ``HubClient()`` protocol.
    public func clients<Proxy: HubClientProxy>(_ proxy: Proxy.Type) -> TypedHubClients<Proxy> {
        TypedHubClients(untyped: clients)
    }
    public var groups: HubGroups { HubGroups(server: server) }
    public var presence: HubPresence { HubPresence(registry: server.registry) }
}

/// Adding and removing group members. A connection leaves its groups when it ends; groups exist while they have members.
public struct HubGroups: Sendable {
    let server: HubServer
    var scope: CallScope?

    /// Returns when the connection is a member: messages sent to the group afterwards reach it. Unknown connections are ignored.
    public func add(_ connectionID: String, to group: String) async throws {
        try await server.backplane.setMembership(of: connectionID, in: group, to: true, in: scope)
    }

    public func remove(_ connectionID: String, from group: String) async throws {
        try await server.backplane.setMembership(of: connectionID, in: group, to: false, in: scope)
    }
}

/// Who is connected to this node, and ending their connections.
public struct HubPresence: Sendable {
    let registry: ConnectionRegistry

    /// A connection as other code may see it.
    public struct Member: Sendable, Hashable {
        public let connectionID: String
        public let userID: String?
        public let transport: TransportKind?
    }

    /// The connections of a group, a user, or all, in no order.
    public func members(of target: HubTarget) async -> [Member] {
        await registry.connections(in: target).map {
            Member(connectionID: $0.name, userID: $0.userID, transport: $0.request.transport)
        }
    }

    /// How many connections a group, a user, or the whole hub has.
    public func count(of target: HubTarget = .all) async -> Int { await registry.count(of: target) }
    public func isConnected(_ target: HubTarget) async -> Bool { await count(of: target) > 0 }

    /// Members by group name.
    public func groups() async -> [String: Int] {
        await registry.collect { $0.groupCounts() }.reduce(into: [:]) { $0.merge($1, uniquingKeysWith: +) }
    }

    /// Connections by user id.
    public func users() async -> [String: Int] {
        await registry.collect { $0.userCounts() }.reduce(into: [:]) { $0.merge($1, uniquingKeysWith: +) }
    }

    /// Ends the connections of a user, a group, or all; the clients get `reason` as the error of their Close message.
    /// - Returns: how many connections were ended.
    @discardableResult
    public func disconnect(_ target: HubTarget, reason: String? = nil) async -> Int {
        await registry.close(target, reason: .kicked(reason))
    }
}
