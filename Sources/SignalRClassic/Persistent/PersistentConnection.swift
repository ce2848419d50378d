// SignalBox: connections without hubs for classic clients: messages in the application's own format
// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
public import NIOCore
public import SignalR
import SignalRWire

/// What an application does with clients that talk to it without hubs (ASP.NET SignalR's PersistentConnection). One value serves all.
public protocol PersistentConnection: Sendable {
    /// Runs once per client, when it says that it is ready. Throwing ends the connection.
    func onConnected(_ client: PersistentClient) async throws
    /// What a client sent: strings as they are, everything else as JSON text. Messages of one client may run at the same time.
    func onReceived(_ data: String, from client: PersistentClient) async throws
    /// A client came back on a new transport, perhaps to a server that never saw it before.
    func onReconnected(_ client: PersistentClient) async throws
    /// - Parameter stopCalled: whether the client left on purpose, rather than stayed away too long.
    func onDisconnected(_ client: PersistentClient, stopCalled: Bool) async throws
    /// The groups that a client has again after this server has forgotten it, out of those that its groups token names.
    func rejoining(_ groups: [String], _ client: PersistentClient) async -> [String]
}

extension PersistentConnection {
    public func onConnected(_ client: PersistentClient) async throws {}
    public func onReceived(_ data: String, from client: PersistentClient) async throws {}
    public func onReconnected(_ client: PersistentClient) async throws {}
    public func onDisconnected(_ client: PersistentClient, stopCalled: Bool) async throws {}
    public func rejoining(_ groups: [String], _ client: PersistentClient) async -> [String] { groups }
}

/// A client of a persistent connection. Stays valid after it left; what is sent then goes nowhere.
public struct PersistentClient: Sendable {
    private let context: HubCallerContext

    init(_ context: HubCallerContext) { self.context = context }

    /// The public id, a GUID, which the client knows as well.
    public var connectionID: String { self.context.connectionID }
    public var userID: String? { self.context.userID }
    public var user: HubUser? { self.context.user }
    /// Values that live as long as the connection.
    public var items: ConnectionItems { self.context.items }
    /// A value of the query of the request that opened the connection.
    public func query(_ name: String) -> String? { self.context.query(name) }
    public var remoteAddress: SocketAddress? { self.context.remoteAddress }

    /// Everybody, and groups.
    public var peers: PersistentPeers { PersistentPeers(server: self.context.caller.server) }

    /// Sends a value to this client.
    /// - Throws: `EncodingError` when it has no representation.
    public func send(_ value: some Encodable & Sendable) async throws {
        try await self.peers.send(value, to: .connections([self.connectionID]))
    }

    /// Returns when the client is a member: what is sent to the group afterwards reaches it.
    public func join(_ group: String) async throws { try await self.context.groups.add(self.connectionID, to: group) }
    public func leave(_ group: String) async throws {
        try await self.context.groups.remove(self.connectionID, from: group)
    }
    /// Ends the connection; the client does not come back by itself.
    public func abort() { self.context.abort() }
}

/// Sending to many clients of a persistent connection at once; a value is encoded once for all.
public struct PersistentPeers: Sendable {
    let server: HubServer

    /// Sends a value, which becomes JSON as hub arguments do.
    /// - Parameter excluding: connection ids that get nothing.
    /// - Throws: `EncodingError` when it has no representation; `HubProtocolError` when JSON cannot express it.
    public func send(
        _ value: some Encodable & Sendable, to target: HubTarget = .all, excluding: [String] = []
    ) async throws {
        var json = ByteBuffer()
        try ClassicCodec.write(HubPayload(encoding: value), into: &json)
        try await self.send(json: json, to: target, excluding: excluding)
    }

    /// The same with one JSON value that is encoded already. It must be one line.
    public func send(json: ByteBuffer, to target: HubTarget = .all, excluding: [String] = []) async throws {
        try await self.server.backplane.publish(
            Outgoing(.encoded([ClassicHubCodec().name: json])), to: target, excluding: excluding, in: nil)
    }

    public var presence: HubPresence { self.server.context.presence }
    /// Adding and removing group members by connection id.
    public var groups: HubGroups { self.server.context.groups }
}

/// A hub without methods, whose registry and backplane carry a persistent connection.
struct NoHub: Hub {
    static let methods: [HubMethodDefinition<NoHub>] = []
}
