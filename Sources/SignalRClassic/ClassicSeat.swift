// SignalBox: a classic client's place in one hub: an ordinary connection of it, whose transport is the client's own
// SPDX-License-Identifier: Apache-2.0

import NIOCore
import SignalR
import SignalRWire
import Synchronization

/// To the hub, this is a connection like any other: in its registry, its groups, its presence. What is sent to it goes to the
/// ``ClassicSession``, which has one such place for each hub that the client uses.
///
/// Safety: the constants and `aborted` may be read anywhere; the rest is used on the connection's event loop.
final class ClassicSeat: ConnectionSession, Transport, HubCaller, @unchecked Sendable {
    // MARK: Constants

    let connection: Connection
    let application: ClassicApplication
    let items = ConnectionItems()
    private let journal: TopicJournal
    private let aborted = Atomic(false)

    // MARK: State, on the event loop

    /// Forms a cycle until hub code is done with the client.
    private var session: ClassicSession?
    /// Messages for this client alone.
    private var own: MessageRing
    private var ownCost: Int
    /// Since when the client is subscribed to a topic, as far as this server knows; 0 for groups of a token.
    private var topics: [Topic: UInt64] = [:]
    /// Up to where the client has what this hub sent, whatever its session says: where it stood on another node.
    private var floor: UInt64 = 0
    /// Whether hub code knows the client, so that it must hear of its end.
    var isConnected = false
    private var finished: (@Sendable () -> Void)?
    private var isFinished = false

    init(
        _ session: ClassicSession, _ application: ClassicApplication, _ connection: Connection,
        _ options: ClassicOptions
    ) {
        self.session = session
        self.application = application
        self.connection = connection
        self.journal = TopicJournal.of(application, on: connection.eventLoop, options: options)
        // With a stream, what was for this client before it came is in the journal.
        self.own = MessageRing(
            capacity: max(32, options.messageBufferSize), since: self.journal.marks == nil ? BusClock.now : 0)
        self.ownCost = max(1 << 16, options.messageBufferBytes / 32)
    }

    /// Makes the client known to the hub.
    func enter() {
        self.connection.begin(self)
        self.connection.attach(self)
    }

    /// The app server that the client belongs to.
    var owner: (any ClassicOwner)? { self.session?.owner }
    /// The client's connections in all its hubs.
    var places: [Connection] { self.session?.seats.map(\.connection) ?? [] }

    var groups: [String] {
        self.topics.keys.compactMap { if case .group(let name) = $0 { name } else { nil } }.sorted()
    }

    // MARK: HubCaller

    var server: HubServer { self.application.server }
    var protocolName: String { "classic" }
    var isAborted: Bool { self.aborted.load(ordering: .relaxed) }
    func permitReleased() {}

    // MARK: Transport

    var sharedTransportHistory: TransportHistory? { self.session?.carrier.transportHistory }
    var kind: TransportKind { self.session?.transport.kind ?? .longPolling }
    /// The client's own, while what this hub has for it goes out as it is.
    var idleSocket: NIOBSDSocket.Handle? { self.session?.pushSocket }
    /// What cannot be written now is read from the journal later.
    var canWrite: Bool { true }
    func packaging(for format: TransferFormat) -> Packaging { self.session?.packaging ?? .bare }
    func write(_ bytes: ByteBuffer) { self.session?.push(bytes) }
    func resumeReading() {}

    /// The hub ended the connection, which takes the client out of all hubs. Not here and now, since the hub may be in a loop over
    /// its connections.
    func close(_ reason: CloseReason) { self.session?.endSoon(reason) }

    // MARK: ConnectionSession

    func opened() {
        self.connection.use(codec: self.connection.registry.codecs.count - 1)
        self.connection.register()
        let isReturning = self.session?.isReturning == true
        let since = isReturning ? 0 : BusClock.now
        self.subscribe(.all, since: since)
        if let user = self.connection.userID { self.subscribe(.user(user), since: since) }
        if isReturning, self.journal.marks != nil { self.subscribe(.connection(self.connection.id), since: since) }
    }

    func resumed() {}
    func receive(_ bytes: inout ByteBuffer) {}
    var isBusy: Bool { false }
    var answersCalls: Bool { false }
    func heartbeat() {}
    func willClose(_ reason: CloseReason) {}
    func inputEnded() {}

    func closed(_ reason: CloseReason, finished: @escaping @Sendable () -> Void) {
        self.aborted.store(true, ordering: .relaxed)
        for topic in self.topics.keys { self.journal.unsubscribe(topic) }
        self.journal.keep(self.own.messages(after: 0, limit: .max), for: self.connection.id)
        self.topics = [:]
        if self.isFinished { finished() } else { self.finished = finished }
    }

    /// Hub code is done with the client.
    func finish() {
        self.isFinished = true
        self.session = nil
        self.finished?()
        self.finished = nil
    }

    // MARK: Topics

    private func subscribe(_ topic: Topic, since sequence: UInt64) {
        guard self.topics[topic] == nil else { return }
        self.journal.subscribe(topic)
        self.topics[topic] = sequence
    }

    func membershipChanged(of group: String, to isMember: Bool) {
        if isMember {
            self.subscribe(.group(group), since: self.session?.isRejoining == true ? 0 : BusClock.now)
        } else if self.topics.removeValue(forKey: .group(group)) != nil {
            self.journal.unsubscribe(.group(group))
        }
        self.session?.groupsChanged()
    }

    // MARK: Messages for this client alone

    func addressed(_ message: Outgoing) -> Outgoing {
        guard let call = self.journal.encode(message), let value = self.value(call, from: message) else {
            return message
        }
        return self.journal.outgoing(self.keep(value, of: message), for: message)
    }

    private func value(_ call: (bytes: ByteBuffer, isCall: Bool), from message: Outgoing) -> ByteBuffer? {
        guard call.isCall, let hub = self.application.name else { return call.bytes }
        let caller = message.call as? ClassicCall
        var value = ByteBuffer()
        let changes = caller?.seat === self ? caller?.changes ?? [] : []
        return (try? ClassicCodec.write(call: call.bytes, of: hub, state: changes, into: &value)).map { value }
    }

    private func keep(_ value: ByteBuffer, of message: Outgoing? = nil) -> KeptMessage {
        let kept = self.journal.number(value, of: message)
        self.own.append(kept)
        while self.own.cost > self.ownCost, self.own.count > 1 { self.own.dropOldest() }
        return kept
    }

    /// From any thread. Takes its turn among everything else that goes to the client.
    func report(_ progress: ClassicProgress) {
        self.connection.onLoop { [self] in
            var value = ByteBuffer()
            if (try? ClassicCodec.write(progress, into: &value)) != nil { self.tell(value) }
        }
    }

    /// Sends the client a value of its own, behind everything else that is for it.
    func tell(_ value: ByteBuffer) {
        guard !self.isAborted, let session else { return }
        session.stopPushing(for: self)
        let kept = self.keep(value)
        guard session.packaging != .bare else { return session.push(ByteBuffer()) }
        if let frame = self.journal.frame(kept), let bytes = session.packaging.wrap(frame) {
            self.connection.enqueue(Batch(bytes))
        }
    }

    /// From any thread.
    func pass(_ source: StreamSource, of call: ClassicCall) async throws {
        let session = await withCheckedContinuation { waiter in
            self.connection.onLoop { waiter.resume(returning: self.session) }
        }
        try await session?.pass(source, of: call)
    }

    /// The client is gone, which its connection cannot tell in a hub that it did not list.
    func abandon() { self.aborted.store(true, ordering: .relaxed) }

    // MARK: Replay

    /// What this hub has for the client after a number, at most `limit` of each topic, in no order.
    func messages(after place: UInt64, limit: Int) -> [KeptMessage] {
        let sequence = max(place, self.floor)
        var found = Array(self.own.messages(after: sequence, limit: limit))
        for (topic, since) in self.topics {
            found += self.journal.messages(
                of: topic, after: max(sequence, since), for: self.connection, limit: limit)
        }
        // Server code may have words for clients that list the hub only.
        return self.application.isListed ? found : found.filter { !$0.isCall }
    }

    /// Whether what the hub's journal wraps for all is right for this client.
    var sharesFrames: Bool { self.journal.hub == self.application.name }

    /// Up to where something for the client may be lost that came after a number; nil when nothing is.
    func gap(after place: UInt64) -> UInt64? {
        let sequence = max(place, self.floor)
        var dropped = self.own.droppedThrough > sequence ? self.own.droppedThrough : 0
        for (topic, since) in self.topics {
            let through = self.journal.droppedThrough(in: topic)
            if through > max(sequence, since) { dropped = max(dropped, through) }
        }
        return dropped > 0 ? dropped : nil
    }

    // MARK: Streams

    /// Begins where a client of another node stands; nil, and here and now, when nobody knows what it missed.
    func begin(at places: [MessageCursor.Place]) -> UInt64? {
        let marks = self.journal.marks
        let position = places.filter { $0.stream == marks?.stream }.map(\.position).min()
        let sequence = position.flatMap { marks?.sequence(at: $0) }
        self.floor = sequence ?? BusClock.now
        return sequence
    }

    /// What other nodes need to know of a client that has everything up to a number.
    func place(at sequence: UInt64) -> MessageCursor.Place? {
        self.journal.marks?.place(at: max(sequence, self.floor))
    }
}

extension TopicJournal {
    /// The hub's journal on an event loop; made for its first classic client there.
    static func of(
        _ application: ClassicApplication, on eventLoop: any EventLoop, options: ClassicOptions
    ) -> TopicJournal {
        let registry = application.server.registry
        let shard = registry.shard(of: eventLoop)
        if let journal = shard.journal as? TopicJournal { return journal }
        let journal = TopicJournal(
            eventLoop, codecs: registry.codecs, hub: application.name, stream: application.server.backplane.stream,
            options: options)
        shard.journal = journal
        return journal
    }
}
