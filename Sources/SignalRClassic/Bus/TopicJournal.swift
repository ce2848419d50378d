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
}

/// Numbers every delivery that concerns a classic client, and keeps it by topic (classic protocol reference, §17).
///
/// Bounds: a number of messages per topic, a number of bytes in all, a number and an age of topics that nobody is subscribed to.
///
/// Safety: used on one event loop; the timer's closure runs there.
final class TopicJournal: DeliveryJournal, @unchecked Sendable {
    private final class Entry {
        var ring: MessageRing
        var subscribers = 0
        /// When the last subscriber left; meaningful while there are none.
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

    init(_ eventLoop: any EventLoop, codecs: [any HubCodec], hub: String?, options: ClassicOptions) {
        self.eventLoop = eventLoop
        self.codecs = codecs
        self.hub = hub
        self.prefix = MessageCursor.prefix(process: BusClock.process, loop: BusClock.number(of: eventLoop))
        self.ringSize = max(32, options.messageBufferSize)
        self.maximumCost = max(0, options.messageBufferBytes)
        self.topicLifetime = TimeAmount(options.topicLifetime)
    }

    deinit { self.sweeper?.cancel() }

    // MARK: Subscriptions

    func subscribe(_ topic: Topic) {
        if let entry = self.topics[topic] {
            if entry.subscribers == 0 { self.orphans -= 1 }
            entry.subscribers += 1
        } else {
            let entry = Entry(MessageRing(capacity: self.ringSize, since: BusClock.now))
            entry.subscribers = 1
            self.topics[topic] = entry
        }
    }

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
            self.forgottenThrough = max(self.forgottenThrough, BusClock.now)
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
            sequence: BusClock.next(), bytes: call.bytes, isCall: call.isCall, excluded: except)
        for topic in topics { self.keep(kept, topic) }
        return Outgoing(.numbered(NumberedCall(message, kept, prefix: self.prefix, hub: self.hub)))
    }

    private func topics(of target: HubTarget) -> [Topic] {
        switch target {
        case .all: self.topics[.all] == nil ? [] : [.all]
        case .groups(let names): names.map(Topic.group).filter { self.topics[$0] != nil }
        case .users(let ids): Set(ids).map(Topic.user).filter { self.topics[$0] != nil }
        case .connections: []
        }
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
    func number(_ value: ByteBuffer) -> KeptMessage {
        KeptMessage(sequence: BusClock.next(), bytes: value, isCall: false, excluded: .nobody)
    }

    func outgoing(_ kept: KeptMessage, for message: Outgoing) -> Outgoing {
        Outgoing(.numbered(NumberedCall(message, kept, prefix: self.prefix, hub: self.hub)))
    }

    private func keep(_ message: KeptMessage, _ topic: Topic) {
        guard let entry = self.topics[topic] else { return }
        self.change(entry) { $0.append(message) }
        self.order.append((topic, message.sequence))
        while self.cost > self.maximumCost, let oldest = self.order.popFirst() {
            if self.isKept(oldest), let entry = self.topics[oldest.topic] { self.change(entry) { $0.dropOldest() } }
        }
        if self.order.count > 2 * self.count + 1_024 {
            self.order = CircularBuffer(self.order.filter { self.isKept($0) })
        }
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
