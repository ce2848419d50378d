// SignalBox: what a stateful client has not acknowledged yet, and what was received from it (stateful reconnect)
// SPDX-License-Identifier: Apache-2.0

import NIOCore

/// Numbers messages in both directions and keeps those sent until the client acknowledges them
/// (core protocol reference, "Stateful reconnect"). Message types 1 to 5 count, from 1, never reset.
struct ReplayBuffer {
    /// Once this many bytes were released and not acknowledged, the next message waits for an Ack; one may overshoot.
    let limit: Int
    private var unacknowledged: [(message: Outgoing, bytes: Int)] = []
    /// How many of `unacknowledged`, from the front, may be with the client.
    private var releasedCount = 0
    private var releasedBytes = 0
    /// Bytes of the messages that wait for an Ack before they may leave.
    private(set) var heldBytes = 0
    /// Messages numbered so far.
    private var sent: Int64 = 0
    private var expected: Int64 = 1
    private var latest: Int64 = 0
    private var acknowledged: Int64 = 0

    init(limit: Int) { self.limit = limit }

    var isFull: Bool { releasedBytes > limit }

    mutating func append(_ message: Outgoing, _ bytes: Int) {
        unacknowledged.append((message, bytes))
        heldBytes += bytes
        sent += 1
    }

    /// The next message that may leave now.
    mutating func release() -> Outgoing? {
        guard !isFull, releasedCount < unacknowledged.count else { return nil }
        let (message, bytes) = unacknowledged[releasedCount]
        releasedCount += 1
        releasedBytes += bytes
        heldBytes -= bytes
        return message
    }

    /// The client has everything up to `number`. An Ack above what was released acknowledges all of that.
    mutating func acknowledge(_ number: Int64) {
        guard number > 0 else { return }
        let done = min(Int(clamping: number - (sent - Int64(unacknowledged.count))), releasedCount)
        guard done > 0 else { return }
        releasedBytes -= unacknowledged.prefix(done).reduce(0) { $0 + $1.bytes }
        releasedCount -= done
        unacknowledged.removeFirst(done)
    }

    /// Whether the next numbered message from the client is new; a duplicate is dropped.
    mutating func receive() -> Bool {
        defer { expected += 1 }
        guard expected > latest else { return false }
        latest = expected
        return true
    }

    /// The client starts again at `number`. Returns false for a number that was never reached.
    mutating func restart(at number: Int64) -> Bool {
        guard number > 0, number <= expected else { return false }
        expected = number
        return true
    }

    /// The Ack that is due, if anything new came since the last one.
    mutating func dueAck() -> Int64? {
        guard latest > acknowledged else { return nil }
        acknowledged = latest
        return latest
    }

    /// What to send on a new transport: the number of the first message, then the messages that were released before.
    var replay: (sequence: Int64, messages: [Outgoing]) {
        (sent - Int64(unacknowledged.count) + 1, unacknowledged.prefix(releasedCount).map(\.message))
    }
}
