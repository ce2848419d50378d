// SignalBox: timestamps as ISO 8601 text, where JSON has no timestamps
// SPDX-License-Identifier: Apache-2.0

import NIOCore

/// A point in time as text: `2017-04-11T00:00:00Z`, with as many of nine fraction digits as it needs.
enum Timestamp {
    static let secondsPerDay: Int64 = 86_400
    static let nanosecondsPerSecond: UInt32 = 1_000_000_000
    /// The years 1 to 9999, which is what .NET's `DateTime` spans.
    static let range: Range<Int64> = -62_135_596_800..<253_402_300_800

    static func write(seconds: Int64, nanoseconds: UInt32, into buffer: inout ByteBuffer) throws(HubProtocolError) {
        guard self.range.contains(seconds), nanoseconds < self.nanosecondsPerSecond else {
            throw HubProtocolError("The timestamp is not within the years 1 to 9999.")
        }
        let days = (seconds - self.range.lowerBound) / self.secondsPerDay
        let second = (seconds - self.range.lowerBound) % self.secondsPerDay
        let date = self.date(daysSinceYearOne: days)
        buffer.write(date.year, digits: 4)
        buffer.writeStaticString("-")
        buffer.write(date.month, digits: 2)
        buffer.writeStaticString("-")
        buffer.write(date.day, digits: 2)
        buffer.writeStaticString("T")
        buffer.write(second / 3600, digits: 2)
        buffer.writeStaticString(":")
        buffer.write(second / 60 % 60, digits: 2)
        buffer.writeStaticString(":")
        buffer.write(second % 60, digits: 2)
        self.writeFraction(nanoseconds, into: &buffer)
        buffer.writeStaticString("Z")
    }

    private static func writeFraction(_ nanoseconds: UInt32, into buffer: inout ByteBuffer) {
        guard nanoseconds > 0 else { return }
        var fraction = Int64(nanoseconds)
        var digits = 9
        while fraction % 10 == 0 {
            fraction /= 10
            digits -= 1
        }
        buffer.writeStaticString(".")
        buffer.write(fraction, digits: digits)
    }

    /// The Gregorian date, counted in years that begin in March, so that the leap day is the last of its year.
    private static func date(daysSinceYearOne: Int64) -> (year: Int64, month: Int64, day: Int64) {
        let days = daysSinceYearOne + 306
        let era = days / 146_097
        let dayOfEra = days % 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let monthFromMarch = (5 * dayOfYear + 2) / 153
        let day = dayOfYear - (153 * monthFromMarch + 2) / 5 + 1
        let month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
        return (era * 400 + yearOfEra + (month <= 2 ? 1 : 0), month, day)
    }
}

extension ByteBuffer {
    /// A number that is not negative, with zeros in front.
    fileprivate mutating func write(_ number: Int64, digits: Int) {
        let text = String(number)
        self.writeRepeatingByte(UInt8(ascii: "0"), count: max(0, digits - text.utf8.count))
        self.writeString(text)
    }
}
