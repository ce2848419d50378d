// SignalBox: a hub as classic clients see it
// SPDX-License-Identifier: Apache-2.0

public import SignalR
package import SignalRWire

/// A hub that classic clients may use, under the name they know.
public struct ClassicHub: Sendable {
    let server: HubServer
    let name: String
    /// Whether the name was given, so that scripts keep its spelling.
    let hasOwnName: Bool
    let rejoining: @Sendable ([String], HubCallerContext) async -> [String]

    /// - Parameters:
    ///   - server: the hub at work, as `router.signalR(…)` returns it; its clients of ASP.NET Core and its classic ones meet there.
    ///   - name: what clients call it, without regard to case; default the name of its type.
    ///   - rejoining: the groups that a client may have again after this server has forgotten it, out of those that its groups token
    ///     names; default all of them.
    public init(
        _ server: HubServer, name: String? = nil,
        rejoining: @escaping @Sendable (_ groups: [String], _ context: HubCallerContext) async -> [String] = {
            groups, _ in groups
        }
    ) {
        self.server = server
        self.name = name ?? server.name
        self.hasOwnName = name != nil
        self.rejoining = rejoining
    }
}

/// What a client is seated in: a hub, or the one persistent connection of its endpoint.
package struct ClassicApplication: Sendable {
    /// The hub's name; nil for a persistent connection.
    let name: String?
    let server: HubServer
    let connected: @Sendable (HubCallerContext) async throws -> Void
    let reconnected: @Sendable (HubCallerContext) async throws -> Void
    let disconnected: @Sendable (HubCallerContext, CloseReason) async throws -> Void
    /// What a persistent connection does with a message; nil for hubs.
    let received: (@Sendable (HubCallerContext, String) async throws -> Void)?
    let rejoining: @Sendable ([String], HubCallerContext) async -> [String]
    /// Who answers what clients call, if that is no method of the hub.
    let answer: Answer?
    /// Whether the client listed it, and so knows what to do with calls of it.
    let isListed: Bool

    package typealias Received = @Sendable (HubCallerContext, String) async throws -> Void
    package typealias Answer =
        @Sendable (HubMessage.Invocation, HubCallerContext) async -> HubMessage.Completion.Outcome

    /// A hub whose code runs elsewhere.
    /// - Parameter received: what becomes of messages of clients without hubs.
    package init(
        name: String, server: HubServer, received: Received? = nil, isListed: Bool = true, answer: @escaping Answer
    ) {
        self.name = name
        self.server = server
        self.connected = { try await server.connected($0) }
        self.reconnected = { try await server.reconnected($0) }
        self.disconnected = { try await server.disconnected($0, $1.isGraceful ? nil : $1) }
        self.received = received
        self.rejoining = { groups, _ in groups }
        self.answer = answer
        self.isListed = isListed
    }

    init(_ hub: ClassicHub) {
        let server = hub.server
        self.answer = nil
        self.isListed = true
        self.name = hub.name
        self.server = server
        self.connected = { try await server.connected($0) }
        self.reconnected = { try await server.reconnected($0) }
        self.disconnected = { try await server.disconnected($0, $1.isGraceful ? nil : $1) }
        self.received = nil
        self.rejoining = hub.rejoining
    }

    /// What its groups begin with in a groups token.
    var groupPrefix: String { self.name.map { "\($0)." } ?? "" }
}

extension ClassicApplication {
    init<C: PersistentConnection>(_ connection: C, _ server: HubServer) {
        self.name = nil
        self.answer = nil
        self.isListed = true
        self.server = server
        self.connected = { try await connection.onConnected(PersistentClient($0)) }
        self.reconnected = { try await connection.onReconnected(PersistentClient($0)) }
        self.disconnected = { try await connection.onDisconnected(PersistentClient($0), stopCalled: $1.isGraceful) }
        self.received = { try await connection.onReceived($1, from: PersistentClient($0)) }
        self.rejoining = { await connection.rejoining($0, PersistentClient($1)) }
    }
}
