// SignalBox: what a stateful client has not acknowledged yet, and what was received from it (stateful reconnect)
// SPDX-License-Identifier: Apache-2.0

import NIOCore

/// Numbers messages in both directions and keeps those sent until the client acknowledges them
/// (core protocol reference, "Stateful reconnect"). Message types 1 to 5 count, from 1, never reset.
struct ReplayBuffer {
    /// Past this many bytes nothing is written until an Ack brings it below.
    let limit: Int
    private var unacknowledged: [(message: Outgoing, bytes: Int)] = []
    private var byteCount = 0
    /// Messages sent so far.
    private var sent: Int64 = 0
    private var expected: Int64 = 1
    private var latest: Int64 = 0
    private var acknowledged: Int64 = 0

    init(limit: Int) { self.limit = limit }

    var isFull: Bool { byteCount > limit }

    mutating func append(_ message: Outgoing, _ bytes: Int) {
        unacknowledged.append((message, bytes))
        byteCount += bytes
        sent += 1
    }

    /// The client has everything up to `number`. An Ack above what was sent acknowledges all of it.
    mutating func acknowledge(_ number: Int64) {
        let done = Int(clamping: number - (sent - Int64(unacknowledged.count)))
        guard done > 0 else { return }
        let dropped = unacknowledged.prefix(done)
        byteCount -= dropped.reduce(0) { $0 + $1.bytes }
        unacknowledged.removeFirst(dropped.count)
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

    /// What to send on a new transport: the number of the first message, then the messages.
    var replay: (sequence: Int64, messages: [Outgoing]) {
        (sent - Int64(unacknowledged.count) + 1, unacknowledged.map(\.message))
    }
}
