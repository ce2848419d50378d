// SignalBox: one connection of an app server: handshake, pings, bounds, end
// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import Logging
import NIOConcurrencyHelpers
import NIOCore
import SignalR
import SignalRWire
import Synchronization

/// Speaks the service protocol with an app server (service reference, "Server-connection life").
///
/// Safety: constants, atomics and what is behind a lock may be used from anywhere; the rest belongs to the connection's event loop.
final class ServerSession: ConnectionSession, @unchecked Sendable {
    // MARK: Constants

    let connection: Connection
    /// nil when the hub that the request named is not there.
    let relay: HubRelay?
    /// The same for all connections of one server process.
    let serverID: String
    let generation: Generation
    /// The app server's own name for this connection.
    private let connectionID: String

    // MARK: State, on the event loop

    private var phase = Phase.handshake
    private var lastReceived: UInt32
    private var lastSent: UInt32
    private var isCongested = false
    /// Lanes with work of the current read.
    private var waitingLanes: [ServerLane] = []

    private enum Phase {
        /// Can go to `running` or `over`.
        case handshake
        /// Can go to `over`.
        case running
        case over
    }

    // MARK: From any thread

    private struct Lanes {
        var all: [ServerLane] = []
        var isOver = false
    }
    private let lanes = NIOLockedValueBox(Lanes())
    /// Reads of this connection that clients' event loops are not done with.
    private let workInFlight = Atomic(0)
    private static let maximumWork = 64
    private let known = NIOLockedValueBox<ServerDescription?>(nil)

    /// What the handshake said; nil before it.
    var description: ServerDescription? { known.withLockedValue { $0 } }
    var canPause: Bool { description?.canPause ?? false }

    init(_ connection: Connection, relay: HubRelay?) {
        self.connection = connection
        self.relay = relay
        self.lastReceived = connection.now
        self.lastSent = connection.now
        let request = connection.request
        self.generation = Generation(serverPath: request.path)
        let connectionID = Query.value(of: "cid", in: request.rawQuery) ?? connection.id.description
        self.connectionID = connectionID
        self.serverID = request.headers[.serverID] ?? connection.user?.id ?? connectionID
    }

    // MARK: Input

    func opened() {
        connection.use(codec: 0)
        connection.register()
        lastReceived = connection.now
        lastSent = connection.now
    }

    func resumed() {}

    /// Clients' event loops have a lot to do for this app server already.
    var isBusy: Bool { workInFlight.load(ordering: .relaxed) >= Self.maximumWork }

    func receive(_ bytes: inout ByteBuffer) {
        lastReceived = connection.now
        do {
            while phase != .over, !isBusy, let message = try ServiceCodec.read(from: &bytes) {
                if phase == .running { receive(message) } else { shakeHands(message) }
            }
        } catch {
            log("The app server sent what is no message", error: error)
            // What came before holds.
            dispatch()
            connection.close(.protocolError("\(error)", detailed: false))
        }
        dispatch()
    }

    func inputEnded() { connection.close(.transportEnded) }

    // MARK: Handshake

    private func shakeHands(_ message: ServiceMessage) {
        guard case .handshakeRequest(let request) = message else {
            return connection.close(.handshakeFailed("another message came first"))
        }
        switch answer(request) {
        case .success(let description):
            known.withLockedValue { $0 = description }
            write(.handshakeResponse(error: "", connectionID: nil, []))
            phase = .running
            relay?.servers.add(self, description)
            log("An app server connected", level: .info)
            tellObserver("App server connected")
        case .failure(let refusal):
            write(.handshakeResponse(error: refusal.text, connectionID: nil, []))
            connection.close(.handshakeFailed(refusal.text))
        }
    }

    private struct Refusal: Error { let text: String }

    private func answer(_ request: ServiceMessage.HandshakeRequest) -> Result<ServerDescription, Refusal> {
        guard let relay else { return .failure(.init(text: "The hub does not exist.")) }
        guard request.version == 1 else {
            return .failure(.init(text: "Version \(request.version) of the service protocol is not supported."))
        }
        guard let kind = ServerDescription.Kind(rawValue: request.connectionType) else {
            return .failure(.init(text: "Connection type \(request.connectionType) is not supported."))
        }
        if relay.mode == .serverless, kind != .weak {
            return .failure(.init(text: "App servers cannot serve clients while the service is in serverless mode."))
        }
        if kind == .onDemand, let target = request.target, !target.isEmpty, target != relay.instanceID {
            return .failure(.init(text: "The target \(target) is not here."))
        }
        return .success(
            ServerDescription(
                kind: kind, generation: generation, serverID: serverID, canMigrate: request.migrationLevel > 0,
                canPause: request.allowsStatefulReconnects != nil,
                allowsStatefulReconnects: request.allowsStatefulReconnects ?? false))
    }

    // MARK: Output

    /// From any thread.
    func send(_ message: ServiceMessage) { connection.onLoop { self.write(message) } }

    /// Asks the app server for one more connection to this service.
    func requestConnection() {
        guard let relay else { return }
        send(.ping(["target", relay.instanceID]))
    }

    /// On the event loop.
    func write(_ message: ServiceMessage) {
        var bytes = ByteBuffer()
        do {
            try ServiceCodec.write(message, into: &bytes)
        } catch {
            return log("A message for the app server cannot be written", error: error)
        }
        write(bytes)
    }

    /// Queues whole messages, in frames of moderate size, since some peers refuse large ones; on the event loop.
    func write(_ bytes: ByteBuffer) {
        guard phase != .over else { return }
        lastSent = connection.now
        var bytes = bytes
        while let piece = bytes.readSlice(length: min(bytes.readableBytes, Self.frameSize)), piece.readableBytes > 0,
            let frame = connection.format.packaging.wrap(piece)
        {
            connection.enqueue(Batch(frame))
        }
        if connection.queuedBytes > window { setCongested(true) }
    }

    private static let frameSize = 1 << 17

    /// Bytes that may wait for the app server before its clients do.
    var window: Int { relay?.options.serverWindow ?? 0 }

    /// Once what was queued has left, clients may go on.
    func writabilityChanged(_ canWrite: Bool) { if canWrite { checkCongestion() } }

    private func checkCongestion() {
        if isCongested, connection.queuedBytes <= window { setCongested(false) }
    }

    private func setCongested(_ isCongested: Bool) {
        guard self.isCongested != isCongested else { return }
        self.isCongested = isCongested
        if isCongested { log("The app server does not read; its clients wait", level: .info) }
        let lanes = lanes.withLockedValue { $0.all }
        for lane in lanes { lane.eventLoop.execute { lane.setServerSlow(isCongested) } }
        // The socket may take all of it at the end of this tick, and then there is no change of writability to wait for.
        if isCongested { connection.eventLoop.execute { self.checkCongestion() } }
    }

    // MARK: Lanes

    /// The way to the clients of an event loop; nil when the app server is gone. From any thread.
    func lane(for eventLoop: any EventLoop) -> ServerLane? {
        lanes.withLockedValue { lanes in
            if let lane = lanes.all.first(where: { $0.eventLoop === eventLoop }) { return lane }
            guard !lanes.isOver else { return nil }
            let lane = ServerLane(self, on: eventLoop)
            lanes.all.append(lane)
            return lane
        }
    }

    func workBegan() { workInFlight.add(1, ordering: .relaxed) }

    /// From any thread.
    func workEnded() {
        guard workInFlight.subtract(1, ordering: .relaxed).newValue == Self.maximumWork - 1 else { return }
        connection.onLoop { [connection] in connection.process() }
    }

    /// On the event loop.
    func needsDispatch(_ lane: ServerLane) { waitingLanes.append(lane) }

    private func dispatch() {
        let lanes = waitingLanes
        waitingLanes = []
        for lane in lanes { lane.dispatch() }
    }

    /// Runs `work` for every client that this app server owns, on the client's event loop.
    func forEachClient(_ work: @escaping @Sendable (any RelayedClient) -> Void) {
        for lane in lanes.withLockedValue({ $0.all }) {
            lane.run { for client in Array(lane.clients) { work(client) } }
        }
    }

    // MARK: Time

    func heartbeat() {
        guard let relay else { return connection.closeSoon(.handshakeFailed("no such hub")) }
        let now = connection.now
        switch phase {
        case .handshake:
            if now &- lastReceived >= relay.options.handshakeTimeout.wholeSeconds {
                connection.closeSoon(.handshakeFailed("timeout"))
            }
        case .running:
            if now &- lastReceived > relay.options.serverTimeout.wholeSeconds {
                return connection.closeSoon(.serverSilent)
            }
            if now &- lastSent >= relay.options.pingInterval.wholeSeconds { write(.ping([])) }
            checkCongestion()
        case .over: break
        }
    }

    // MARK: End

    func willClose(_ reason: CloseReason) {}

    func closed(_ reason: CloseReason, finished: @escaping @Sendable () -> Void) {
        let wasRunning = phase == .running
        phase = .over
        relay?.servers.remove(self)
        if let relay { relay.invocations.hand(callsOf: self, to: relay.servers.connection(ofServer: serverID)) }
        let lanes = lanes.withLockedValue { lanes in
            lanes.isOver = true
            defer { lanes.all = [] }
            return lanes.all
        }
        let clientReason = reason == .shutdown ? CloseReason.shutdown : .serverLost
        for lane in lanes { lane.eventLoop.execute { lane.end(clientReason) } }
        if wasRunning {
            log("An app server's connection ended", level: .info, detail: "\(reason)")
            tellObserver("App server's connection ended", "\(reason)")
        }
        finished()
    }

    // MARK: Log

    private func tellObserver(_ text: String, _ detail: String? = nil) {
        guard let observer = relay?.registry.observer as? HubObserver else { return }
        observer.server(text, detail: [serverID, detail].compactMap { $0 }.joined(separator: ", "))
    }

    func log(_ text: String, error: any Error) { log(text, level: .warning, detail: "\(error)") }

    func log(_ text: String, level: Logger.Level, detail: String? = nil) {
        var metadata: Logger.Metadata = ["signalr.server.id": "\(serverID)"]
        metadata["signalr.server.connection.id"] = "\(connectionID)"
        if let detail { metadata["detail"] = "\(detail)" }
        relay?.logger.log(level: level, "\(text)", metadata: metadata)
    }
}

extension HTTPField.Name {
    // `init(parsed:)` fails for a name that is no token only.
    static let serverID = Self(parsed: "x-asrs-server-id") ?? .server
}
