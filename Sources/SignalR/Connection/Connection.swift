// SignalBox: one client: its transport, its outbound queue and its place in the registry, on one event loop
// SPDX-License-Identifier: Apache-2.0

package import NIOCore
package import SignalRWire

/// What a connection talks: the hub protocol, an application's own messages, a relay to an app server.
/// Everything happens on the connection's event loop.
package protocol ConnectionSession: AnyObject {
    /// The first transport is there.
    func opened()
    /// Takes what it can from the front of `bytes`; what is left is offered again together with what comes next.
    func receive(_ bytes: inout ByteBuffer)
    /// Whether message boundaries matter; then ``receive(_:isText:isLast:)`` is called instead.
    var keepsBoundaries: Bool { get }
    /// A piece of a message, as it arrives.
    func receive(_ piece: ByteBuffer, isText: Bool, isLast: Bool)
    /// Whether bytes are left because the session is busy rather than because a message is incomplete.
    var isBusy: Bool { get }
    /// Once a second.
    func heartbeat()
    /// Writes the last message, if the protocol has one for the reason.
    func willClose(_ reason: CloseReason)
    /// The transport stopped taking bytes, or takes them again and what was queued has left.
    func writabilityChanged(_ canWrite: Bool)
    /// The connection is closed for good; call `finished` when the application is done with it.
    func closed(_ reason: CloseReason, finished: @escaping @Sendable () -> Void)
    /// Input ended without failure: may be the client's regular way to leave.
    func inputEnded()
    /// Whether the connection goes on when its transport breaks, until the disconnect timeout.
    var outlivesTransport: Bool { get }
    /// Whether the client can answer a call with a result.
    var answersCalls: Bool { get }
    /// Whether the client waits for something that only this session can still give it.
    var owesAnswers: Bool { get }
    /// A transport took the place of another, or is the first of a connection whose transports come by ``Connection/resume(_:)``.
    func resumed()
    /// Server code made the connection a member of a group, or took it out.
    func membershipChanged(of group: String, to isMember: Bool)
    /// What to queue for a message that is for this connection alone.
    func addressed(_ message: Outgoing) -> Outgoing
    /// The transports of the client, where it has them in another connection; nil where this one knows.
    var sharedTransportHistory: TransportHistory? { get }
}

extension ConnectionSession {
    package var keepsBoundaries: Bool { false }
    package func receive(_ piece: ByteBuffer, isText: Bool, isLast: Bool) {}
    package var outlivesTransport: Bool { false }
    package var answersCalls: Bool { true }
    package var owesAnswers: Bool { false }
    package func writabilityChanged(_ canWrite: Bool) {}
    package func membershipChanged(of group: String, to isMember: Bool) {}
    package func addressed(_ message: Outgoing) -> Outgoing { message }
    package var sharedTransportHistory: TransportHistory? { nil }
}

/// One client of an endpoint, from its first transport to its end.
///
/// Safety: lives on `eventLoop`. Constants may be read anywhere; everything else belongs to the event loop, and other threads come in by
/// ``onLoop(_:)``. That, and not a lock, makes it safe to share.
package final class Connection: @unchecked Sendable {
    // MARK: Constants

    package let id: ConnectionID
    package let eventLoop: any EventLoop
    package let registry: ConnectionRegistry
    package let shard: ConnectionShard
    package let user: HubUser?
    /// The user this connection belongs to; nil when anonymous.
    package let userID: String?
    package let request: RequestFeatures
    package let limits: ConnectionLimits
    /// The id that hubs and other clients know it by.
    package var name: String { request.origin?.connectionName ?? id.description }

    // MARK: State, on the event loop

    package private(set) var transport: (any Transport)? { didSet { updateLane() } }
    package private(set) var session: (any ConnectionSession)?
    package private(set) var state = State.new {
        didSet {
            updateLane()
            if (state == .open) != (oldValue == .open) { share(format, isSharing: state == .open) }
        }
    }
    /// The codec and packaging in use; text JSON until the handshake picks.
    package private(set) var format = Format(codec: 0, packaging: .bare) {
        didSet {
            updateLane()
            guard state == .open, format != oldValue else { return }
            share(oldValue, isSharing: false)
            share(format, isSharing: true)
        }
    }
    package private(set) var transferFormat = TransferFormat.text
    /// What ``transportHistory`` gives, but for connections whose client has its transports in another.
    package var history = TransportHistory()
    /// Tells the endpoint that the connection is gone.
    package var onRemoved: (@Sendable () -> Void)?
    /// Seconds that this connection may be without a transport.
    package var disconnectTimeout: UInt32
    /// When the token expires, in seconds since 1970.
    package var expiration: Double?
    /// Negotiated to survive the loss of its socket.
    package var isStateful = false { didSet { updateLane() } }
    /// Whether this client is told the details of errors, even where others are not.
    package var wantsDetails = false
    /// Watches over what the client sends; nil when nothing limits it. Its sessions ask it.
    package var meter: (any InboundMeter)?
    /// Numbers and keeps messages for a stateful client; nil for all others.
    var replay: ReplayBuffer?
    /// Messages are put aside, since something has to be sent before them.
    private(set) var isHolding = false { didSet { updateLane() } }
    private var held: Batch?

    /// The connection whose messages go out through this one's transport as they are; nil for all but carriers of classic clients.
    package var follower: Connection? {
        didSet {
            oldValue?.updateLane()
            follower?.updateLane()
        }
    }

    /// Messages that wait for the next flush, or for a slow client.
    private var pending: Batch? { didSet { if (pending == nil) != (oldValue == nil) { updateLane() } } }
    private var isDirty = false
    /// The shard's clock when sending stopped to make progress; 0 while it makes progress.
    private var blockedSince: UInt32 = 0
    /// The shard's clock when the last transport left; meaningful while `transport` is nil.
    package private(set) var detachedSince: UInt32
    /// Received bytes that make no whole message yet.
    private var inbound: ByteBuffer?
    private var isReceiving = false
    /// Tasks that wait until the queue is short again.
    private var writeWaiters: [CheckedContinuation<Void, Never>] = []
    /// What a long-polling client has yet to fetch after the end.
    package private(set) var lastWords: ByteBuffer?
    /// Requests that wait until the session has taken what they brought.
    private var readWaiters: [CheckedContinuation<Bool, Never>] = []

    /// Without what went to all connections of the shard at once.
    var ownTraffic = Traffic()

    /// Where this connection stands in its shard's list of all connections.
    var shardIndex = -1
    /// The groups and the user set it is in, with its place in each.
    var memberships: [Membership] = []

    package enum State: Sendable {
        /// Negotiated; can go to `opening` or `closed`.
        case new
        /// Has a transport, but is not yet to be found by server code (the handshake); can go to `open` or `closing`.
        case opening
        /// The session runs; can go to `closing`.
        case open
        /// Nothing is sent or received any more, the application finishes; can go to `closed`.
        case closing
        /// Out of the registry.
        case closed
    }

    package init(
        id: ConnectionID, registry: ConnectionRegistry, eventLoop: any EventLoop, limits: ConnectionLimits,
        user: HubUser?, userID: String?, request: RequestFeatures
    ) {
        self.id = id
        self.registry = registry
        self.shard = registry.shard(of: eventLoop)
        self.eventLoop = eventLoop
        self.user = user
        self.userID = userID
        self.request = request
        self.expiration = user?.expiration
        self.limits = limits
        self.disconnectTimeout = limits.disconnectTimeout
        self.detachedSince = shard.clock.now
    }

    /// Runs `work` on the event loop: at once when already there.
    package func onLoop(_ work: @escaping @Sendable () -> Void) {
        eventLoop.inEventLoop ? work() : eventLoop.execute(work)
    }

    package func begin(_ session: any ConnectionSession) { self.session = session }

    /// Seconds of the shard's clock, which ticks once a second.
    package var now: UInt32 { shard.clock.now }
}

// MARK: - Life

extension Connection {
    private var isLive: Bool { state == .open || state == .opening }

    /// From here on server code finds the connection, by id, user and group.
    package func register() {
        guard state == .opening else { return }
        state = .open
        shard.register(self)
        tell(.handshake, "Ready")
    }
}

// MARK: - Transport side

extension Connection {
    /// Gives the connection a transport: the first one, the next poll, or the new socket of a stateful client.
    package func attach(_ transport: any Transport) {
        self.transport = transport
        format.packaging = transport.packaging(for: transferFormat)
        blockedSince = 0
        switch state {
        case .new:
            state = .opening
            request.started(transport.kind, at: now)
            registry.transportStarted(transport.kind, of: self)
            shard.add(self)
            session?.opened()
            process()
        case .opening, .open: flush()
        case .closing, .closed:
            if transport.kind == .longPolling, let words = takeLastWords() {
                transport.write(words)
            } else {
                transport.close(.transportEnded)
            }
        }
    }

    /// The new socket of a stateful client, or the old transport to a new socket elsewhere: what was not acknowledged is sent again before
    /// anything new.
    package func resume(_ transport: any Transport) {
        if self.transport !== transport { self.transport?.close(.transportEnded) }
        pending = nil
        attach(transport)
        guard state == .open else { return }
        if isStateful { moveHistory(to: transport.kind.name) }
        tell(.transport, "Came back", detail: transport.kind.rawValue)
        session?.resumed()
    }

    /// The transport is gone; the connection stays.
    package func detach(_ transport: any Transport) {
        guard self.transport === transport else { return }
        self.transport = nil
        blockedSince = 0
        detachedSince = now
    }

    /// Bytes from the client. The kind and the end of the transport's message matter to sessions that keep boundaries.
    package func receive(_ bytes: ByteBuffer, isText: Bool = true, isLast: Bool = true) {
        guard isLive || state == .new else { return }
        countReceived(bytes.readableBytes)
        if let session, session.keepsBoundaries { return session.receive(bytes, isText: isText, isLast: isLast) }
        guard bytes.readableBytes > 0 else { return }
        if inbound == nil || inbound?.readableBytes == 0 {
            inbound = bytes
        } else {
            inbound?.writeImmutableBuffer(bytes)
        }
        process()
    }

    /// Lets the session go on with bytes that it left because it was busy.
    package func process() {
        guard !isReceiving, isLive, let session, var bytes = inbound else { return }
        isReceiving = true
        inbound = nil
        session.receive(&bytes)
        // A copy of the rest, so that a few bytes do not keep a whole read buffer alive.
        if bytes.readableBytes > 0, isLive {
            inbound = bytes.readableBytes < 4096 && !session.isBusy ? ByteBuffer(bytes: bytes.readableBytesView) : bytes
        }
        isReceiving = false
        guard !isOverfull else { return }
        transport?.resumeReading()
        if !readWaiters.isEmpty { resumeReaders(true) }
    }

    /// Bytes that the session has not taken.
    private var unreadBytes: Int { inbound?.readableBytes ?? 0 }

    /// Whether the client must wait with sending: the session is busy and enough is buffered.
    package var isOverfull: Bool {
        unreadBytes >= limits.transportMaximumBufferSize && (state == .new || session?.isBusy ?? false)
    }

    /// Bytes that came by POST; whoever sent them hears when there is room for more, false when the connection is over.
    package func receive(_ bytes: ByteBuffer, isText: Bool, waiter: CheckedContinuation<Bool, Never>?) {
        guard isLive || state == .new else {
            waiter?.resume(returning: false)
            return
        }
        receive(bytes, isText: isText)
        guard let waiter else { return }
        if isOverfull { readWaiters.append(waiter) } else { waiter.resume(returning: true) }
    }

    private func resumeReaders(_ isOpen: Bool) {
        let waiters = readWaiters
        readWaiters = []
        for waiter in waiters { waiter.resume(returning: isOpen) }
    }

    /// Sending stopped (or goes on), as the transport sees it.
    package func writabilityChanged(_ canWrite: Bool, of transport: any Transport) {
        guard transport === self.transport else { return }
        (transport as? RemoteTransport)?.canWrite = canWrite
        blockedSince = canWrite ? 0 : now
        if canWrite { flush() }
        session?.writabilityChanged(canWrite)
    }

    /// The client ended its transport in order.
    /// - Parameter code: the WebSocket's close code, if it sent one.
    package func inputEnded(code: Int? = nil) {
        guard isLive else { return }
        history.interrupt(.closed(code: code))
        session?.inputEnded()
    }

    /// The transport broke. A stateful connection waits for a new one, every other ends.
    package func lost(_ transport: any Transport, _ reason: CloseReason) {
        guard transport === self.transport else { return }
        history.interrupt(.lost(reason.detail ?? reason.name))
        detach(transport)
        if state != .open || replay == nil && session?.outlivesTransport != true { return close(reason) }
        tell(.transport, "Lost its transport", detail: reason.detail)
    }

    /// Whether a poll that is like the one before may go on without a look at its token.
    var canPoll: Bool { state == .open && expiration.map { $0 > shard.clock.unixTime } != false }

    /// The next poll of a long-polling client. The first one starts the session and is answered empty at once, since clients discard
    /// its body (core protocol reference, "Long polling").
    func poll(_ poll: LongPollingTransport) {
        let isFirst = state == .new
        self.transport?.close(.transportEnded)
        attach(poll)
        if isFirst { poll.write(ByteBuffer()) }
    }
}

// MARK: - Sending

extension Connection {
    package func use(codec: Int) {
        format.codec = UInt8(codec)
        transferFormat = registry.codecs[codec].transferFormat
        if let transport { format.packaging = transport.packaging(for: transferFormat) }
    }

    /// Sends to this client alone: what is encoded is not kept for others.
    package func send(_ message: HubMessage) {
        guard isLive else { return }
        guard let bytes = format.packaging.encode(message, with: registry.codecs[Int(format.codec)]) else {
            return close(.writeFailed("The message cannot be written."))
        }
        messageObserver?.sent(message, to: self)
        if replay == nil || isHolding { countSentMessage() }
        if isHolding { return hold(Batch(bytes)) }
        // A stateful client may need it again, on a transport with another packaging.
        if replay != nil { send(Outgoing(message)) } else { enqueue(Batch(bytes)) }
    }

    package func send(_ outgoing: Outgoing) {
        guard isLive else { return }
        let outgoing = session?.addressed(outgoing) ?? outgoing
        guard let batch = shard.encoded(outgoing, format) else { return }
        countSentMessage()
        if isHolding { return hold(batch) }
        guard outgoing.isNumbered, replay != nil else { return enqueue(batch) }
        replay?.append(outgoing, batch.byteCount)
        release()
    }

    /// Past what is held and what is kept for replay: for messages that are neither numbered nor in order with others.
    package func sendAtOnce(_ message: HubMessage) {
        guard isLive, let bytes = format.packaging.encode(message, with: registry.codecs[Int(format.codec)]) else {
            return
        }
        enqueue(Batch(bytes))
    }

    /// From here on messages are put aside, but for those given to ``enqueue(_:)`` and ``sendAtOnce(_:)``.
    package func beginHolding() { isHolding = true }

    /// Sends what was put aside, and everything else from here on.
    package func endHolding() {
        isHolding = false
        guard let batch = held else { return }
        held = nil
        enqueue(Batch(batch.bytes()))
    }

    private func hold(_ batch: Batch) {
        held = held.map { Batch($0, then: batch) } ?? batch
        checkQueue()
    }

    /// A stateful client has everything up to this number.
    package func acknowledge(_ number: Int64) {
        replay?.acknowledge(number)
        release()
        flush()
    }

    /// Queues what a stateful client may have before it acknowledges more.
    private func release() {
        while let batch = replay?.release()?.batch(for: format, codecs: registry.codecs) { enqueue(batch) }
        checkQueue()
    }

    /// Queues bytes that are wrapped already; they leave at the end of the event loop's tick, together with all others.
    package func enqueue(_ batch: Batch) {
        countSent(batch.byteCount)
        pending = pending.map { Batch($0, then: batch) } ?? batch
        queued()
    }

    /// The same for one of many receivers: those that had the same batch pending share the longer one.
    func enqueue(_ batch: Batch, sharing memo: inout (before: Batch, after: Batch)?) {
        countSent(batch.byteCount)
        if let pending {
            if let memo, memo.before === pending {
                self.pending = memo.after
            } else {
                let longer = Batch(pending, then: batch)
                memo = (pending, longer)
                self.pending = longer
            }
        } else {
            self.pending = batch
        }
        queued()
    }

    /// How a message for many goes to this client. The shard keeps a copy, which must follow every change of what is used here.
    var lane: Lane {
        guard state == .open, pending == nil, !isStateful, !isHolding, let socket = transport?.idleSocket else {
            return Lane()
        }
        return Lane(socket: socket, format: format)
    }

    /// The transport's ``Transport/idleSocket`` may have changed, or something in the connection.
    package func updateLane() {
        if shardIndex >= 0 { shard.lanes[shardIndex] = lane }
        follower?.updateLane()
    }

    /// The socket, if bytes sent to it now come after all others.
    package var idleSocket: NIOBSDSocket.Handle? { lane.socket }

    /// What ``idleSocket`` did not take.
    func sendRest(_ bytes: ByteBuffer) { transport?.write(bytes) }

    private func queued() {
        if !isDirty {
            isDirty = true
            shard.needsFlush(self)
        }
        checkQueue()
    }

    private func checkQueue() {
        if queuedBytes > limits.maximumOutboundQueue { closeSoon(.slowConsumerBytes) }
    }

    /// Writes what is pending, if the transport takes it.
    package func flush() {
        isDirty = false
        if let pending, let transport {
            guard transport.canWrite else {
                if blockedSince == 0 { blockedSince = now }
                return
            }
            self.pending = nil
            transport.write(pending.bytes())
        }
        if !writeWaiters.isEmpty, !isBehind { resumeWriters() }
    }

    /// Whether streams must wait for the client. Between two polls there is no transport, and only the queue counts.
    private var isBehind: Bool {
        queuedBytes > Self.streamWindow || transport?.canWrite == false || replay?.isFull == true
    }

    private func resumeWriters() {
        let waiters = writeWaiters
        writeWaiters = []
        for waiter in waiters { waiter.resume() }
    }

    /// Queues a message and waits until a fast client would have taken it: the back-pressure of streams.
    package func sendAndWait(_ message: HubMessage) async {
        await withCheckedContinuation { (waiter: CheckedContinuation<Void, Never>) in
            onLoop { [self] in
                send(message)
                if isBehind, isLive { writeWaiters.append(waiter) } else { waiter.resume() }
            }
        }
    }

    /// Bytes a stream may queue before it waits; the pipe size of the original.
    private static let streamWindow = 65_536

    /// Bytes waiting in the queue, or for a stateful client's Ack; the transport may hold more.
    package var queuedBytes: Int {
        (pending?.byteCount ?? 0) + (held?.byteCount ?? 0) + (replay?.heldBytes ?? 0)
    }

    package func takeLastWords() -> ByteBuffer? {
        defer { lastWords = nil }
        return lastWords
    }
}

// MARK: - Ending

extension Connection {
    /// Ends the connection: last message, end of the transport, then the application's clean-up. Does nothing the second time.
    package func close(_ reason: CloseReason) {
        guard isLive || state == .new else { return }
        let wasLive = isLive
        if wasLive, reason != .slowConsumerBytes, reason != .slowConsumerTime { session?.willClose(reason) }
        if let pending, let transport {
            self.pending = nil
            transport.write(pending.bytes())
        }
        lastWords = pending?.bytes()
        state = .closing
        inbound = nil
        resumeWriters()
        resumeReaders(false)
        transport?.close(reason)
        guard wasLive, let session else { return removed(reason) }
        session.closed(reason) { [self] in onLoop { self.removed(reason) } }
    }

    /// For callers that are in the middle of a loop over connections, which ``close(_:)`` would change.
    package func closeSoon(_ reason: CloseReason) {
        eventLoop.execute { self.close(reason) }
    }

    private func removed(_ reason: CloseReason) {
        if state == .closing, shardIndex >= 0 {
            shard.remove(self)
            registry.connectionEnded(self, reason)
        }
        state = .closed
        session = nil
        pending = nil
        held = nil
        resumeWriters()
        onRemoved?()
        onRemoved = nil
    }

    /// The client went away between its request and the transport.
    package func closeIfNeverOpened() { if state == .new { close(.idle) } }

    package func closeIfExpired() {
        if let expiration, expiration < shard.clock.unixTime { closeSoon(.authenticationExpired) }
    }

    /// Once a second.
    func heartbeat() {
        transport?.heartbeat()
        if blockedSince != 0, now &- blockedSince >= limits.sendTimeout { return closeSoon(.slowConsumerTime) }
        if transport == nil, isLive, now &- detachedSince > disconnectTimeout { return closeSoon(.idle) }
        session?.heartbeat()
    }
}

/// The limits of an endpoint that its connections need, once for all of them.
package final class ConnectionLimits: Sendable {
    package let maximumOutboundQueue: Int
    let transportMaximumBufferSize: Int
    let maximumWebSocketFrameSize: Int
    let webSocketCloseTimeout: Duration
    /// In seconds, like everything that the heartbeat watches.
    let sendTimeout: UInt32
    let disconnectTimeout: UInt32

    package init(_ options: HubOptions) {
        self.maximumOutboundQueue = options.maximumOutboundQueue
        self.transportMaximumBufferSize = max(1, options.transportMaximumBufferSize)
        self.maximumWebSocketFrameSize = options.maximumWebSocketFrameSize
        self.webSocketCloseTimeout = options.webSocketCloseTimeout
        self.sendTimeout = options.sendTimeout.wholeSeconds
        self.disconnectTimeout = options.disconnectTimeout.wholeSeconds
    }
}

extension Duration {
    /// Rounded up, at least one: the resolution of the heartbeat.
    package var wholeSeconds: UInt32 {
        let (seconds, rest) = components
        return UInt32(clamping: max(1, rest > 0 ? seconds + 1 : seconds))
    }
}
