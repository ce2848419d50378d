// SignalBox: a client of the service as its hub sees it: a connection whose transport is a server connection
// SPDX-License-Identifier: Apache-2.0

import NIOCore
import SignalR
import SignalRWire

/// The virtual transport of one client (service reference, "Client life in Default mode").
///
/// Safety: constants may be read anywhere; the rest belongs to the server connection's event loop, which is the connection's too.
final class RemoteClient: Transport, ConnectionOrigin, @unchecked Sendable {
    // MARK: Constants

    let connectionName: String
    let server: ServerConnection
    /// The service instance that the client is at.
    let instance: String?
    /// What hub code is told; the service keeps the true one to itself.
    let kind = TransportKind.webSockets

    // MARK: State, on the event loop

    private var connection: Connection?
    /// A client that moved here was answered by the server that it had before.
    private var swallowsHandshake: Bool
    /// Whether the service need not be told of the end.
    private var isSilent = false
    private var isPaused = false
    /// The service waits for the client to come to rest.
    private var isPausing = false

    init(_ introduction: ServiceMessage.OpenConnection, server: ServerConnection) {
        self.connectionName = introduction.id
        self.server = server
        let headers = introduction.headers
        self.instance = headers.first { $0.name.lowercased() == ServiceHeader.instanceID }?.values.first
        self.swallowsHandshake = headers.contains { $0.name.lowercased() == ServiceHeader.migrateFrom }
    }

    /// Makes the connection that hub code sees.
    func begin(_ introduction: ServiceMessage.OpenConnection) {
        let hub = server.link.hub
        let (user, userID) = ClientClaims.user(introduction.claims)
        let connection = Connection(
            id: ConnectionID(named: introduction.id), registry: hub.registry, eventLoop: server.eventLoop,
            limits: server.link.limits, user: user, userID: userID,
            request: RequestFeatures(HubRequest(introduction), origin: self))
        connection.isStateful = hub.options.allowStatefulReconnects
        connection.begin(hub.makeSession(connection))
        connection.onRemoved = { [link = server.link] _ in link.clientLeft() }
        self.connection = connection
        connection.attach(self)
    }

    // MARK: From the service

    func receive(_ bytes: ByteBuffer) {
        guard let connection else { return }
        connection.receive(bytes)
        if connection.isOverfull { connection.close(.inboundQueueFull) }
    }

    /// The client is gone, or moves to another app server.
    func closedByService(_ error: String?, isMoving: Bool) {
        isSilent = true
        let error = error.flatMap { $0.isEmpty ? nil : $0 }
        connection?.close(isMoving ? .moved : .serviceClosed(error))
    }

    func serviceLost(_ detail: String) {
        isSilent = true
        connection?.close(.serviceLost(detail))
    }

    /// The client is back, on a new transport of the service; what it has not acknowledged is sent again.
    func reconnected() { connection?.resume(self) }

    /// The service is about to move the client (service reference, "Stateful reconnect, migration, flow control").
    func flow(_ operation: Int32) {
        switch operation {
        case FlowControl.pause:
            isPausing = true
            pauseIfAtRest()
        case FlowControl.resume:
            (isPausing, isPaused) = (false, false)
            writabilityChanged()
        case FlowControl.offline: serviceLost("offline")
        default: break
        }
    }

    func heartbeat() { pauseIfAtRest() }

    /// Calls and streams end first: nobody else could answer them. If they take too long the service gives up.
    private func pauseIfAtRest() {
        guard isPausing, let connection, connection.session?.owesAnswers == false else { return }
        connection.flush()
        (isPausing, isPaused) = (false, true)
        writabilityChanged()
        server.write(
            .flowControl(id: connectionName, kind: FlowControl.client, operation: FlowControl.pauseAck, []))
    }

    func writabilityChanged() { connection?.writabilityChanged(canWrite, of: self) }

    // MARK: Transport

    var canWrite: Bool { !isPaused && server.canWrite }

    func packaging(for format: TransferFormat) -> Packaging { .bare }

    func write(_ bytes: ByteBuffer) {
        guard !isSilent else { return }
        var bytes = bytes
        if swallowsHandshake {
            swallowsHandshake = false
            guard let end = bytes.readableBytesView.firstIndex(of: 0x1E) else { return }
            bytes.moveReaderIndex(to: end + 1)
        }
        server.write(bytes, of: connectionName)
    }

    func resumeReading() {}

    func close(_ reason: CloseReason) {
        connection = nil
        guard server.clients[connectionName] === self else { return }
        server.clients[connectionName] = nil
        guard !isSilent else { return }
        isSilent = true
        let error = reason.isGraceful ? "" : reason.detail ?? reason.name
        server.write(.closeConnection(id: connectionName, error: error, headers: [], []))
    }
}
