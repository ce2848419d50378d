// SignalBox: how many messages and bytes went either way, without touching the receivers of a broadcast
// SPDX-License-Identifier: Apache-2.0

/// Counts since the beginning. Hub messages are counted without pings, bytes with everything that belongs to the transport's framing.
package struct Traffic: Sendable, Equatable {
    package var messagesIn = 0
    package var messagesOut = 0
    package var bytesIn = 0
    package var bytesOut = 0

    package init() {}

    package static func += (left: inout Traffic, right: Traffic) {
        left.messagesIn &+= right.messagesIn
        left.messagesOut &+= right.messagesOut
        left.bytesIn &+= right.bytesIn
        left.bytesOut &+= right.bytesOut
    }

    mutating func sent(_ count: (messages: Int, bytes: Int)) {
        messagesOut &+= count.messages
        bytesOut &+= count.bytes
    }
}

/// What went at once to every open connection of a shard, or of a group or user there, by format.
///
/// A message for many touches nothing of a receiver but its lane, so it is counted here, once. A connection that comes subtracts what
/// was counted before, and one that leaves adds what it had with all others.
struct SharedTraffic {
    private struct Count {
        var format: Format
        var messages = 0
        var bytes = 0
    }

    /// The format that came first, which most groups have alone, beside all others: no further place in memory to visit.
    private var first: Count?
    private var others: [Count] = []

    subscript(format: Format) -> (messages: Int, bytes: Int) {
        if let first, first.format == format { return (first.messages, first.bytes) }
        return others.first { $0.format == format }.map { ($0.messages, $0.bytes) } ?? (0, 0)
    }

    mutating func sent(_ bytes: Int, in format: Format) {
        var count = self[format]
        count.messages &+= 1
        count.bytes &+= bytes
        let new = Count(format: format, messages: count.messages, bytes: count.bytes)
        if first.map({ $0.format == format }) ?? true {
            first = new
        } else if let known = others.firstIndex(where: { $0.format == format }) {
            others[known] = new
        } else {
            others.append(new)
        }
    }
}

extension Connection {
    /// What this connection sent and received. On the event loop.
    package var traffic: Traffic {
        var traffic = ownTraffic
        guard state == .open else { return traffic }
        traffic.sent(shard.sharedTraffic[format])
        for membership in memberships { traffic.sent(membership.set.sharedTraffic[format]) }
        return traffic
    }

    /// It begins, or ceases, to get what goes to all that are open and have this format.
    func share(_ format: Format, isSharing: Bool) {
        share(shard.sharedTraffic, format, isSharing: isSharing)
        for membership in memberships { share(membership.set.sharedTraffic, format, isSharing: isSharing) }
    }

    /// The same for one group or user.
    func share(_ shared: SharedTraffic, _ format: Format, isSharing: Bool) {
        let (messages, bytes) = shared[format]
        ownTraffic.sent(isSharing ? (0 &- messages, 0 &- bytes) : (messages, bytes))
    }

    /// A hub message, or a piece of some that is relayed as it is, came from the client. On the event loop.
    package func countReceivedMessage() {
        ownTraffic.messagesIn &+= 1
        shard.traffic.messagesIn &+= 1
    }

    /// The same for one that goes to the client. On the event loop.
    package func countSentMessage() {
        ownTraffic.messagesOut &+= 1
        shard.traffic.messagesOut &+= 1
    }

    func countReceived(_ bytes: Int) {
        ownTraffic.bytesIn &+= bytes
        shard.traffic.bytesIn &+= bytes
    }

    func countSent(_ bytes: Int) {
        ownTraffic.bytesOut &+= bytes
        shard.traffic.bytesOut &+= bytes
    }
}
