// SignalBox: one classic client: its hubs, its transport of the moment, and how far it has come
// SPDX-License-Identifier: Apache-2.0

import Logging
import NIOCore
import SignalR
import SignalRWire

/// A logical connection of the classic protocol, which any transport can carry, one at a time. Lives on one event loop; its sockets may
/// live on others.
///
/// Messages reach the client in one of two ways. On a socket that keeps up, with one hub, they are pushed as they are delivered, in bytes
/// that all receivers share. In all other cases they are pulled: read from the journals of its hubs from where the client stands. So no
/// message is ever queued for a single client, and a client that is away, slow, or between two polls costs nothing.
///
/// Safety: `carrier`, `endpoint` and `userName` are constants; everything else is used on the carrier's event loop.
final class ClassicSession: ConnectionSession, @unchecked Sendable {
    // MARK: Constants

    /// The connection that the real transports carry; no hub knows it.
    let carrier: Connection
    let endpoint: ClassicEndpoint
    /// Who negotiated; empty for nobody.
    let userName: String
    /// Whether the client talks without hubs.
    let isPersistent: Bool
    /// The app server that the client belongs to, and its place there; nil for one that is served here.
    let owner: (any ClassicOwner)?
    private let home: ClassicAdmission?
    /// How long it may stay away between two polls, if that is not the endpoint's time.
    private let pollPatience: Duration?
    /// Limits what it sends.
    private let gate: (any Gate)?
    private let gateUser: String?

    // MARK: State, on the event loop

    private(set) var seats: [ClassicSeat] = []
    /// Hubs that the client calls without listing them.
    var guests: [String: ClassicSeat] = [:]
    private(set) var transport = ClassicTransport.longPolling
    /// What the transports that are about to come were asked for with: one, unless several come at once on different event loops.
    private var upcoming: [ReceiveRequest] = []
    private(set) var hasReceived = false
    /// Whether this server heard of the client when it came with a cursor, so that messages from before may be for it.
    private(set) var isReturning = false
    var flow = Flow.away {
        didSet { self.carrier.follower = if case .pushing = self.flow { self.seats.first?.connection } else { nil } }
    }
    /// Counts transports, so that late work for an older one stops.
    private(set) var generation = 0
    /// Whether the owner knows the client, and whose first frame waits for that.
    var hasOwner = false
    var beginning: ReceiveRequest?
    /// Requests with calls that the owner has not answered, by the calls' ids.
    var requests: [String: CheckedContinuation<ByteBuffer?, Never>] = [:]
    /// While pulling: everything up to here was sent.
    var position: UInt64 = 0
    var isPullScheduled = false
    var owesInitialFrame = false
    var owesGroups = false
    var owesGap = false
    /// Up to where the client knows that messages are missing.
    var gapTold: UInt64 = 0
    private(set) var isRejoining = false
    /// Results that wait for their turn on a socket while pulling.
    var results: CircularBuffer<ByteBuffer> = []
    var resultBytes = 0
    /// Streams that wait until the client has caught up.
    var waiters: [CheckedContinuation<Void, Never>] = []
    /// Messages of a client that never said that it is ready, while it is made so.
    var held: CircularBuffer<ByteBuffer> = []
    var calls = 0
    /// Streams that calls pass on, by their calls.
    var streams: [ObjectIdentifier: Task<Void, any Error>] = [:]
    var message = ByteBuffer()
    private(set) var starting: Task<Void, any Error>?
    private(set) var isStarted = false
    private var lastKeepAlive: UInt32
    private var receivingSince: UInt32

    enum Flow {
        /// No transport, or one that is not ready; can go to `pulling`.
        case away
        /// Can go to all others.
        case pulling
        /// Can go to `away` and `pulling`.
        case pushing
    }

    init(_ carrier: Connection, _ endpoint: ClassicEndpoint, userName: String, entry: ClassicEntry) {
        self.carrier = carrier
        self.endpoint = endpoint
        self.userName = userName
        self.isPersistent = entry.isPersistent
        self.owner = entry.route?.makeOwner()
        self.home = entry.route?.home
        self.pollPatience = entry.pollPatience
        self.gate = entry.gate
        self.gateUser = entry.gateUser
        self.lastKeepAlive = carrier.now
        self.receivingSince = carrier.now
    }

    var options: ClassicOptions { self.endpoint.options }

    /// By the limits of the moment.
    func renewMeter() { self.carrier.meter = self.gate?.meter(user: self.gateUser) }

    // MARK: A transport comes

    /// Must be called right before the carrier gets the transport.
    func expect(_ request: ReceiveRequest) { self.upcoming.append(request) }

    func opened() { self.carrier.register() }

    func resumed() {
        let kind = self.carrier.transport?.kind
        guard let place = self.upcoming.firstIndex(where: { $0.transport.kind == kind }) else { return }
        let request = self.upcoming.remove(at: place)
        self.generation += 1
        self.remember(request)
        self.transport = request.transport
        self.flow = .away
        self.results = []
        self.resultBytes = 0
        self.message = ByteBuffer()
        self.lastKeepAlive = self.carrier.now
        self.receivingSince = self.carrier.now
        let isNew = !self.hasReceived
        self.hasReceived = true
        self.isReturning = isNew && request.cursor != nil
        if let home { self.seat(home, request.request, request.user) }
        for admission in request.hubs { self.seat(admission, request.request, request.user) }
        if isNew, request.action != .connect { self.takeAsStarted() }
        self.place(request)
        if let owner { return self.settle(request, with: owner, isNew: isNew) }
        self.settle(request, rejoins: isNew && !request.groups.isEmpty)
    }

    private func remember(_ request: ReceiveRequest) {
        if !self.hasReceived {
            self.carrier.beginHistory(
                request.transport, offered: request.action == .connect ? request.offered : nil,
                refused: self.endpoint.sessions.takeRefused(of: self.carrier.id))
        } else if request.action != .poll || request.transport != self.transport {
            self.carrier.moveHistory(to: request.transport)
        } else {
            self.carrier.history.resume()
        }
    }

    private func seat(_ admission: ClassicAdmission, _ features: RequestFeatures, _ user: HubUser?) {
        let application = admission.application
        guard !self.seats.contains(where: { $0.server === application.server }) else { return }
        // What further requests list counts, too.
        guard self.seats.count < self.options.maximumHubs + (self.home == nil ? 0 : 1) else { return }
        let seat = self.endpoint.makeSeat(for: self, admission, features, user)
        self.seats.append(seat)
        seat.enter()
        seat.isConnected = self.isStarted
    }

    /// A client that was connected to a server that is gone, or has forgotten it.
    private func takeAsStarted() {
        self.isStarted = true
        self.starting = Task {}
        for seat in self.seats { seat.isConnected = true }
    }

    /// What has to happen before the first frame; at once when there is nothing.
    private func settle(_ request: ReceiveRequest, rejoins: Bool) {
        let isOld = request.action == .connect && !request.version.hasStart
        guard rejoins || isOld || request.action == .reconnect else { return self.begin(request, self.generation) }
        let (generation, seats) = (self.generation, self.seats)
        Task.startingHere { [self] in
            if rejoins { await self.rejoin(request.groups, seats) }
            if isOld { _ = try? await self.start() }
            self.carrier.onLoop { self.begin(request, generation) }
            guard request.action == .reconnect else { return }
            for seat in seats {
                do {
                    try await seat.application.reconnected(HubCallerContext(seat, scope: nil))
                } catch {
                    self.endpoint.logger.warning("onReconnected failed", metadata: ["error": "\(error)"])
                }
            }
        }
    }

    private func rejoin(_ groups: [String], _ seats: [ClassicSeat]) async {
        await self.carrier.run { self.isRejoining = true }
        for seat in seats {
            let prefix = seat.application.groupPrefix.lowercased()
            let own = groups.filter { $0.lowercased().hasPrefix(prefix) }.map { String($0.dropFirst(prefix.count)) }
            let context = HubCallerContext(seat, scope: nil)
            for group in await seat.application.rejoining(own, context) where !group.isEmpty {
                try? await context.groups.add(context.connectionID, to: group)
            }
        }
        await self.carrier.run { self.isRejoining = false }
    }

    /// The transport may speak.
    func begin(_ request: ReceiveRequest, _ generation: Int) {
        guard generation == self.generation, self.carrier.transport != nil else { return }
        self.owesInitialFrame = request.action == .connect
        self.change(to: .pulling)
        self.pull()
    }

    /// Where the client stands: where it says, or here and now, so that it hears what its own coming brings about.
    private func place(_ request: ReceiveRequest) {
        self.owesGap = false
        guard let cursor = request.cursor else {
            self.position = BusClock.now
            self.gapTold = self.position
            self.owesGap = request.isFromElsewhere
            return
        }
        self.gapTold = 0
        if cursor.process == BusClock.process, cursor.loop == BusClock.number(of: self.carrier.eventLoop) {
            // A number that nobody has given yet: all that is kept (classic protocol reference, §17).
            self.position = cursor.sequence <= BusClock.now ? cursor.sequence : 0
        } else {
            let begins = self.seats.map { $0.begin(at: cursor.places) }
            self.position = begins.reduce(BusClock.now) { min($0, $1 ?? $0) }
            self.owesGap = begins.isEmpty || begins.contains(nil)
        }
        self.noticeGap()
    }

    // MARK: Starting

    /// Runs `onConnected` of all hubs, once for the connection, whoever asks.
    func start() async throws { try await self.startTask().value }

    /// The same for a client that says that it is ready, and on which hubs.
    func start(_ hubs: [ClassicAdmission], _ features: RequestFeatures, _ user: HubUser?) async throws {
        await self.carrier.run { for admission in hubs { self.seat(admission, features, user) } }
        try await self.start()
    }

    private func startTask() async -> Task<Void, any Error> {
        await withCheckedContinuation { waiter in
            self.carrier.onLoop { [self] in
                let task = self.starting ?? Task { try await self.runConnected() }
                self.starting = task
                waiter.resume(returning: task)
            }
        }
    }

    private func runConnected() async throws {
        let seats = await withCheckedContinuation { waiter in
            self.carrier.onLoop { waiter.resume(returning: self.seats) }
        }
        for seat in seats {
            do {
                try await seat.application.connected(
                    HubCallerContext(seat, scope: CallScope(.connecting, caller: seat)))
                await self.carrier.run { seat.isConnected = true }
            } catch {
                self.endpoint.logger.warning("onConnected failed", metadata: ["error": "\(error)"])
                self.endSoon(.refused(error, detailed: seat.server.options.detailedErrors))
                throw error
            }
        }
        await self.carrier.run { self.isStarted = true }
    }

    // MARK: Time

    func heartbeat() {
        if self.endpoint.directory != nil { self.carrier.closeIfExpired() }
        if self.carrier.transport == nil { return self.leaveIfLate() }
        guard let transport = self.carrier.transport else { return }
        let now = self.carrier.now
        guard let keepAlive = self.options.keepAlive else { return self.endIfLong(transport) }
        if now &- self.lastKeepAlive >= keepAlive.wholeSeconds, transport.canWrite {
            self.lastKeepAlive = now
            if let poll = transport as? ClassicPoll {
                poll.keepAlive()
            } else {
                self.write(ClassicCodec.keepAlive, on: transport)
            }
        }
        if self.transport == .longPolling { self.endIfLong(transport) }
    }

    /// Polls have a time limit, and so has everything when there are no keep-alives.
    private func endIfLong(_ transport: any Transport) {
        guard self.carrier.now &- self.receivingSince >= self.options.connectionTimeout.wholeSeconds else { return }
        if self.transport != .longPolling { self.carrier.history.interrupt(.expired) }
        transport.close(.transportEnded)
        self.carrier.detach(transport)
        self.flow = .away
    }

    /// A polling client has less time: it is expected back at once.
    private func leaveIfLate() {
        let isPolling = self.transport == .longPolling
        let limit =
            isPolling
            ? (self.pollPatience ?? self.options.disconnectTimeout) + self.options.longPollDelay
            : self.options.disconnectTimeout + .seconds(5)
        guard self.carrier.now &- self.carrier.detachedSince > limit.wholeSeconds else { return }
        self.endSoon(.transportFailed("not back within the disconnect timeout"))
    }

    // MARK: The end

    var outlivesTransport: Bool { true }

    /// The socket was closed in order, which does not mean that the client is gone.
    func inputEnded() { if let transport = self.carrier.transport { self.carrier.detach(transport) } }

    /// From any thread.
    func endSoon(_ reason: CloseReason) { self.carrier.eventLoop.execute { self.carrier.close(reason) } }

    /// The last frame of a poll: never nothing, since clients take an empty body that was preceded by spaces for a failure.
    func lastFrame(_ reason: CloseReason) -> ByteBuffer {
        var json = ByteBuffer()
        var frame = ClassicFrame(self.cursor)
        frame.asksToReconnect = reason == .shutdown
        ClassicCodec.write(frame, into: &json)
        return json
    }

    /// Server code sends the client away for good, which it can be told only as an error.
    func willClose(_ reason: CloseReason) {
        if case .pushing = self.flow { self.flushPushed() } else { self.pull() }
        let final = ["aborted", "kicked", "refused", "app_server_lost", "app_server_closed", "authentication_expired"]
        guard final.contains(reason.name), let transport = self.carrier.transport else {
            return
        }
        var json = ByteBuffer()
        ClassicCodec.write(fatal: reason.message?.error ?? "The server ended the connection.", into: &json)
        self.write(json, on: transport)
    }

    func closed(_ reason: CloseReason, finished: @escaping @Sendable () -> Void) {
        self.flow = .away
        self.wakeWaiters()
        self.owner?.closed(reason)
        self.failRequests()
        for stream in self.streams.values { stream.cancel() }
        let (seats, starting) = (self.seats, self.starting)
        for seat in seats { seat.connection.close(reason) }
        for guest in self.guests.values { guest.abandon() }
        Task.startingHere { [self] in
            _ = try? await starting?.value
            for seat in seats where await self.isConnected(seat) {
                do {
                    try await seat.application.disconnected(HubCallerContext(seat, scope: nil), reason)
                } catch {
                    self.endpoint.logger.warning("onDisconnected failed", metadata: ["error": "\(error)"])
                }
            }
            self.carrier.onLoop {
                for seat in seats + self.guests.values { seat.finish() }
                self.seats = []
                self.guests = [:]
                finished()
            }
        }
    }

    private func isConnected(_ seat: ClassicSeat) async -> Bool {
        await withCheckedContinuation { waiter in
            self.carrier.onLoop { waiter.resume(returning: seat.isConnected) }
        }
    }
}
