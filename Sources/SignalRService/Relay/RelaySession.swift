// SignalBox: a client that an app server serves: its bytes go both ways as they are
// SPDX-License-Identifier: Apache-2.0

import NIOCore
import SignalR
import SignalRWire

/// Reads a client's handshake, finds it an app server, and relays from then on (service reference, "Client life in Default mode").
///
/// Safety: `connection` and `relay` are constants; everything else belongs to the connection's event loop.
final class RelaySession: ConnectionSession, RelayedClient, @unchecked Sendable {
    let connection: Connection
    private let relay: HubRelay

    private var phase = Phase.handshake
    /// The client's handshake, which its app server gets to see: the version in its usual form, or all of it in any other.
    private var version: Int32 = 0
    private var unusualHandshake: [UInt8]?
    private var lane: ServerLane?
    /// The place in the lane's list.
    var laneIndex = -1
    private var cutter = FrameCutter()
    /// Ids of questions that the client has not answered.
    private var questions: Set<String> = []
    /// The app server knows of the end, or is not there to hear of it.
    private var serverKnows = false
    /// The server that the client is about to move to, until the old one says that nothing is on its way.
    private var move: Move?

    /// Indirect, like the time limit below: every client has room for what few need.
    private indirect enum Move {
        case to(ServerSession, until: Scheduled<Void>)
    }

    private enum Phase {
        /// Can go to `waiting`, `opening` or `over`.
        case handshake
        /// No app server is there yet; can go to `opening` or `over`.
        indirect case waiting(Scheduled<Void>)
        /// The app server has been told, and its handshake response has yet to come; can go to `running` or `over`.
        case opening
        /// Can go to `over`.
        case running
        case over
    }

    private static let maximumQuestions = 1_000

    init(_ connection: Connection, relay: HubRelay) {
        self.connection = connection
        self.relay = relay
    }

    /// The app server numbers and keeps messages for stateful clients.
    var outlivesTransport: Bool { connection.isStateful }

    // MARK: What others see

    /// The way to the app server that owns the client.
    var owner: ServerLane? { lane }
    func isOwned(by server: ServerSession) -> Bool { lane?.session === server }
    var protocolName: String { codec.name }
    private var codec: any HubCodec { connection.registry.codecs[Int(connection.format.codec)] }

    // MARK: Input

    func opened() {
        // The app may have a time of its own between two polls.
        guard connection.transport?.kind == .longPolling,
            let seconds = connection.user?.claims["asrs.s.ttl"]?.seconds, (1...300).contains(seconds)
        else { return }
        connection.disconnectTimeout = UInt32(seconds)
    }

    var isBusy: Bool {
        switch phase {
        case .waiting: true
        case .opening, .running: move != nil || lane?.isCongested == true
        case .handshake, .over: false
        }
    }

    func receive(_ bytes: inout ByteBuffer) {
        if case .handshake = phase { shakeHands(&bytes) }
        switch phase {
        case .opening, .running:
            guard !isBusy, let lane, let piece = nextPiece(of: &bytes) else { return }
            guard connection.meter?.admits(piece, codec.transferFormat) != false else {
                return connection.close(.rateLimited)
            }
            connection.countReceivedMessage()
            if let observer = connection.messageObserver { tell(observer, piece) { $0.received($1, on: $2) } }
            lane.send(.connectionData(id: connection.id.description, piece, []))
        case .handshake, .waiting, .over: break
        }
    }

    /// What goes to the app server now. A stateful client sends half a message again, as a whole, when it comes back, so that the halves of
    /// its short messages must not go apart.
    private func nextPiece(of bytes: inout ByteBuffer) -> ByteBuffer? {
        var length = bytes.readableBytes
        if connection.isStateful, let whole = try? codec.transferFormat.wholeMessages(in: bytes),
            whole > 0 || length < Self.longestShortMessage
        {
            length = whole
        }
        return length > 0 ? bytes.readSlice(length: length) : nil
    }

    private static let longestShortMessage = 65_536

    func inputEnded() {
        if case .handshake = phase { return connection.close(.handshakeFailed("no handshake")) }
        connection.close(.transportEnded)
    }

    /// The app server reads again.
    func goOn() { connection.process() }

    // MARK: Handshake

    private func shakeHands(_ bytes: inout ByteBuffer) {
        do throws(HubProtocolError) {
            var raw = bytes
            guard
                let request = try HandshakeRequest.read(
                    from: &bytes, maximumSize: relay.clients.maximumReceiveMessageSize)
            else { return }
            raw = raw.readSlice(length: bytes.readerIndex - raw.readerIndex) ?? ByteBuffer()
            let name = request.protocol.lowercased()
            guard let index = connection.registry.codecs.firstIndex(where: { $0.name == name }) else {
                return refuse("The protocol '\(request.protocol)' is not supported.")
            }
            let codec = connection.registry.codecs[index]
            if codec.transferFormat == .binary, connection.transport?.kind == .serverSentEvents {
                return refuse(
                    "Cannot use the '\(codec.name)' protocol on the current transport. "
                        + "The transport does not support 'Binary' transfer format.")
            }
            version = Int32(clamping: request.version)
            if raw != usualHandshake(codec.name) { unusualHandshake = Array(raw.readableBytesView) }
            connection.use(codec: index)
            if request.version < 2 { connection.isStateful = false }
            findServer()
        } catch {
            refuse(
                "An unexpected error occurred during connection handshake."
                    + (tellsDetails ? " InvalidDataException: \(error.message)" : ""))
        }
    }

    private var tellsDetails: Bool { relay.clients.detailedErrors || connection.wantsDetails }

    private func usualHandshake(_ name: String) -> ByteBuffer {
        var bytes = ByteBuffer()
        HandshakeRequest(protocol: name, version: Int(version)).write(into: &bytes)
        return bytes
    }

    private func refuse(_ text: String) {
        var bytes = ByteBuffer()
        HandshakeResponse(error: text).write(into: &bytes)
        write(bytes)
        connection.close(.handshakeFailed(text))
    }

    // MARK: Finding a server

    private func findServer() {
        if let lane = relay.lane(for: self, connection, of: .core) { return open(lane) }
        let isWaiting = relay.servers.wait(connection.id) { [connection] in
            connection.onLoop { (connection.session as? RelaySession)?.serverCame() }
        }
        if case .waiting = phase { return }
        guard isWaiting else { return refuseForLackOfServers() }
        phase = .waiting(
            connection.eventLoop.scheduleTask(in: TimeAmount(relay.servers.patience)) {
                self.refuseForLackOfServers()
            })
    }

    private func serverCame() {
        guard case .waiting = phase else { return }
        findServer()
        connection.process()
    }

    private func refuseForLackOfServers() {
        refuse(relay.refusal(of: connection, of: .core))
    }

    /// Server code may address the client from now on, but nothing reaches it before the handshake response.
    private func open(_ lane: ServerLane) {
        if case .waiting(let timeout) = phase { timeout.cancel() }
        phase = .opening
        self.lane = lane
        connection.beginHolding()
        connection.register()
        if let user = connection.userID {
            for group in relay.userGroups.groups(of: user) {
                connection.shard.join(connection, group: group, withUser: true)
            }
        }
        connection.tell(.server, "Goes to app server", detail: lane.session.serverID)
        introduce(to: lane)
    }

    private func introduce(to lane: ServerLane, from oldServer: String? = nil) {
        lane.send(
            Introduction.message(
                of: connection, protocol: codec.name, instance: relay.instanceID, from: oldServer))
        let handshake = unusualHandshake.map { ByteBuffer(bytes: $0) } ?? usualHandshake(codec.name)
        lane.send(.connectionData(id: connection.id.description, handshake, []))
    }

    // MARK: From the app server

    /// Bytes for the client, which end anywhere.
    func received(_ bytes: ByteBuffer, from server: ServerSession) {
        guard isOwned(by: server) else { return }
        do {
            switch phase {
            case .opening: try receivedFirst(bytes)
            case .running: if let whole = try cutter.whole(bytes, codec.transferFormat) { pass(whole) }
            case .handshake, .waiting, .over: return
            }
        } catch {
            let reason = CloseReason.writeFailed("The app server sent what is no hub message.")
            return connection.close(reason.hidingError(unless: tellsDetails))
        }
        if cutter.heldBytes > relay.clients.maximumOutboundQueue { connection.close(.slowConsumerBytes) }
    }

    /// The handshake response is text in every protocol. What waited behind it may go once it is on its way.
    private func receivedFirst(_ bytes: ByteBuffer) throws(HubProtocolError) {
        var all = cutter.all(bytes)
        guard let end = all.readableBytesView.firstIndex(of: 0x1E),
            let response = all.readSlice(length: end - all.readerIndex + 1)
        else { return cutter.hold(all) }
        phase = .running
        write(response)
        connection.endHolding()
        if all.readableBytes > 0, let whole = try cutter.whole(all, codec.transferFormat) { pass(whole) }
    }

    private func pass(_ messages: ByteBuffer) {
        connection.countSentMessage()
        if let observer = connection.messageObserver { tell(observer, messages) { $0.sent($1, to: $2) } }
        write(messages)
    }

    /// Reads what is relayed, for people who follow messages. Whatever ends in another piece is left out.
    private func tell(
        _ observer: any ConnectionObserver, _ bytes: ByteBuffer,
        _ tell: (any ConnectionObserver, HubMessage, Connection) -> Void
    ) {
        var bytes = bytes
        while let message = try? codec.read(from: &bytes, maximumSize: nil) {
            if message.isNumbered { tell(observer, message, connection) }
        }
    }

    private func write(_ bytes: ByteBuffer) {
        if let wrapped = connection.format.packaging.wrap(bytes) { connection.enqueue(Batch(wrapped)) }
    }

    /// The app server ended the connection.
    func closedByServer(_ error: String?) {
        serverKnows = true
        // Without an answer to its handshake the client would not know what to make of the end. Later the app server says goodbye itself.
        if case .opening = phase, let error {
            return refuse("Connection closed with an error." + (tellsDetails ? " \(error)" : ""))
        }
        connection.close(.serverClosed(error))
    }

    /// The app server is gone.
    func serverLost(_ reason: CloseReason) {
        serverKnows = true
        laneIndex = -1
        if case .opening = phase { return refuse("No app server is currently connected to the Azure service.") }
        connection.close(reason)
    }

    // MARK: Questions

    var canBeAsked: Bool { questions.count < Self.maximumQuestions }

    func ask(_ id: String, _ question: Outgoing) {
        questions.insert(id)
        connection.send(question)
    }

    func answered(_ id: String) { questions.remove(id) }

    // MARK: Moving to another server

    /// The app server stops. The client moves to another one if that is possible, and else stays until the end.
    func leaveServer() {
        guard case .running = phase, let lane, move == nil else { return }
        if case .required = Stickiness(connection.user) { return }
        guard let server = relay.servers.assign(leaving: lane.session.serverID) else { return }
        guard lane.session.canPause else { return moveTo(server) }
        let timeout = connection.eventLoop.scheduleTask(in: TimeAmount(relay.options.pauseTimeout)) { self.stay() }
        move = .to(server, until: timeout)
        sendFlowControl(FlowControl.pause)
    }

    private func sendFlowControl(_ operation: Int32) {
        lane?.send(
            .flowControl(id: connection.id.description, kind: FlowControl.client, operation: operation, []))
    }

    /// Nothing for the client is on its way any more.
    func paused(by server: ServerSession) {
        guard case .to(let next, let timeout)? = move, isOwned(by: server) else { return }
        timeout.cancel()
        move = nil
        moveTo(next)
    }

    private func stay() {
        guard case .to(let server, _)? = move else { return }
        move = nil
        relay.servers.release(server)
        sendFlowControl(FlowControl.resume)
        connection.process()
    }

    private func moveTo(_ server: ServerSession) {
        guard let old = lane, let new = server.lane(for: connection.eventLoop), !new.isOver else {
            return relay.servers.release(server)
        }
        let headers = [ServiceMessage.Header(Introduction.migrateTo, [server.serverID])]
        old.send(.closeConnection(id: connection.id.description, error: "", headers: headers, []))
        old.remove(self)
        relay.servers.release(old.session)
        _ = new.add(self)
        lane = new
        cutter = FrameCutter()
        connection.tell(.server, "Moves to app server", detail: new.session.serverID)
        introduce(to: new, from: old.session.serverID)
        connection.process()
    }

    // MARK: Time

    func heartbeat() {
        if case .handshake = phase, connection.now &- connection.request.startedAt >= handshakeTimeout {
            connection.eventLoop.execute {
                if case .handshake = self.phase { self.refuse("Handshake was canceled.") }
            }
        }
        if relay.clients.closeOnAuthenticationExpiration { connection.closeIfExpired() }
    }

    /// The app may have a time of its own.
    private var handshakeTimeout: UInt32 {
        guard let seconds = connection.user?.claims["asrs.s.cht"]?.seconds, (1...30).contains(seconds) else {
            return relay.clients.handshakeTimeout.wholeSeconds
        }
        return UInt32(seconds)
    }

    func resumed() {
        connection.dropPartialMessage()
        // The app server sends again what its client has not seen.
        cutter = FrameCutter()
        lane?.send(.connectionReconnect(id: connection.id.description, []))
    }

    // MARK: End

    func willClose(_ reason: CloseReason) {
        guard case .running = phase, let message = reason.message else { return }
        connection.sendAtOnce(.close(.init(error: message.error, allowReconnect: message.allowReconnect)))
    }

    func closed(_ reason: CloseReason, finished: @escaping @Sendable () -> Void) {
        if case .waiting(let timeout) = phase {
            timeout.cancel()
            relay.servers.stopWaiting(connection.id)
        }
        phase = .over
        if case .to(let server, let timeout)? = move {
            timeout.cancel()
            relay.servers.release(server)
            move = nil
        }
        if let lane {
            lane.remove(self)
            relay.servers.release(lane.session)
            if !serverKnows { lane.send(.closeConnection(id: connection.id.description, error: "", headers: [], [])) }
        }
        lane = nil
        for id in questions { relay.invocations.fail(id, "Connection '\(connection.id)' disconnected.") }
        questions = []
        finished()
    }
}
