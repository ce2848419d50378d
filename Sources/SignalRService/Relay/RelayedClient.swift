// SignalBox: a client that an app server serves, of either generation
// SPDX-License-Identifier: Apache-2.0

import Logging
import NIOCore
import SignalR
import SignalRClassic

/// What app servers and their lanes need of a client. To be used on the client's event loop.
protocol RelayedClient: AnyObject {
    /// The place in the lane's list; -1 for none.
    var laneIndex: Int { get set }
    func isOwned(by server: ServerSession) -> Bool
    /// Bytes for the client alone.
    func received(_ bytes: ByteBuffer, from server: ServerSession)
    /// The app server ended the connection.
    func closedByServer(_ error: String?)
    /// The app server is gone.
    func serverLost(_ reason: CloseReason)
    /// The app server reads again.
    func goOn()
    /// The app server stops.
    func leaveServer()
    /// Nothing for the client is on its way from the app server any more.
    func paused(by server: ServerSession)
}

extension Connection {
    /// What stands between the client and its app server; nil for a client that has none. On the event loop.
    var relayed: (any RelayedClient)? { session as? RelaySession ?? (classicOwner as? ClassicRelay) }
}

extension HubRelay {
    /// Finds a client an app server of its generation; nil when there is none now.
    func lane(for client: any RelayedClient, _ connection: Connection, of generation: Generation) -> ServerLane? {
        let stickiness = Stickiness(connection.user)
        while let server = servers.assign(stickiness, generation) {
            if let lane = server.lane(for: connection.eventLoop), lane.add(client) { return lane }
            servers.release(server)
        }
        return nil
    }

    /// What a client is told that no app server takes.
    func refusal(of connection: Connection, of generation: Generation) -> String {
        guard case .required(let id) = Stickiness(connection.user), servers.serve(generation) else {
            return "SignalR Service is now in 'Default' service mode. Current mode works as a proxy that routes client "
                + "traffic to the connected app servers. However app servers are not connected."
        }
        logger.debug(
            "The server that a client belongs to is not here", metadata: ["signalr.server.id": "\(id)"])
        return "The app server that this client has to be connected to is not available."
    }
}
