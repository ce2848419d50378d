// SignalBox: how long to wait before a lost server connection is made again
// SPDX-License-Identifier: Apache-2.0

/// 1, 2, 4 … 32 seconds, then 60, and up to one second more, so that app servers do not come back all at once
/// (service reference, "HTTP upgrade"). For ever.
struct Backoff: Sendable {
    /// The first wait.
    var first: Duration = .seconds(1)
    /// The most that chance adds.
    var jitter: Duration = .seconds(1)
    private(set) var failures = 0

    mutating func succeeded() { failures = 0 }

    /// The wait after one more failure, or loss.
    /// - Parameter chance: from 0 to 1.
    mutating func next(chance: Double = .random(in: 0...1)) -> Duration {
        failures = min(failures + 1, 7)
        return (failures < 7 ? first * (1 << (failures - 1)) : first * 60) + jitter * chance
    }
}
