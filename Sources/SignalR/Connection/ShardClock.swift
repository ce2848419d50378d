// SignalBox: the clock of an event loop's connections, which ticks once a second
// SPDX-License-Identifier: Apache-2.0

import Synchronization

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// Seconds since the shard started. Read from any thread, since connections are made wherever their request is; ticks on the event loop.
final class ShardClock: Sendable {
    private let seconds = Atomic<UInt32>(1)

    var now: UInt32 { seconds.load(ordering: .relaxed) }
    func tick() { seconds.wrappingAdd(1, ordering: .relaxed) }

    /// Seconds since 1970.
    var unixTime: Double { Self.unixTime }
    static var unixTime: Double { Double(time(nil)) }
}
