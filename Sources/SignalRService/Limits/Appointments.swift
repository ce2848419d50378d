// SignalBox: when those who came too fast are to come again
// SPDX-License-Identifier: Apache-2.0

/// Spreads a storm: who is refused gets the next free place at the rate at which clients are let in, so that a thousand clients that
/// came in one moment come again over as long a time as letting them in takes.
struct Appointments: Sendable {
    private let interval: Double
    private var last = -Double.infinity

    /// Nobody is told to wait longer than that; clients would take it for the end.
    static let longest = 60.0

    init(_ rate: ServiceLimits.Rate?) { self.interval = rate.map { 1 / Double(max(1, $0.perSecond)) } ?? 0 }

    /// Seconds from now, whole, with some jitter, since many were refused in the same moment and whole seconds would gather them again.
    mutating func next(at now: Double, after wait: Double) -> Int {
        last = min(max(last, now + wait), now + Self.longest) + interval
        return Self.seconds(last - now)
    }

    static func seconds(_ wait: Double) -> Int {
        let least = max(1, Int(min(wait, longest).rounded(.up)))
        return least + .random(in: 0...max(1, least / 2))
    }
}
