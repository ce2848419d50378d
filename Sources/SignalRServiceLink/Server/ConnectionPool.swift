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

    /// The way of a message: inside a hub's call by the caller's own connection, behind what the caller is sent; outside by one that is the
    /// same for the same receiver, as long as connections neither come nor go. Both keep the order.
    /// - Throws: ``ServiceLinkError/Code/notConnected``.
    func way(_ scope: CallScope?, to receiver: String) throws -> (server: ServerConnection, caller: Connection?) {
        if let caller = scope?.caller.connection, let client = caller.request.origin as? RemoteClient {
            return (client.server, caller)
        }
        let place = Int(receiver.hashValue.magnitude >> 1)
        let server = connections.withLockedValue { $0.isEmpty ? nil : $0[place % $0.count] }
        guard let server else { throw ServiceLinkError.notConnected }
        return (server, nil)
    }
}
