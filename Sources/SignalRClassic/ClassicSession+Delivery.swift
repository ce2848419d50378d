// SignalBox: how messages reach a classic client: pushed as they come, or read from the journals from where the client stands
// SPDX-License-Identifier: Apache-2.0

import NIOCore
import SignalR
import SignalRWire

extension ClassicSession {
    /// Messages of one frame, of each topic.
    private static let frameMessages = (stream: 500, poll: 5_000)
    /// Bytes of the messages of one frame, past which it ends with the message at hand.
    private static let frameBytes = 256 << 10

    // MARK: Pushing

    /// How hubs must wrap what they push; bare while everything is pulled.
    var packaging: Packaging {
        if case .pushing = self.flow { self.carrier.format.packaging } else { .bare }
    }

    /// What a hub has for the client, with everything in it that was delivered so far.
    func push(_ bytes: ByteBuffer) {
        switch self.flow {
        case .pushing: if bytes.readableBytes > 0 { self.carrier.transport?.write(bytes) }
        case .pulling: self.pullSoon()
        case .away: break
        }
    }

    /// Where a hub may write without asking; nil while anything else could be on its way.
    var pushSocket: NIOBSDSocket.Handle? { if case .pushing = self.flow { self.carrier.idleSocket } else { nil } }

    func change(to flow: Flow) {
        self.flow = flow
        for seat in self.seats where seat.connection.state == .open { seat.connection.attach(seat) }
    }

    func writabilityChanged(_ canWrite: Bool) {
        switch self.flow {
        case .pushing where !canWrite:
            self.flushPushed()
            self.change(to: .pulling)
        case .pulling where canWrite: self.pullSoon()
        default: break
        }
    }

    /// Hands on what is on its way to a pushed client, and with it everything that was delivered.
    func flushPushed() {
        for seat in self.seats { seat.connection.flush() }
        self.position = BusClock.now
    }

    /// A hub that the client did not list has something for it, which only reading finds. To be called before that has a number.
    func stopPushing(for seat: ClassicSeat) {
        guard case .pushing = self.flow, !self.seats.contains(where: { $0 === seat }) else { return }
        self.flushPushed()
        self.change(to: .pulling)
    }

    // MARK: Pulling

    /// All hubs that can have something for the client: unlisted ones the reports and results of its calls.
    private var sources: [ClassicSeat] { self.guests.isEmpty ? self.seats : self.seats + self.guests.values }

    /// Once at the end of the tick, whatever happens in it.
    private func pullSoon() {
        guard !self.isPullScheduled else { return }
        self.isPullScheduled = true
        self.carrier.eventLoop.execute { self.pull() }
    }

    func pull() {
        self.isPullScheduled = false
        guard case .pulling = self.flow else { return }
        while let transport = self.carrier.transport, transport.canWrite {
            self.noticeGap()
            let (messages, isComplete) = self.next()
            guard !messages.isEmpty || self.owesInitialFrame || self.owesGroups || self.owesGap else { break }
            self.write(self.frame(messages), on: transport)
            if transport.kind == .longPolling {
                self.flow = .away
                break
            }
            if isComplete { break }
        }
        self.writeResults()
        self.pushIfPossible()
        self.wakeWaiters()
    }

    /// Messages that were dropped before the client could have them: it was away, or slower than they came.
    func noticeGap() {
        let place = max(self.position, self.gapTold)
        guard let through = self.seats.compactMap({ $0.gap(after: place) }).max() else { return }
        self.gapTold = through
        self.owesGap = true
    }

    /// The next messages of all hubs in the order of their numbers; moves the position behind them.
    private func next() -> (messages: [ByteBuffer], isComplete: Bool) {
        let limit = self.transport == .longPolling ? Self.frameMessages.poll : Self.frameMessages.stream
        var found = self.sources.flatMap { seat in
            seat.messages(after: self.position, limit: limit + 1).map { (seat: seat, message: $0) }
        }
        found.sort { $0.message.sequence < $1.message.sequence }
        var (messages, bytes): ([ByteBuffer], Int) = ([], 0)
        var last = self.position
        for (seat, message) in found {
            // A message to several groups has one number; a frame must not end inside of it.
            let isOver = messages.count >= limit || bytes >= Self.frameBytes
            if isOver, message.sequence != last {
                self.position = last
                return (messages, false)
            }
            var value = ByteBuffer()
            if message.write(hub: seat.application.name, into: &value) { messages.append(value) }
            bytes += value.readableBytes
            last = message.sequence
        }
        self.position = BusClock.now
        return (messages, true)
    }

    private func frame(_ messages: [ByteBuffer]) -> ClassicFrame {
        var frame = ClassicFrame(self.cursor)
        frame.isInitial = self.owesInitialFrame
        if self.owesGroups { frame.groupsToken = self.groupsToken }
        if self.transport == .longPolling { frame.pollDelay = Int64(self.options.longPollDelay.seconds * 1_000) }
        frame.messages = (self.owesGap ? self.gapMessages : []) + messages
        self.owesInitialFrame = false
        self.owesGroups = false
        self.owesGap = false
        return frame
    }

    var cursor: MessageCursor {
        MessageCursor(
            process: BusClock.process, loop: BusClock.number(of: self.carrier.eventLoop), sequence: self.position,
            places: self.seats.compactMap { $0.place(at: self.position) })
    }

    /// Tells each hub's code on the client that something is missing.
    private var gapMessages: [ByteBuffer] {
        self.endpoint.missed(self.carrier.id)
        guard let method = self.options.gapMethod else { return [] }
        return self.seats.compactMap { seat in
            guard seat.application.isListed, let hub = seat.application.name else { return nil }
            var (call, value) = (ByteBuffer(), ByteBuffer())
            let invocation = HubMessage.Invocation(id: nil, target: method, arguments: .values([]))
            guard (try? ClassicHubCodec().write(.invocation(invocation), into: &call)) != nil,
                (try? ClassicCodec.write(call: call, of: hub, into: &value)) != nil
            else { return nil }
            return value
        }
    }

    private func write(_ frame: ClassicFrame, on transport: any Transport) {
        var json = ByteBuffer()
        ClassicCodec.write(frame, into: &json)
        self.write(json, on: transport)
    }

    func write(_ json: ByteBuffer, on transport: any Transport) {
        if let bytes = self.carrier.format.packaging.wrap(json) { transport.write(bytes) }
    }

    private func pushIfPossible() {
        guard self.seats.count == 1, self.seats[0].sharesFrames, self.transport != .longPolling, self.results.isEmpty,
            case .pulling = self.flow,
            let transport = self.carrier.transport, transport.canWrite, self.isCaughtUp
        else { return }
        self.change(to: .pushing)
    }

    /// Returns when the client has what there is for it: as far as its socket tells, or when a polling client comes for more. Streams wait
    /// for that.
    func caughtUp() async {
        await withCheckedContinuation { waiter in
            self.carrier.onLoop { [self] in
                self.waiters.append(waiter)
                self.wakeWaiters()
            }
        }
    }

    func wakeWaiters() {
        let isLive = self.carrier.state == .open
        if isLive {
            let isPushed = if case .pushing = self.flow { self.carrier.transport?.canWrite == true } else { false }
            let isWaiting = self.transport != .longPolling || self.carrier.transport != nil
            guard isPushed || isWaiting && self.isCaughtUp else { return }
        }
        let waiters = self.waiters
        self.waiters = []
        for waiter in waiters { waiter.resume() }
    }

    private var isCaughtUp: Bool { self.sources.allSatisfy { $0.messages(after: self.position, limit: 1).isEmpty } }

    // MARK: Groups

    func groupsChanged() {
        // The server that owns a client keeps its groups.
        guard self.owner == nil else { return }
        self.owesGroups = true
        guard !self.isRejoining, !self.isPullScheduled else { return }
        self.isPullScheduled = true
        self.carrier.eventLoop.execute { self.tellGroups() }
    }

    private func tellGroups() {
        if case .pushing = self.flow, self.owesGroups, self.carrier.transport != nil {
            self.flushPushed()
            // Writing may have filled the socket, which makes it a pulled one.
            if case .pushing = self.flow, let transport = self.carrier.transport {
                self.isPullScheduled = false
                return self.write(self.frame([]), on: transport)
            }
        }
        self.pull()
    }

    private var groupsToken: String? {
        let names = self.seats.flatMap { seat in seat.groups.map { seat.application.groupPrefix + $0 } }
        return self.options.keys.groupsToken(Array(names.prefix(self.options.maximumTokenGroups)), of: self.carrier.id)
    }

    // MARK: Results

    /// The answer to a call that came by the socket.
    func reply(_ json: ByteBuffer) {
        guard self.transport == .webSockets, self.carrier.transport != nil else { return }
        if case .pushing = self.flow, let seat = self.seats.first {
            if let bytes = self.carrier.format.packaging.wrap(json) { seat.connection.enqueue(Batch(bytes)) }
            return
        }
        self.results.append(json)
        self.resultBytes += json.readableBytes
        if self.resultBytes > self.options.maximumOutboundQueue { return self.endSoon(.slowConsumerBytes) }
        if case .pulling = self.flow { self.pullSoon() }
    }

    private func writeResults() {
        while let transport = self.carrier.transport, transport.canWrite, let json = self.results.popFirst() {
            self.resultBytes -= json.readableBytes
            self.write(json, on: transport)
        }
    }
}
