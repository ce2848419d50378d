// SignalBox: reading the ISO 8601 times of JSON payloads
// SPDX-License-Identifier: Apache-2.0

/// The extended profile of ISO 8601-1 that .NET writes and reads: a date, then optionally `T` with hours, minutes,
/// seconds and a fraction, then optionally `Z` or an offset. Without an offset UTC is taken.
enum ISO8601 {
    /// Seconds since 1970 of the years 1 to 9999, which is what four digits and .NET's DateTime can say.
    static let range = -62_135_596_800.0..<253_402_300_800.0

    /// - Returns: seconds since 1970 in UTC, and nanoseconds; nil when `text` is anything but one time.
    static func parse(_ text: String) -> (seconds: Int64, nanoseconds: UInt32)? {
        var scanner = Scanner(rest: Substring(text).utf8)
        guard let days = scanner.date() else { return nil }
        guard scanner.take("T") else { return scanner.rest.isEmpty ? (days * 86_400, 0) : nil }
        guard let (seconds, nanoseconds) = scanner.clock(), let offset = scanner.offset(), scanner.rest.isEmpty else {
            return nil
        }
        return (days * 86_400 + seconds - offset, nanoseconds)
    }

    private struct Scanner {
        var rest: Substring.UTF8View

        mutating func take(_ character: Unicode.Scalar) -> Bool {
            guard let first = self.rest.first, UInt32(first) == character.value else { return false }
            self.rest.removeFirst()
            return true
        }

        mutating func digit() -> Int64? {
            guard let first = self.rest.first, (0x30...0x39).contains(first) else { return nil }
            self.rest.removeFirst()
            return Int64(first - 0x30)
        }

        mutating func number(digits: Int, in range: ClosedRange<Int64>) -> Int64? {
            var number: Int64 = 0
            for _ in 0..<digits {
                guard let digit = self.digit() else { return nil }
                number = number * 10 + digit
            }
            return range.contains(number) ? number : nil
        }

        /// Days since 1970-01-01.
        mutating func date() -> Int64? {
            guard let year = self.number(digits: 4, in: 1...9999), self.take("-"),
                let month = self.number(digits: 2, in: 1...12), self.take("-"),
                let day = self.number(digits: 2, in: 1...ISO8601.days(inMonth: month, of: year))
            else { return nil }
            return ISO8601.daysSince1970(year: year, month: month, day: day)
        }

        mutating func clock() -> (seconds: Int64, nanoseconds: UInt32)? {
            guard let hour = self.number(digits: 2, in: 0...23), self.take(":"),
                let minute = self.number(digits: 2, in: 0...59)
            else { return nil }
            guard self.take(":") else { return (hour * 3600 + minute * 60, 0) }
            guard let second = self.number(digits: 2, in: 0...59), let nanoseconds = self.fraction() else { return nil }
            return (hour * 3600 + minute * 60 + second, nanoseconds)
        }

        /// .NET writes up to 7 digits and reads up to 16; those beyond a nanosecond are dropped.
        mutating func fraction() -> UInt32? {
            guard self.take(".") else { return 0 }
            var nanoseconds: UInt32 = 0
            var unit: UInt32 = 100_000_000
            var count = 0
            while let digit = self.digit() {
                nanoseconds += UInt32(digit) * unit
                unit /= 10
                count += 1
            }
            return (1...16).contains(count) ? nanoseconds : nil
        }

        /// Seconds east of UTC.
        mutating func offset() -> Int64? {
            if self.rest.isEmpty || self.take("Z") { return 0 }
            let sign: Int64
            if self.take("+") { sign = 1 } else if self.take("-") { sign = -1 } else { return nil }
            guard let hours = self.number(digits: 2, in: 0...14) else { return nil }
            guard self.take(":") else { return sign * hours * 3600 }
            guard let minutes = self.number(digits: 2, in: 0...59) else { return nil }
            return sign * (hours * 3600 + minutes * 60)
        }
    }

    private static func days(inMonth month: Int64, of year: Int64) -> Int64 {
        let isLeap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
        return month == 2 ? (isLeap ? 29 : 28) : [4, 6, 9, 11].contains(month) ? 30 : 31
    }

    /// The proleptic Gregorian calendar, counted in years that begin in March, so that the leap day is a year's last;
    /// 719,468 days lie between 0000-03-01 and 1970-01-01.
    private static func daysSince1970(year: Int64, month: Int64, day: Int64) -> Int64 {
        let year = month <= 2 ? year - 1 : year
        let month = month <= 2 ? month + 9 : month - 3
        let leapDays = year / 4 - year / 100 + year / 400
        return year * 365 + leapDays + (month * 153 + 2) / 5 + day - 1 - 719_468
    }
}
