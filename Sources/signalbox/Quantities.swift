// SignalBox: times and sizes as people write them on a command line
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser

/// A time such as `15s`, `500ms`, `1h`; a number alone counts seconds.
struct Interval: ExpressibleByArgument, CustomStringConvertible {
    private static let units: [(suffix: String, milliseconds: Int64)] = [
        ("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000),
    ]

    let duration: Duration
    let description: String

    init?(argument: String) {
        let digits = argument.prefix { ("0"..."9").contains($0) }
        let suffix = argument[digits.endIndex...]
        guard let number = Int64(digits),
            let unit = Self.units.first(where: { $0.suffix == (suffix.isEmpty ? "s" : suffix) })
        else { return nil }
        let (milliseconds, isTooLong) = number.multipliedReportingOverflow(by: unit.milliseconds)
        guard !isTooLong, milliseconds > 0 else { return nil }
        self.duration = .milliseconds(milliseconds)
        self.description = argument
    }

    private init(seconds: Int64, _ description: String) {
        self.duration = .seconds(seconds)
        self.description = description
    }

    static func seconds(_ seconds: Int64) -> Interval { Interval(seconds: seconds, "\(seconds)s") }
    static func hours(_ hours: Int64) -> Interval { Interval(seconds: hours * 3600, "\(hours)h") }
}

/// A number of bytes such as `32k` or `1m` (1,024 and 1,048,576); a number alone counts bytes.
struct ByteCount: ExpressibleByArgument, CustomStringConvertible {
    let bytes: Int

    init?(argument: String) {
        let digits = argument.prefix { ("0"..."9").contains($0) }
        let factors = ["": 1, "k": 1 << 10, "m": 1 << 20]
        guard let number = Int(digits), let factor = factors[argument[digits.endIndex...].lowercased()] else {
            return nil
        }
        let (bytes, isTooMany) = number.multipliedReportingOverflow(by: factor)
        guard !isTooMany else { return nil }
        self.bytes = bytes
    }

    init(_ bytes: Int) { self.bytes = bytes }

    var description: String {
        if bytes > 0, bytes % (1 << 20) == 0 { return "\(bytes >> 20)m" }
        return bytes > 0 && bytes % (1 << 10) == 0 ? "\(bytes >> 10)k" : "\(bytes)"
    }
}
