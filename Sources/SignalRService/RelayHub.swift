// SignalBox: a hub of the service: its clients, and no methods of its own
// SPDX-License-Identifier: Apache-2.0

import Logging
import NIOCore
import SignalR
import SignalRWire

/// What a client of the service is connected to. It has no methods: calls are for app servers or for upstream.
struct RelayHub: Hub {
    static let methods: [HubMethodDefinition<RelayHub>] = []

    let userGroups: UserGroups
    /// Who hears of clients and their calls in serverless mode.
    let upstream: UpstreamHub?

    func onConnected(_ context: HubCallerContext) async throws {
        if let user = context.userID {
            let (groups, connection) = (userGroups.groups(of: user), context.connection)
            await connection.run {
                for group in groups { connection.shard.join(connection, group: group, withUser: true) }
            }
        }
        try await upstream?.connected(context)
    }

    func onDisconnected(_ context: HubCallerContext, reason: (any Error)?) async throws {
        upstream?.disconnected(context, reason)
    }
}

/// A protocol under another name.
struct RenamedCodec: HubCodec {
    let name: String
    private let codec: any HubCodec

    init(_ name: String, _ codec: any HubCodec) {
        self.name = name
        self.codec = codec
    }

    var transferFormat: TransferFormat { codec.transferFormat }
    var maximumVersion: Int { codec.maximumVersion }

    func read(from buffer: inout ByteBuffer, maximumSize: Int?) throws(HubProtocolError) -> HubMessage? {
        try codec.read(from: &buffer, maximumSize: maximumSize)
    }

    func write(_ message: HubMessage, into buffer: inout ByteBuffer) throws(HubProtocolError) {
        try codec.write(message, into: &buffer)
    }
}

/// A hub of the service at work.
final class ServiceHub: Sendable {
    let server: HubServer
    let endpoint: HubEndpoint
    let relay: HubRelay
    let userGroups: UserGroups
    let upstream: UpstreamHub?

    init(
        mode: ServiceMode, options: HubOptions, relayOptions: RelayOptions, userGroups: UserGroups,
        upstream: UpstreamHub?, gate: (any Gate)?, instanceID: String, eventLoopGroup: any EventLoopGroup,
        logger: Logger
    ) throws(HubDefinitionError) {
        var options = options
        // Blazor's protocol is MessagePack's with a name of its own.
        options.codecs += [RenamedCodec("blazorpack", MessagePackHubCodec())]
        self.userGroups = userGroups
        self.upstream = upstream
        self.server = try HubServer(
            RelayHub(userGroups: userGroups, upstream: upstream), options: options, eventLoopGroup: eventLoopGroup,
            logger: logger, callTaker: upstream, unknownMethod: Self.unserved)
        self.relay = HubRelay(
            mode: mode, registry: server.registry, userGroups: userGroups, options: relayOptions, clients: options,
            instanceID: instanceID, logger: logger)
        let (server, relay) = (server, relay)
        let registry = server.registry
        userGroups.watch(on: eventLoopGroup.next()) { [weak userGroups, weak registry] user, groups in
            for shard in registry?.shards ?? [] {
                shard.eventLoop.execute {
                    // The user may have been put there again in the meantime.
                    let over = Set(groups).subtracting(userGroups?.groups(of: user) ?? [])
                    for connection in shard.members(of: .users([user])) {
                        for group in over { shard.userLeft(connection, group: group) }
                    }
                }
            }
        }
        self.endpoint = HubEndpoint(
            registry: server.registry, options: options, logger: logger, offer: { relay.offer(to: $0) }, gate: gate
        ) { connection in
            Self.session(of: connection, relay, server)
        }
    }

    private static func session(
        of connection: Connection, _ relay: HubRelay, _ server: HubServer
    ) -> any ConnectionSession {
        connection.wantsDetails = connection.user?.claims["asrs.s.derror"]?.isTrue == true
        return relay.routesNewClients ? RelaySession(connection, relay: relay) : server.makeSession(connection)
    }

    /// The same hub under other options for requests and clients to come. Those that are there stay with what they came with.
    init(_ other: ServiceHub, options: HubOptions) {
        let server = HubServer(other.server, options: options)
        let relay = HubRelay(other.relay, clients: server.options)
        self.server = server
        self.relay = relay
        self.userGroups = other.userGroups
        self.upstream = other.upstream
        self.endpoint = HubEndpoint(other.endpoint, options: server.options, offer: { relay.offer(to: $0) }) {
            connection in
            Self.session(of: connection, relay, server)
        }
    }

    var registry: ConnectionRegistry { server.registry }

    /// What the caller of `target` is told when there is nobody who could answer.
    static func unserved(_ target: String) -> String {
        "Failed to invoke '\(target)' because no app server is connected to this hub."
    }

    /// Calls a client and waits for its completion, as long as the task is not cancelled.
    /// - Throws: ``HubConnectionError``, ``ClientInvocations/Failure`` when there will be none.
    func ask(_ id: String, _ invocation: HubMessage.Invocation) async throws -> HubMessage.Completion.Outcome {
        if let outcome = try await relay.ask(id, invocation) { return outcome }
        var invocation = invocation
        invocation.id = server.results.nextID()
        return try await server.backplane.ask(id, invocation, in: nil)
    }

    /// The current connections of a user.
    func connections(of user: String) async -> [String] {
        await registry.connections(in: .users([user])).map(\.id.description)
    }
}
