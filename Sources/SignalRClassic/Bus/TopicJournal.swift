// SignalBox: the messages of one hub that one event loop keeps for classic clients that come back
// SPDX-License-Identifier: Apache-2.0

import NIOCore
import SignalR
import SignalRWire

/// Whom a kept message was for.
enum Topic: Hashable {
    case all
    case group(String)
    case user(String)
    /// Of a client that is not here, and may come from another node.
    case connection(ConnectionID)
}

/// Numbers every delivery that concerns a classic client, and keeps it by topic (classic protocol reference, §17).
///
/// With a backplane that has a stream, everything is kept, since clients may come from nodes where others were subscribed.
///
/// Bounds: a number of messages per topic, a number of bytes in all, a number and an age of topics that nobody is subscribed to.
///
/// Safety: used on one event loop; the timer's closure runs there.
final class TopicJournal: DeliveryJournal, @unchecked Sendable {
    private final class Entry {
        var ring: MessageRing
        var subscribers = 0
        /// When the last subscriber left, or a message came that had none; meaningful while there are none.
        var leftAt = NIODeadline.now()

        init(_ ring: MessageRing) { self.ring = ring }
    }

    /// Topics without subscribers, beyond which the oldest go.
    private static let maximumOrphans = 1_000
    private static let sweepInterval = TimeAmount.seconds(5)

    private let eventLoop: any EventLoop
    private let codecs: [any HubCodec]
    /// The hub's name; nil for persistent connections.
    let hub: String?
    let prefix: String
    private let ringSize: Int
    private let maximumCost: Int
    private let topicLifetime: TimeAmount
    private var topics: [Topic: Entry] = [:]
    /// Topics in the order of what they keep, to find the oldest message of all. Some of it may be dropped already.
    private var order: CircularBuffer<(topic: Topic, sequence: UInt64)> = []
    /// Messages and bytes of all topics.
    private var count = 0
    private var cost = 0
    /// The last number of a topic that was forgotten with its messages.
    private var forgottenThrough: UInt64 = 0
    private var orphans = 0
    private var sweeper: Scheduled<Void>?
    /// nil where there is no stream.
    private(set) var marks: StreamMarks?

    init(
        _ eventLoop: any EventLoop, codecs: [any HubCodec], hub: String?, stream: BackplaneStream?,
        options: ClassicOptions
    ) {
        self.eventLoop = eventLoop
        self.codecs = codecs
        self.hub = hub
        self.prefix = MessageCursor.prefix(process: BusClock.process, loop: BusClock.number(of: eventLoop))
        self.ringSize = max(32, options.messageBufferSize)
        self.maximumCost = max(0, options.messageBufferBytes)
        self.topicLifetime = TimeAmount(options.topicLifetime)
        self.marks = stream.map { StreamMarks($0, since: BusClock.now) }
    }

    deinit { self.sweeper?.cancel() }

    // MARK: Subscriptions

    func subscribe(_ topic: Topic) {
        if let entry = self.topics[topic] {
            if entry.subscribers == 0 { self.orphans -= 1 }
            entry.subscribers += 1
        } else {
            self.add(topic).subscribers = 1
        }
    }

    private func add(_ topic: Topic) -> Entry {
        let entry = Entry(MessageRing(capacity: self.ringSize, since: self.completeSince))
        self.topics[topic] = entry
        return entry
    }

    /// What a topic that is not here holds: nothing that came after this number.
    private var completeSince: UInt64 { self.marks == nil ? BusClock.now : self.forgottenThrough }

    func unsubscribe(_ topic: Topic) {
        guard let entry = self.topics[topic], entry.subscribers > 0 else { return }
        entry.subscribers -= 1
        guard entry.subscribers == 0 else { return }
        entry.leftAt = .now()
        self.orphans += 1
        self.sweepLater()
    }

    private func sweepLater() {
        guard self.sweeper == nil else { return }
        self.sweeper = self.eventLoop.scheduleTask(in: Self.sweepInterval) { [weak self] in self?.sweep() }
    }

    private func sweep() {
        self.sweeper = nil
        let now = NIODeadline.now()
        let left = self.topics.filter { $0.value.subscribers == 0 }.sorted { $0.value.leftAt < $1.value.leftAt }
        let excess = left.count - Self.maximumOrphans
        for (index, orphan) in left.enumerated()
        where index < excess || now - orphan.value.leftAt >= self.topicLifetime {
            let through = self.marks == nil ? BusClock.now : orphan.value.ring.newest
            self.forgottenThrough = max(self.forgottenThrough, through)
            self.cost -= orphan.value.ring.cost
            self.count -= orphan.value.ring.count
            self.topics[orphan.key] = nil
            self.orphans -= 1
        }
        if self.orphans > 0 { self.sweepLater() }
    }

    // MARK: Deliveries

    func record(_ message: Outgoing, to target: HubTarget, except: Exclusion) -> Outgoing? {
        let topics = self.topics(of: target)
        guard !topics.isEmpty, let call = self.encode(message) else { return nil }
        let kept = KeptMessage(
            sequence: self.nextNumber(for: message), bytes: call.bytes, isCall: call.isCall, excluded: except)
        for topic in topics { self.keep(kept, topic) }
        return self.outgoing(kept, for: message)
    }

    private func nextNumber(for message: Outgoing?) -> UInt64 {
        let sequence = BusClock.next()
        if let position = message?.position { self.marks?.append(position, sequence) }
        return sequence
    }

    private func topics(of target: HubTarget) -> [Topic] {
        switch target {
        case .all: self.wanted([.all])
        case .groups(let names): self.wanted(names.map(Topic.group))
        case .users(let ids): self.wanted(Set(ids).map(Topic.user))
        // Only what classic clients are called can be one of them.
        case .connections(let ids):
            self.wanted(ids.compactMap { ConnectionID($0) }.filter(\.isGUID).map(Topic.connection))
        }
    }

    private func wanted(_ topics: [Topic]) -> [Topic] {
        self.marks == nil ? topics.filter { self.topics[$0] != nil } : topics
    }

    /// The part of the message that all classic receivers share, and whether the hub's name goes around it; nil when they cannot receive it.
    func encode(_ message: Outgoing) -> (bytes: ByteBuffer, isCall: Bool)? {
        if case .encoded(let frames) = message.content, let whole = frames[ClassicHubCodec.messagesName] {
            return (whole, false)
        }
        let format = Format(codec: UInt8(self.codecs.count - 1), packaging: .bare)
        return message.batch(for: format, codecs: self.codecs).map { ($0.bytes(), self.hub != nil) }
    }

    /// A message for one connection, which keeps it itself.
    func number(_ value: ByteBuffer, of message: Outgoing?) -> KeptMessage {
        KeptMessage(sequence: self.nextNumber(for: message), bytes: value, isCall: false, excluded: .nobody)
    }

    func outgoing(_ kept: KeptMessage, for message: Outgoing) -> Outgoing {
        Outgoing(.numbered(self.call(message, kept)))
    }

    func frame(_ kept: KeptMessage) -> ByteBuffer? { self.call(Outgoing(.encoded([:])), kept).frame() }

    private func call(_ message: Outgoing, _ kept: KeptMessage) -> NumberedCall {
        let place = self.marks?.place(at: kept.sequence).text ?? ""
        return NumberedCall(message, kept, prefix: self.prefix, place: place, hub: self.hub)
    }

    /// Takes over what a client that leaves this node has not fetched, should it come back after all.
    func keep(_ messages: some Sequence<KeptMessage>, for id: ConnectionID) {
        guard self.marks != nil else { return }
        for message in messages { self.keep(message, .connection(id)) }
    }

    private func keep(_ message: KeptMessage, _ topic: Topic) {
        let entry = self.topics[topic] ?? self.addOrphan(topic)
        // Who needs it may be on another node.
        if self.marks != nil, entry.subscribers == 0 { entry.leftAt = .now() }
        self.change(entry) { $0.append(message) }
        self.order.append((topic, message.sequence))
        while self.cost > self.maximumCost, let oldest = self.order.popFirst() {
            if self.isKept(oldest), let entry = self.topics[oldest.topic] { self.change(entry) { $0.dropOldest() } }
        }
        if self.order.count > 2 * self.count + 1_024 {
            self.order = CircularBuffer(self.order.filter { self.isKept($0) })
        }
    }

    private func addOrphan(_ topic: Topic) -> Entry {
        if self.orphans >= 2 * Self.maximumOrphans {
            self.sweeper?.cancel()
            self.sweep()
        }
        self.orphans += 1
        self.sweepLater()
        return self.add(topic)
    }

    private func change(_ entry: Entry, _ body: (inout MessageRing) -> Void) {
        self.cost -= entry.ring.cost
        self.count -= entry.ring.count
        body(&entry.ring)
        self.cost += entry.ring.cost
        self.count += entry.ring.count
    }

    private func isKept(_ place: (topic: Topic, sequence: UInt64)) -> Bool {
        guard let oldest = self.topics[place.topic]?.ring.oldest else { return false }
        return oldest <= place.sequence
    }

    // MARK: Replay

    /// Messages of a topic after a number, without those that exclude the connection.
    func messages(
        of topic: Topic, after sequence: UInt64, for connection: Connection, limit: Int
    ) -> [KeptMessage] {
        guard let ring = self.topics[topic]?.ring else { return [] }
        return ring.messages(after: sequence, limit: limit).filter { !$0.excluded.contains(connection) }
    }

    /// The number up to which messages of the topic may be missing.
    func droppedThrough(in topic: Topic) -> UInt64 {
        self.topics[topic]?.ring.droppedThrough ?? self.forgottenThrough
    }
}
