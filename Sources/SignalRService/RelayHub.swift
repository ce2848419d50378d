// SignalBox: a hub of the service: its clients, and no methods of its own
// SPDX-License-Identifier: Apache-2.0

import Logging
import NIOCore
import SignalR

/// What a client of the service is connected to. It has no methods: calls are for app servers or for upstream.
struct RelayHub: Hub {
    static let methods: [HubMethodDefinition<RelayHub>] = []

    let userGroups: UserGroups
    /// Who hears of clients and their calls in serverless mode.
    let upstream: UpstreamHub?

    func onConnected(_ context: HubCallerContext) async throws {
        if let user = context.userID {
            for group in userGroups.groups(of: user) { try await context.groups.add(context.connectionID, to: group) }
        }
        try await upstream?.connected(context)
    }

    func onDisconnected(_ context: HubCallerContext, reason: (any Error)?) async throws {
        upstream?.disconnected(context, reason)
    }
}

/// A hub of the service at work.
final class ServiceHub: Sendable {
    let server: HubServer
    let endpoint: HubEndpoint
    let userGroups: UserGroups

    init(
        options: HubOptions, userGroups: UserGroups, upstream: UpstreamHub?, eventLoopGroup: any EventLoopGroup,
        logger: Logger
    ) throws(HubDefinitionError) {
        self.userGroups = userGroups
        self.server = try HubServer(
            RelayHub(userGroups: userGroups, upstream: upstream), options: options, eventLoopGroup: eventLoopGroup,
            logger: logger, callTaker: upstream
        ) { target in
            "Failed to invoke '\(target)' because no app server is connected to this hub."
        }
        self.endpoint = HubEndpoint(server)
    }

    var registry: ConnectionRegistry { server.registry }

    /// The current connections of a user.
    func connections(of user: String) async -> [String] {
        await registry.connections(in: .users([user])).map(\.id.description)
    }
}
