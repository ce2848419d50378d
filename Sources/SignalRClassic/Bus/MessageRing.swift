// SignalBox: the last messages of one topic
// SPDX-License-Identifier: Apache-2.0

import NIOCore
import SignalR

/// A message that is kept for clients that come back.
struct KeptMessage: Sendable {
    let sequence: UInt64
    /// Of a hub: what ``ClassicHubCodec`` wrote. Of a persistent connection, or for one client: the whole value.
    let bytes: ByteBuffer
    /// Whether the hub's name goes around the bytes.
    let isCall: Bool
    let excluded: Exclusion

    /// What it counts against the bounds: its bytes, and a flat rate for the rest.
    var cost: Int { self.bytes.readableBytes + 64 }
}

/// Messages in the order of their numbers, the oldest dropped first.
struct MessageRing {
    private var messages: CircularBuffer<KeptMessage> = []
    private let capacity: Int
    /// The number of the last message that is no longer here, or that was sent before the ring existed.
    private(set) var droppedThrough: UInt64
    private(set) var cost = 0

    init(capacity: Int, since sequence: UInt64) {
        self.capacity = capacity
        self.droppedThrough = sequence
    }

    var count: Int { self.messages.count }
    var oldest: UInt64? { self.messages.first?.sequence }
    /// The last number that it had anything to do with.
    var newest: UInt64 { self.messages.last?.sequence ?? self.droppedThrough }

    mutating func append(_ message: KeptMessage) {
        self.messages.append(message)
        self.cost += message.cost
        if self.messages.count > self.capacity { self.dropOldest() }
    }

    mutating func dropOldest() {
        guard let message = self.messages.popFirst() else { return }
        self.cost -= message.cost
        self.droppedThrough = message.sequence
    }

    /// The messages after `sequence`, at most `limit`.
    func messages(after sequence: UInt64, limit: Int) -> some Sequence<KeptMessage> {
        var (low, high) = (0, self.messages.count)
        while low < high {
            let middle = (low + high) / 2
            let index = self.messages.index(self.messages.startIndex, offsetBy: middle)
            if self.messages[index].sequence > sequence { high = middle } else { low = middle + 1 }
        }
        return self.messages.dropFirst(low).prefix(limit)
    }
}
