// SignalBox: a client of ASP.NET SignalR that an app server serves: its messages go both ways as they are
// SPDX-License-Identifier: Apache-2.0

import Logging
import NIOCore
import SignalR
import SignalRClassic
import SignalRWire

/// Relays between one client and the application's server (service reference, "Classic ASP.NET SignalR"). Transports, cursors and replay
/// stay with the service.
///
/// Safety: `relay` is a constant; everything else belongs to the client's event loop.
final class ClassicRelay: ClassicOwner, RelayedClient, @unchecked Sendable {
    private let relay: HubRelay
    private var client: ClassicClient?
    /// Lets the client hear of the service.
    private var ready: (() -> Void)?
    private var lane: ServerLane?
    var laneIndex = -1
    /// Runs while the client waits for an app server to come.
    private var patience: Scheduled<Void>?
    /// Messages that wait for the app server.
    private var waiting: CircularBuffer<ByteBuffer> = []
    private var waitingBytes = 0
    /// The app server knows of the end, or is not there to hear of it.
    private var serverKnows = false

    private static let maximumWaiting = (count: 100, bytes: 1 << 20)
    /// What app servers hear of a client that came back (service reference, "Data").
    private static let reconnectNews = ByteBuffer(staticString: "asrs:reconnect")
    /// The name under which app servers have payloads for classic clients.
    static let protocolName = "json"

    /// - Parameter relay: the application's own hub, which owns its clients.
    init(_ relay: HubRelay) { self.relay = relay }

    // MARK: The client

    func opened(_ client: ClassicClient, ready: @escaping () -> Void) {
        self.client = client
        self.ready = ready
        findServer(client.connection)
    }

    private func findServer(_ connection: Connection) {
        if let lane = relay.lane(for: self, connection, of: .classic) { return open(lane, connection) }
        let isWaiting = relay.servers.wait(connection.id) { connection.onLoop { self.serverCame() } }
        guard patience == nil else { return }
        guard isWaiting else { return refuse() }
        patience = connection.eventLoop.scheduleTask(in: TimeAmount(relay.servers.patience)) { self.refuse() }
    }

    private func serverCame() {
        guard patience != nil, lane == nil, let client else { return }
        findServer(client.connection)
    }

    private func refuse() {
        guard lane == nil, let client else { return }
        client.end(.kicked(relay.refusal(of: client.connection, of: .classic)))
    }

    private func open(_ lane: ServerLane, _ connection: Connection) {
        stopWaiting(connection)
        self.lane = lane
        lane.send(Introduction.message(of: connection, protocol: Self.protocolName, instance: relay.instanceID))
        ready?()
        ready = nil
        goOn()
    }

    private func stopWaiting(_ connection: Connection) {
        guard let timeout = patience else { return }
        timeout.cancel()
        patience = nil
        relay.servers.stopWaiting(connection.id)
    }

    func receive(_ text: ByteBuffer) {
        if let lane, !lane.isCongested, waiting.isEmpty { return pass(text, lane) }
        guard waiting.count < Self.maximumWaiting.count,
            waitingBytes + text.readableBytes <= Self.maximumWaiting.bytes
        else {
            client?.refuse(text)
            return
        }
        waiting.append(text)
        waitingBytes += text.readableBytes
    }

    func goOn() {
        while let lane, !lane.isCongested, let text = waiting.popFirst() {
            waitingBytes -= text.readableBytes
            pass(text, lane)
        }
    }

    private func pass(_ text: ByteBuffer, _ lane: ServerLane) {
        guard let client else { return }
        lane.send(.connectionData(id: client.connection.id.description, text, []))
    }

    func reconnected() { receive(Self.reconnectNews) }

    func closed(_ reason: CloseReason) {
        guard let connection = client?.connection else { return }
        stopWaiting(connection)
        if let lane {
            lane.remove(self)
            relay.servers.release(lane.session)
            let error = reason.isGraceful ? "" : reason.description
            if !serverKnows {
                lane.send(.closeConnection(id: connection.id.description, error: error, headers: [], []))
            }
        }
        client = nil
        ready = nil
        lane = nil
        waiting = []
    }

    // MARK: The app server

    func isOwned(by server: ServerSession) -> Bool { lane?.session === server }

    /// From any app server of the application: not only the one that owns the client has words for it.
    func received(_ bytes: ByteBuffer, from server: ServerSession) {
        do {
            for content in try ClassicContent.read(bytes) { receive(content) }
        } catch {
            server.log("A message of the app server for a classic client cannot be read", error: error)
        }
    }

    func receive(_ content: ClassicContent) {
        switch content {
        case .messages(let values): client?.send(Outgoing(.encoded([ClassicHubCodec.messagesName: values])))
        case .result(let id, let json): client?.answer(json, to: id)
        }
    }

    func closedByServer(_ error: String?) {
        serverKnows = true
        client?.end(.serverClosed(error))
    }

    func serverLost(_ reason: CloseReason) {
        serverKnows = true
        laneIndex = -1
        client?.end(reason)
    }

    /// Classic clients cannot move; they stay until the end.
    func leaveServer() {}
    func paused(by server: ServerSession) {}
}
