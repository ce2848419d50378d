// SignalBox: the forms of single values, and what is refused
// SPDX-License-Identifier: Apache-2.0

import Foundation
import NIOCore
import SignalR
import SignalRWire
import Testing

@Suite struct NumberTests {
    @Test func widthsOfTheirOwn() throws {
        #expect(try encoded(Float(0.1)) == .float(0.1))
        #expect(try encoded(0.1) == .double(0.1))
        #expect(try encoded(UInt64.max) == .uint(.max))
        #expect(try encoded(UInt64(5)) == .int(5))
        #expect(try encoded(Int128(-5)) == .int(-5))
    }

    @Test func floatingPointIsNoInteger() {
        #expect(throws: DecodingError.self) { try decoded(Int.self, .double(5)) }
        #expect(throws: DecodingError.self) { try decoded(Int.self, .float(5)) }
        #expect(throws: DecodingError.self) { try json("5.0").decode(Int.self) }
        #expect(throws: DecodingError.self) { try json("5.0").decode(Int32.self) }
        #expect(throws: DecodingError.self) { try json("5e0").decode(UInt8?.self) }
    }

    @Test func integersAreFloatingPoint() throws {
        #expect(try json("5").decode(Double.self) == 5)
        #expect(try json("5").decode(Float.self) == 5)
        #expect(try decoded(Double.self, .uint(.max)) == Double(UInt64.max))
        #expect(try decoded(Double.self, .float(0.5)) == 0.5)
        #expect(try decoded(Float.self, .double(0.1)) == 0.1)
    }

    @Test func rangesAreChecked() {
        #expect(throws: DecodingError.self) { try json("256").decode(UInt8.self) }
        #expect(throws: DecodingError.self) { try json("-1").decode(UInt8.self) }
        #expect(throws: DecodingError.self) { try json("-1").decode(UInt64.self) }
        #expect(throws: DecodingError.self) { try json("2147483648").decode(Int32.self) }
        #expect(throws: DecodingError.self) { try json("9223372036854775808").decode(Int.self) }
        #expect(throws: DecodingError.self) { try json("1e300").decode(Float.self) }
        #expect(throws: EncodingError.self) { try encoded(Int128.max) }
        #expect(throws: EncodingError.self) { try encoded([UInt128.max]) }
    }

    @Test func kindsAreNotConverted() {
        #expect(throws: DecodingError.self) { try json("\"5\"").decode(Int.self) }
        #expect(throws: DecodingError.self) { try json("1").decode(Bool.self) }
        #expect(throws: DecodingError.self) { try json("true").decode(Int.self) }
        #expect(throws: DecodingError.self) { try json("5").decode(String.self) }
        #expect(throws: DecodingError.self) { try json("null").decode(String.self) }
        #expect(throws: DecodingError.self) { try json("null").decode(Person.self) }
    }

    @Test func decimalsKeepTheirDigits() throws {
        func decimal(_ text: String) throws -> Decimal { try #require(Decimal(string: text)) }
        #expect(try encoded(decimal("0.1")) == .double(0.1))
        #expect(try encoded(decimal("5")) == .double(5))
        #expect(try encoded(decimal("-123456.789012345")) == .double(-123456.789012345))
        #expect(try encoded(decimal("0.12345678901234567890")) == .string("0.1234567890123456789"))
        #expect(throws: EncodingError.self) { try encoded(Decimal.nan) }
        #expect(try json("0.1").decode(Decimal.self) == decimal("0.1"))
        #expect(
            try json("\"79228162514264337593543950335\"").decode(Decimal.self)
                == decimal("79228162514264337593543950335")
        )
        #expect(try decoded(Decimal.self, .float(0.1)) == decimal("0.1"))
        #expect(try decoded(Decimal.self, .uint(.max)) == Decimal(UInt64.max))
        for text in ["", "12x", "0x10", "nan", "inf", "1e400", "1 000", "--1", "1e300"] {
            #expect(throws: DecodingError.self, "\(text)") { try decoded(Decimal.self, .string(text)) }
        }
        #expect(throws: DecodingError.self) { try decoded(Decimal.self, .double(.infinity)) }
    }
}

@Suite struct DateTests {
    @Test(arguments: [
        ("2024-02-29T12:34:56Z", 1_709_210_096.0),
        ("2024-02-29T12:34:56.5Z", 1_709_210_096.5),
        ("2024-02-29T12:34:56.1234567Z", 1_709_210_096.1234567),
        ("2024-02-29T12:34:56.1234567890123456Z", 1_709_210_096.123456789),
        ("2024-02-29T14:34:56+02:00", 1_709_210_096),
        ("2024-02-29T07:04:56-05:30", 1_709_210_096),
        ("2024-02-29T14:34:56+02", 1_709_210_096),
        ("2024-02-29T12:34:56", 1_709_210_096),
        ("2024-02-29T12:34Z", 1_709_210_040),
        ("2024-02-29", 1_709_164_800),
        ("1970-01-01T00:00:00Z", 0),
        ("1969-12-31T23:59:59.75Z", -0.25),
        ("0001-01-01T00:00:00", -62_135_596_800),
        ("9999-12-31T23:59:59Z", 253_402_300_799),
        ("2000-02-29", 951_782_400),
    ])
    func text(_ text: String, _ seconds: Double) throws {
        // Within the step of a Double that counts from 1970.
        #expect(try abs(decoded(Date.self, .string(text)).timeIntervalSince1970 - seconds) < 0.000_000_3)
    }

    @Test(arguments: [
        "", "2024", "2024-02-30", "2023-02-29", "1900-02-29", "2024-13-01", "2024-00-01", "2024-01-00", "0000-01-01",
        "2024-02-29T", "2024-02-29T24:00:00Z", "2024-02-29T12:60:00Z", "2024-02-29T12:34:60Z", "2024-02-29T12:34:56.Z",
        "2024-02-29T12:34:56.12345678901234567Z", "2024-02-29T12:34:56Zx", "2024-02-29 12:34:56",
        "2024-02-29T12:34:56+",
        "2024-02-29T12:34:56+15:00", "2024-02-29T12:34:56+01:60", "24-02-29", "+2024-02-29", "2024-2-9", "2024-02-29Z",
        "２０２４-02-29",
    ])
    func refused(_ text: String) {
        #expect(throws: DecodingError.self) { try decoded(Date.self, .string(text)) }
    }

    @Test func agreesWithFoundation() throws {
        let format = Date.ISO8601FormatStyle()
        // Foundation turns to the Julian calendar before 1583.
        for second in stride(from: -12_212_553_600.0, to: 253_402_300_800, by: 86_399 * 97) {
            let date = Date(timeIntervalSince1970: second)
            #expect(try decoded(Date.self, .string(date.formatted(format))) == date)
        }
    }

    @Test func everyDayFollowsTheOneBefore() throws {
        func digits(_ number: Int, _ count: Int) -> String {
            String(repeating: "0", count: count - "\(number)".count) + "\(number)"
        }
        var expected = Date(timeIntervalSince1970: -62_135_596_800)
        for year in 1...2400 {
            for month in 1...12 {
                for day in 1...31 {
                    let text = "\(digits(year, 4))-\(digits(month, 2))-\(digits(day, 2))"
                    guard let date = try? decoded(Date.self, .string(text)) else { continue }
                    #expect(date == expected, "\(text)")
                    expected += 86_400
                }
            }
        }
    }

    @Test func fractionsStayShort() throws {
        func nanoseconds(_ seconds: Double) throws -> HubValue { try encoded(Date(timeIntervalSince1970: seconds)) }
        #expect(try nanoseconds(1_709_210_096.123) == .timestamp(seconds: 1_709_210_096, nanoseconds: 123_000_000))
        for milliseconds in 1_709_210_096_000..<1_709_210_097_000 {
            let (seconds, rest) = milliseconds.quotientAndRemainder(dividingBy: 1_000)
            let timestamp = HubValue.timestamp(seconds: Int64(seconds), nanoseconds: UInt32(rest) * 1_000_000)
            #expect(try nanoseconds(Double(milliseconds) / 1_000) == timestamp)
            #expect(try encoded(decoded(Date.self, timestamp)) == timestamp)
        }
        let microsecond = HubValue.timestamp(seconds: 1_709_210_096, nanoseconds: 1_000)
        #expect(try encoded(decoded(Date.self, microsecond)) == microsecond)
        #expect(try nanoseconds(-0.25) == .timestamp(seconds: -1, nanoseconds: 750_000_000))
        #expect(try nanoseconds(-62_135_596_800) == .timestamp(seconds: -62_135_596_800, nanoseconds: 0))
    }

    @Test(arguments: 0..<1_000) func anyDateComesBack(_ seed: UInt64) throws {
        var random = SplitMix(seed: seed)
        // So far from 2001, a Date counts in steps of no less than a nanosecond.
        let date = Date(timeIntervalSinceReferenceDate: .random(in: 1e8...2e9, using: &random))
        let value = try encoded(date)
        let error = try decoded(Date.self, value).timeIntervalSince(date)
        guard case .timestamp(_, let nanoseconds) = value else { throw HubProtocolError("not a timestamp") }
        #expect(error == 0 || (abs(error) < 0.000_000_3 && nanoseconds.isMultiple(of: 1_000_000)))
    }

    @Test func outOfRange() {
        for seconds in [-62_135_596_801, 253_402_300_800, 1e300, .infinity, .nan] {
            #expect(throws: EncodingError.self) { try encoded(Date(timeIntervalSince1970: seconds)) }
        }
        for seconds in [Int64.min, -62_135_596_801, 253_402_300_800, .max] {
            #expect(throws: DecodingError.self) {
                try decoded(Date.self, .timestamp(seconds: seconds, nanoseconds: .max))
            }
        }
    }

    @Test func dateTimeOffset() throws {
        let wallClock = HubValue.timestamp(seconds: 7_200, nanoseconds: 500_000_000)
        #expect(try decoded(Date.self, .array([wallClock, .int(120)])) == Date(timeIntervalSince1970: 0.5))
        #expect(try decoded(Date.self, .array([wallClock, .int(-30)])) == Date(timeIntervalSince1970: 9_000.5))
        #expect(throws: DecodingError.self) { try decoded(Date.self, .array([wallClock])) }
        #expect(throws: DecodingError.self) { try decoded(Date.self, .array([.int(0), .int(0)])) }
        #expect(throws: DecodingError.self) { try decoded(Date.self, .array([wallClock, .int(.min)])) }
        #expect(throws: DecodingError.self) { try decoded(Date.self, .int(5)) }
    }
}

@Suite struct TextFormTests {
    @Test func uuids() throws {
        let uuid = try #require(UUID(uuidString: "00010203-0405-0607-0809-0A0B0C0D0E0F"))
        #expect(try encoded(uuid) == "00010203-0405-0607-0809-0a0b0c0d0e0f")
        #expect(try decoded(UUID.self, "00010203-0405-0607-0809-0A0B0C0D0E0F") == uuid)
        #expect(throws: DecodingError.self) { try decoded(UUID.self, "00010203") }
        #expect(throws: DecodingError.self) { try decoded(UUID.self, .int(1)) }
    }

    @Test func urls() throws {
        #expect(try encoded(#require(URL(string: "https://example.org/?a=b"))) == "https://example.org/?a=b")
        #expect(throws: DecodingError.self) { try decoded(URL.self, "") }
        #expect(throws: DecodingError.self) { try decoded(URL.self, .null) }
    }

    @Test func bytes() throws {
        #expect(try encoded(Data([1, 2, 3])) == .binary([1, 2, 3]))
        #expect(try json("\"AQID\"").decode(Data.self) == Data([1, 2, 3]))
        #expect(try json("\"\"").decode(Data.self) == Data())
        for text in ["AQI", "AQ-_", "A===", "AQID AQID"] {
            #expect(throws: DecodingError.self, "\(text)") { try decoded(Data.self, .string(text)) }
        }
        #expect(throws: DecodingError.self) { try decoded([UInt8].self, "AQID") }
        #expect(throws: DecodingError.self) { try decoded(String.self, .binary([1])) }
        #expect(try decoded([Int].self, .binary([1, 255])) == [1, 255])
    }

    @Test func rawValues() throws {
        #expect(try encoded(Suit.spades) == "spades")
        #expect(throws: DecodingError.self) { try decoded(Suit.self, "clubs") }
        #expect(try encoded([Level.high]) == .array([.int(3)]))
        #expect(try decoded(Level.self, .int(3)) == .high)
    }

    @Test func payloadsPassUntouched() throws {
        let payload = json(#"{"a":1.0}"#)
        #expect(try HubPayload(encoding: payload) == payload)
        #expect(try payload.decode(HubPayload.self) == payload)
        #expect(try encoded(["p": json("[1]")]) == map(("p", .array([.int(1)]))))
        #expect(try decoded([HubPayload].self, .array([.int(1)])) == [.value(.int(1))])
    }
}

private enum Level: UInt16, Codable { case high = 3 }

/// A small repeatable source of randomness.
struct SplitMix: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { self.state = seed }

    mutating func next() -> UInt64 {
        self.state &+= 0x9E37_79B9_7F4A_7C15
        var bits = self.state
        bits = (bits ^ (bits >> 30)) &* 0xBF58_476D_1CE4_E5B9
        bits = (bits ^ (bits >> 27)) &* 0x94D0_49BB_1331_11EB
        return bits ^ (bits >> 31)
    }
}
