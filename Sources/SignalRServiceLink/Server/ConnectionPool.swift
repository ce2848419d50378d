// SignalBox: the server connections that are there
// SPDX-License-Identifier: Apache-2.0

import NIOConcurrencyHelpers
import SignalR

/// Those of one hub that have shaken hands. Any may carry any message about the hub (service reference, "Server-connection life").
final class ConnectionPool: Sendable {
    private let connections = NIOLockedValueBox<[ServerConnection]>([])

    var all: [ServerConnection] { connections.withLockedValue { $0 } }
    var isEmpty: Bool { connections.withLockedValue { $0.isEmpty } }

    func add(_ connection: ServerConnection) { connections.withLockedValue { $0.append(connection) } }

    func remove(_ connection: ServerConnection) {
        connections.withLockedValue { $0.removeAll { $0 === connection } }
    }

    /// Inside a hub's call the caller's own connection, which keeps the order; outside any.
    /// - Throws: ``ServiceLinkError/Code/notConnected``.
    func pick(_ scope: CallScope?) throws -> ServerConnection {
        if let client = scope?.caller.connection.request.origin as? RemoteClient { return client.server }
        guard let connection = connections.withLockedValue({ $0.randomElement() }) else {
            throw ServiceLinkError.notConnected
        }
        return connection
    }
}
