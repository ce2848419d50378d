// SignalBox: a rate with a burst, kept as one point in time
// SPDX-License-Identifier: Apache-2.0

import NIOCore

/// A bucket that fills steadily and that what passes is taken from.
///
/// All there is to know of it is when it will be full again: taking moves that time into the future, and what it may not go beyond
/// is as far away as filling an empty bucket takes.
struct TokenBucket: Sendable {
    private let secondsPerToken: Double
    /// How long filling the empty bucket takes.
    private let depth: Double
    private var fullAt = -Double.infinity

    init(_ rate: ServiceLimits.Rate) {
        self.secondsPerToken = 1 / Double(max(1, rate.perSecond))
        self.depth = Double(max(1, rate.burst)) * secondsPerToken
    }

    /// What adding up seconds loses.
    private static let tolerance = 1e-9

    /// Whether `count` could be taken.
    func has(_ count: Int, at now: Double) -> Bool {
        max(fullAt, now) + Double(count) * secondsPerToken - now <= depth + Self.tolerance
    }

    /// - Returns: false, and takes nothing, when there is less than `count`.
    mutating func take(_ count: Int, at now: Double) -> Bool {
        guard has(count, at: now) else { return false }
        fullAt = max(fullAt, now) + Double(count) * secondsPerToken
        return true
    }

    /// Seconds until one can be taken.
    func wait(at now: Double) -> Double { max(0, max(fullAt, now) + secondsPerToken - depth - now) }

    /// Seconds on a clock that only goes forward.
    static var now: Double { Double(NIODeadline.now().uptimeNanoseconds) / 1e9 }
}
