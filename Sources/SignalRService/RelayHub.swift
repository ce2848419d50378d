// SignalBox: a hub of the service: its clients, and no methods of its own
// SPDX-License-Identifier: Apache-2.0

import Logging
import NIOCore
import SignalR

/// What a client of the service is connected to. It has no methods: calls are for app servers.
struct RelayHub: Hub {
    static let methods: [HubMethodDefinition<RelayHub>] = []

    let userGroups: UserGroups

    func onConnected(_ context: HubCallerContext) async throws {
        guard let user = context.userID else { return }
        for group in userGroups.groups(of: user) { try await context.groups.add(context.connectionID, to: group) }
    }
}

/// A hub of the service at work.
final class ServiceHub: Sendable {
    let server: HubServer
    let endpoint: HubEndpoint
    let userGroups = UserGroups()

    init(options: HubOptions, eventLoopGroup: any EventLoopGroup, logger: Logger) throws(HubDefinitionError) {
        self.server = try HubServer(
            RelayHub(userGroups: userGroups), options: options, eventLoopGroup: eventLoopGroup, logger: logger
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
