// SignalBox: Date as a hub value: a timestamp, or the ISO 8601 text that JSON has instead
// SPDX-License-Identifier: Apache-2.0

import SignalRWire

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

extension Date: HubScalar {
    init(hubValue value: HubValue) throws {
        switch value {
        case .timestamp(let seconds, let nanoseconds):
            try self.init(checked: Double(seconds), nanoseconds: nanoseconds)
        case .string(let text):
            guard let time = ISO8601.parse(text) else { throw HubMismatch.value("The string is not an ISO 8601 time.") }
            try self.init(checked: Double(time.seconds), nanoseconds: time.nanoseconds)
        case .array(let items):
            try self.init(dateTimeOffset: items)
        default:
            throw HubMismatch.type
        }
    }

    /// With the shortest fraction that reads back as the same `Date`, which counts in steps of some 100 ns. A date made
    /// of milliseconds since 1970 stays one, though it may be one such step off: 0.123 s must not become 0.1229999 s,
    /// which JavaScript cuts to 122 ms.
    func hubValue() throws -> HubValue {
        try Self.check(self.timeIntervalSince1970)
        for unit: UInt32 in [1_000_000, 1_000, 100] {
            let (seconds, nanoseconds) = self.sinceEpoch(in: unit)
            let isMillisecond =
                unit == 1_000_000 && self == Date(timeIntervalSince1970: Double(seconds) + Double(nanoseconds) / 1e9)
            if isMillisecond || self == Date(seconds: Double(seconds), nanoseconds: nanoseconds) {
                return .timestamp(seconds: seconds, nanoseconds: nanoseconds)
            }
        }
        let (seconds, nanoseconds) = self.sinceEpoch(in: 1)
        return .timestamp(seconds: seconds, nanoseconds: nanoseconds)
    }

    /// Rounded to whole units of so many nanoseconds.
    private func sinceEpoch(in unit: UInt32) -> (seconds: Int64, nanoseconds: UInt32) {
        let whole = self.timeIntervalSinceReferenceDate.rounded(.down)
        let units = ((self.timeIntervalSinceReferenceDate - whole) * 1e9 / Double(unit)).rounded()
        let (carry, nanoseconds) = (UInt32(units) * unit).quotientAndRemainder(dividingBy: 1_000_000_000)
        return (Int64(whole + Self.timeIntervalBetween1970AndReferenceDate) + Int64(carry), nanoseconds)
    }

    private init(seconds: Double, nanoseconds: UInt32) {
        let whole = seconds - Self.timeIntervalBetween1970AndReferenceDate
        self.init(timeIntervalSinceReferenceDate: whole + Double(nanoseconds) / 1e9)
    }

    private init(checked seconds: Double, nanoseconds: UInt32) throws {
        try Self.check(seconds)
        self.init(seconds: seconds, nanoseconds: nanoseconds)
    }

    /// Beyond these years .NET has no dates either, and Foundation may trap when it prints one.
    private static func check(_ secondsSince1970: Double) throws {
        guard ISO8601.range.contains(secondsSince1970) else {
            throw HubMismatch.value("The date is outside the years 1 to 9999.", shown: secondsSince1970)
        }
    }

    /// .NET's DateTimeOffset in MessagePack: `[timestamp of the wall clock, minutes east of UTC]`.
    private init(dateTimeOffset items: [HubValue]) throws {
        guard items.count == 2, case .timestamp(let seconds, let nanoseconds) = items[0],
            case .int(let minutes) = items[1]
        else { throw HubMismatch.type }
        try self.init(checked: Double(seconds) - Double(minutes) * 60, nanoseconds: nanoseconds)
    }
}
