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

    mutating func sent(messages: Int, bytes: Int) {
        messagesOut &+= messages
        bytesOut &+= bytes
    }
}

/// What went at once to every open connection of a shard, or of a group or user there, by format.
///
/// A message for many touches nothing of a receiver but its lane, so it is counted here, once. A connection that comes subtracts what
/// was counted before, and one that leaves adds what it had with all others.
final class SharedTraffic {
    private var counts: [(messages: Int, bytes: Int)] = []

    subscript(format: Format) -> (messages: Int, bytes: Int) {
        format.slot < counts.count ? counts[format.slot] : (0, 0)
    }

    func sent(_ bytes: Int, in format: Format) {
        while counts.count <= format.slot { counts.append((0, 0)) }
        counts[format.slot].messages &+= 1
        counts[format.slot].bytes &+= bytes
    }
}

extension Connection {
    /// What this connection sent and received. On the event loop.
    package var traffic: Traffic {
        var traffic = ownTraffic
        guard state == .open else { return traffic }
        for shared in audiences { traffic.sent(messages: shared[format].messages, bytes: shared[format].bytes) }
        return traffic
    }

    private var audiences: [SharedTraffic] { [shard.sharedTraffic] + memberships.map(\.set.sharedTraffic) }

    /// It begins, or ceases, to get what goes to all that are open and have this format.
    func share(_ format: Format, isSharing: Bool) {
        for shared in audiences { share(shared, format, isSharing: isSharing) }
    }

    /// The same for one group or user.
    func share(_ shared: SharedTraffic, _ format: Format, isSharing: Bool) {
        let (messages, bytes) = shared[format]
        ownTraffic.sent(messages: isSharing ? 0 &- messages : messages, bytes: isSharing ? 0 &- bytes : bytes)
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
