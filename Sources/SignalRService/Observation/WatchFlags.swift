// SignalBox: what the hot path asks: does anybody look?
// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// Set when watches come and go, read once per message.
final class WatchFlags: Sendable {
    private let bits = Atomic<UInt8>(0)

    var any: Bool { bits.load(ordering: .relaxed) & 1 != 0 }
    var messages: Bool { bits.load(ordering: .relaxed) & 2 != 0 }
    var payloads: Bool { bits.load(ordering: .relaxed) & 4 != 0 }

    func set(for watches: [Watch]) {
        var new: UInt8 = watches.isEmpty ? 0 : 1
        if watches.contains(where: \.filter.wantsMessages) { new |= 2 }
        if watches.contains(where: { $0.filter.wantsMessages && $0.filter.payloads }) { new |= 4 }
        bits.store(new, ordering: .relaxed)
    }
}
