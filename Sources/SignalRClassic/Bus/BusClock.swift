// SignalBox: the numbers of messages, and the names of event loops in cursors
// SPDX-License-Identifier: Apache-2.0

import NIOConcurrencyHelpers
import NIOCore
import SignalRWire
import Synchronization

/// Numbers for messages. They grow in the order of deliveries on each event loop, so that a client, which stays on one, has everything
/// up to a number when it has the message with it. Numbers of different event loops do not compare.
enum BusClock {
    /// Random per process.
    static let process = UInt32.random(in: 0...UInt32.max)
    private static let sequence = Atomic<UInt64>(0)
    /// Event loops by their number in cursors. Programs make a handful of them, for good.
    private static let loops = NIOLockedValueBox<[any EventLoop]>([])

    /// A new number, the highest so far.
    static func next() -> UInt64 { self.sequence.wrappingAdd(1, ordering: .relaxed).newValue }

    /// Everything delivered so far on the calling event loop has at most this number.
    static var now: UInt64 { self.sequence.load(ordering: .relaxed) }

    static func number(of loop: any EventLoop) -> Int {
        self.loops.withLockedValue { loops in
            if let index = loops.firstIndex(where: { $0 === loop }) { return index }
            loops.append(loop)
            return loops.count - 1
        }
    }

    static func loop(_ number: Int) -> (any EventLoop)? {
        self.loops.withLockedValue { loops in loops.indices.contains(number) ? loops[number] : nil }
    }
}
