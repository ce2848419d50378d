// SignalBox: one server connection: handshake, pings, acknowledgements, bounds, end
// SPDX-License-Identifier: Apache-2.0

import Logging
import NIOConcurrencyHelpers
import NIOCore
import SignalR
import SignalRWire
import Synchronization
import _SignalRWebSocket

/// Speaks the service protocol as an app server does (service reference, "Server-connection life").
///
/// Safety: constants and atomics may be used from anywhere; the rest belongs to `eventLoop`.
final class ServerConnection: ServiceSocketUser, @unchecked Sendable {
    enum Kind: Int32, Sendable {
        case `default` = 0
        /// The service asked for it.
        case onDemand = 1
    }

    // MARK: Constants

    /// Another one for every attempt.
    let id: String
    let kind: Kind
    let target: String
    let eventLoop: any EventLoop
    let link: ServiceLink
    /// Succeeds once the connection is over.
    let closed: EventLoopFuture<End>
    private let closePromise: EventLoopPromise<End>

    // MARK: State, on the event loop

    private(set) var phase = Phase.connecting
    private var socket: ServiceSocket?
    private var inbound = ByteBuffer()
    private var lastReceived = NIODeadline.now()
    private var lastSent = NIODeadline.now()
    private var ticker: RepeatedTask?
    /// The clients that the service gave to this connection, by the service's ids.
    var clients: [String: RemoteClient] = [:]
    private var acknowledgements: [Int32: Acknowledgement] = [:]
    private var writers: [CheckedContinuation<Void, Never>] = []
    /// Who waits for `finack`.
    private var finishers: [CheckedContinuation<Void, Never>] = []

    // MARK: From any thread

    private let congested = Atomic(false)
    private static let acknowledgementIDs = Atomic<Int32>(0)

    enum Phase {
        /// Can go to `handshake` or `over`.
        case connecting
        /// Can go to `running` or `over`.
        case handshake
        /// Can go to `over`.
        case running
        case over
    }

    struct End: Sendable {
        let reason: String
        /// Whether hands were shaken before.
        let wasRunning: Bool
    }

    private struct Acknowledgement {
        let deadline: NIODeadline
        let continuation: CheckedContinuation<Answer, any Error>
    }

    /// What an Ack says, if it is no failure.
    struct Answer: Sendable {
        /// Ok rather than NotFound.
        let isOK: Bool
        let payload: ByteBuffer?
    }

    /// Bytes that wait for the service before those who send do.
    private static let window = 1 << 20
    private static let maximumAcknowledgements = 100_000
    /// The longest piece of a client's bytes in one message.
    private static let pieceSize = 1 << 20

    init(_ link: ServiceLink, kind: Kind, target: String, on eventLoop: any EventLoop) {
        self.id = ConnectionID.guid().description
        self.link = link
        self.kind = kind
        self.target = target
        self.eventLoop = eventLoop
        self.closePromise = eventLoop.makePromise()
        self.closed = closePromise.futureResult
    }

    var options: ServiceLinkOptions { link.options }

    // MARK: Socket

    /// The way to the service; on the event loop, once.
    func begin(_ socket: ServiceSocket) {
        self.socket = socket
        let attempt = eventLoop.scheduleTask(in: TimeAmount(options.handshakeTimeout)) { [weak self] in
            guard let self, phase != .running else { return }
            end("no handshake in time")
        }
        closed.whenComplete { _ in attempt.cancel() }
        ticker = eventLoop.scheduleRepeatedTask(initialDelay: .seconds(1), delay: .seconds(1)) { [weak self] task in
            if let self { tick() } else { task.cancel() }
        }
    }

    func opened() {
        phase = .handshake
        write(
            .handshakeRequest(
                .init(
                    connectionType: kind.rawValue, target: target,
                    migrationLevel: options.shutdown == .migrateClients ? 1 : 0,
                    allowsStatefulReconnects: link.hub.options.allowStatefulReconnects)))
    }

    func received(_ bytes: ByteBuffer) {
        lastReceived = .now()
        inbound.append(bytes)
        do {
            while phase == .handshake || phase == .running, let message = try ServiceCodec.read(from: &inbound) {
                if phase == .running { receive(message) } else { shakeHands(message) }
            }
        } catch {
            end("the service sent what is no message: \(error)", code: .protocolError)
        }
    }

    /// Our pings are answers: only when something came, and after saying nothing for a while.
    func readComplete() {
        guard phase == .running, .now() - lastSent > TimeAmount(options.pingInterval) else { return }
        write(.ping(["#clientInHub", "\(link.clientCount)", "#client", "\(clients.count)"]))
    }

    func ended(_ reason: String) { over(reason) }

    // MARK: Handshake

    private func shakeHands(_ message: ServiceMessage) {
        guard case .handshakeResponse(let error, _, _) = message else {
            return end("another message came before the handshake response", code: .protocolError)
        }
        if let error, !error.isEmpty { return end("the service refused: \(error)") }
        phase = .running
        link.pool.add(self)
        log("Connected to the service", level: .info)
    }

    // MARK: Output

    /// Queues a message; on the event loop.
    func write(_ message: ServiceMessage) {
        guard let socket, phase == .handshake || phase == .running else { return }
        lastSent = .now()
        var bytes = ByteBuffer()
        do {
            try ServiceCodec.write(message, into: &bytes)
        } catch {
            return log("A message for the service cannot be written", level: .error, detail: "\(error)")
        }
        socket.send(bytes)
    }

    /// Sends a message, behind what `client` has in its queue; waits while the service reads too slowly.
    nonisolated(nonsending) func send(_ message: ServiceMessage, behind client: Connection? = nil) async {
        if congested.load(ordering: .relaxed) { await writable() }
        onLoop {
            client?.flush()
            self.write(message)
        }
    }

    func onLoop(_ work: @escaping @Sendable () -> Void) {
        eventLoop.inEventLoop ? work() : eventLoop.execute(work)
    }

    private func writable() async {
        await withCheckedContinuation { writer in
            onLoop {
                guard self.congested.load(ordering: .relaxed), self.phase == .running else { return writer.resume() }
                self.writers.append(writer)
            }
        }
    }

    /// Bytes of one client, which the service puts together again.
    func write(_ bytes: ByteBuffer, of client: String) {
        var bytes = bytes
        while let piece = bytes.readSlice(length: min(bytes.readableBytes, Self.pieceSize)), piece.readableBytes > 0 {
            write(.connectionData(id: client, piece, []))
        }
    }

    var canWrite: Bool { !congested.load(ordering: .relaxed) }

    func queueChanged() {
        guard let socket, phase == .running else { return }
        let queued = socket.queuedBytes
        if queued > options.maximumOutboundQueue { return end("the service does not read") }
        let isCongested = congested.load(ordering: .relaxed)
        guard isCongested ? queued <= Self.window / 2 : queued > Self.window else { return }
        congested.store(!isCongested, ordering: .relaxed)
        if isCongested { resumeWriters() }
        for client in Array(clients.values) { client.writabilityChanged() }
    }

    private func resumeWriters() {
        let waiting = writers
        writers = []
        for writer in waiting { writer.resume() }
    }

    // MARK: Questions to the service

    /// Sends a message that is acknowledged, and waits for that.
    /// - Throws: ``ServiceLinkError``, `CancellationError`.
    func ask(
        behind client: Connection? = nil, _ message: @escaping @Sendable (_ ackID: Int32) -> ServiceMessage
    ) async throws -> Answer {
        try Task.checkCancellation()
        let id = Self.acknowledgementIDs.wrappingAdd(1, ordering: .relaxed).newValue
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                onLoop {
                    guard self.phase == .running else {
                        return continuation.resume(throwing: ServiceLinkError.notConnected)
                    }
                    guard self.acknowledgements.count < Self.maximumAcknowledgements else {
                        return continuation.resume(throwing: ServiceLinkError.tooMany)
                    }
                    let deadline = NIODeadline.now() + TimeAmount(self.options.ackTimeout)
                    self.acknowledgements[id] = Acknowledgement(deadline: deadline, continuation: continuation)
                    client?.flush()
                    self.write(message(id))
                }
            }
        } onCancel: {
            onLoop { self.acknowledge(id, .failure(CancellationError())) }
        }
    }

    func acknowledge(_ id: Int32, _ result: Result<Answer, any Error>) {
        acknowledgements.removeValue(forKey: id)?.continuation.resume(with: result)
    }

    // MARK: Time

    private func tick() {
        let now = NIODeadline.now()
        if phase == .running, now - lastReceived > TimeAmount(options.silence) {
            return end("the service says nothing")
        }
        for (id, waiting) in acknowledgements where waiting.deadline <= now {
            acknowledge(id, .failure(ServiceLinkError.timeout))
        }
    }

    // MARK: End

    /// Says that no more clients are wanted, until the service has heard that, or the time is over (service reference, "Graceful shutdown").
    func finish(until deadline: ContinuousClock.Instant) async {
        for _ in 0..<24 {
            let again = eventLoop.scheduleTask(in: TimeAmount(options.finInterval)) { self.finished() }
            await withCheckedContinuation { waiter in
                onLoop {
                    guard self.phase == .running, !self.hasFinished else { return waiter.resume() }
                    self.finishers.append(waiter)
                    self.write(.ping(["shutdown", "fin:\(self.options.shutdown.rawValue)"]))
                }
            }
            again.cancel()
            let isDone = try? await eventLoop.submit { self.phase != .running || self.hasFinished }.get()
            if isDone != false || Task.isCancelled || .now >= deadline { return }
        }
    }

    private var hasFinished = false

    func finishAcknowledged() {
        hasFinished = true
        finished()
    }

    private func finished() {
        let waiting = finishers
        finishers = []
        for waiter in waiting { waiter.resume() }
    }

    /// From any thread.
    func close() { onLoop { self.end("the app ends it") } }

    func end(_ reason: String, code: WebSocketCloseCode = .normal) {
        guard phase != .over else { return }
        let socket = socket
        over(reason)
        socket?.close(code, reason)
    }

    private func over(_ reason: String) {
        guard phase != .over else { return }
        let wasRunning = phase == .running
        phase = .over
        socket = nil
        ticker?.cancel()
        link.pool.remove(self)
        for id in Array(acknowledgements.keys) { acknowledge(id, .failure(ServiceLinkError.connectionLost)) }
        congested.store(false, ordering: .relaxed)
        resumeWriters()
        finished()
        for client in Array(clients.values) { client.serviceLost(reason) }
        clients = [:]
        link.questions.lost(self)
        if wasRunning { log("The connection to the service ended", level: .info, detail: reason) }
        closePromise.succeed(End(reason: reason, wasRunning: wasRunning))
    }

    // MARK: Log

    func log(_ text: String, level: Logger.Level, detail: String? = nil) {
        var metadata: Logger.Metadata = [
            "signalr.server.connection.id": "\(id)", "signalr.hub": "\(link.endpoint.hub)",
        ]
        if let detail { metadata["detail"] = "\(detail)" }
        link.hub.logger.log(level: level, "\(text)", metadata: metadata)
    }
}
