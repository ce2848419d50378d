// SignalBox: JSON values, read and written
// SPDX-License-Identifier: Apache-2.0

import Foundation
import NIOCore
import SignalRWire
import Testing

@Suite struct JSONTests {
    @Test(
        arguments: [
            ("null", .null), ("true", .bool(true)), ("false", .bool(false)),
            ("0", .int(0)), ("-0", .int(0)), ("-1", .int(-1)),
            ("9223372036854775807", .int(.max)), ("-9223372036854775808", .int(.min)),
            ("9223372036854775808", .uint(1 << 63)), ("18446744073709551615", .uint(.max)),
            ("18446744073709551616", .double(18446744073709551616)),
            ("-9223372036854775809", .double(-9223372036854775808)),
            ("1.0", .double(1)), ("-0.0", .double(-0.0)), ("1e2", .double(100)), ("1E+2", .double(100)),
            ("25e-1", .double(2.5)),
            ("1.7976931348623157e308", .double(.greatestFiniteMagnitude)), ("5e-324", .double(.leastNonzeroMagnitude)),
            ("1e-400", .double(0)),
            ("\"\"", ""), ("\"a\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\"", "a\"\\/\u{8}\u{C}\n\r\té"),
            ("\"\\ud83d\\ude00\"", "😀"), ("\"\\uD83D\\uDE00x\"", "😀x"), ("\"😀é€\"", "😀é€"), ("\"\\u0000\"", "\0"),
            ("\"12345678\\n12345678\"", "12345678\n12345678"), ("\"\u{7F}\"", "\u{7F}"),
            ("[]", []), ("[1,[2,[]],{}]", [1, [2, []], [:]]), (" [ 1 , 2 ] \r\n\t", [1, 2]),
            ("{}", [:]), ("{\"a\":1,\"b\":{\"c\":[null]}}", ["a": 1, "b": ["c": [nil]]]),
            ("{\"a\":1,\"a\":2}", ["a": 1, "a": 2]), ("{\"\\u0061\":1}", ["a": 1]),
        ] as [(String, HubValue)])
    func reads(_ text: String, _ value: HubValue) throws {
        #expect(try JSON.value(from: ByteBuffer(string: text)) == value)
        #expect(try HubPayload.json(ByteBuffer(string: text)).value() == value)
    }

    @Test(arguments: [
        "", " ", "nul", "nulll", "True", "tru", "falsy", "undefined", "NaN", "Infinity", "-Infinity",
        "+1", "01", "-", "-01", ".5", "5.", "1.e1", "1e", "1e+", "0x10", "1_000", "1 2", "--1",
        "\"", "\"a", "\"\\\"", "\"\\", "\"\\x\"", "\"\\u12\"", "\"\\u12G4\"", "\"\\u\"", "\"\n\"", "\"\u{1F}\"", "'a'",
        "\"a\"b",
        "[", "]", "[1", "[1,", "[1,]", "[,1]", "[1 2]", "[1,,2]", "[1}", "[]]", "[//\n1]", "[/**/1]",
        "{", "}", "{\"a\"", "{\"a\":", "{\"a\":1", "{\"a\":1,}", "{a:1}", "{1:1}", "{\"a\" 1}", "{\"a\":1 \"b\":2}",
        "{,}", "{null:1}",
        "\u{FEFF}1", "1\u{0}", "\u{A0}1", "1e400", "-1e400",
    ])
    func refuses(_ text: String) {
        #expect(throws: HubProtocolError.self) { try JSON.value(from: ByteBuffer(string: text)) }
    }

    @Test(arguments: [
        "\\ud800", "\\ude00", "\\ud800\\ud800", "\\ude00\\ud800", "\\ud800x", "\\ud800\\n", "\\ud800\\u0041",
        "\\ud83d\\ude",
    ])
    func refusesHalfCharacters(_ escapes: String) {
        #expect(throws: HubProtocolError.self) { try JSON.value(from: ByteBuffer(string: "\"\(escapes)\"")) }
    }

    /// A browser can send half of a surrogate pair. That spoils the argument, not the connection.
    @Test func halfCharactersPassAsBytes() throws {
        let text = "{\"type\":1,\"target\":\"t\",\"arguments\":[\"\\ud800\",1]}\u{1E}"
        var bytes = ByteBuffer(string: text)
        let message = try #require(try JSONHubCodec().read(from: &bytes, maximumSize: nil))
        var reader = try #require(message.invocation).arguments.makeReader()
        let half = try reader.next()
        #expect(half.string() == nil)
        #expect(throws: HubProtocolError.self) { try half.value() }
        #expect(try reader.next().int64() == 1)
        var copy = ByteBuffer()
        try JSONHubCodec().write(message, into: &copy)
        #expect(copy.text == text)
    }

    /// The Unicode Standard, table 3-7, at its edges.
    @Test(arguments: [
        "80", "bf", "c0af", "c1bf", "c2", "c220", "dfc0", "e0", "e080", "e09fbf", "e0a0", "e0a020", "eda080", "edbfbf",
        "ef", "efbf", "f0808080", "f08fbfbf", "f0908f", "f4908080", "f5808080", "f880808080", "fe", "ff", "e282",
        "e2e282ac",
    ])
    func refusesInvalidUTF8(_ hex: String) {
        for padding in ["", "1234567"] {
            var text = ByteBuffer(string: "\"" + padding)
            text.writeImmutableBuffer(ByteBuffer(hex: hex))
            text.writeString("\"")
            #expect(throws: HubProtocolError("Error reading JSON.")) { try JSON.value(from: text) }
            var message = ByteBuffer(string: "{\"type\":6,\"x\":")
            message.writeImmutableBuffer(text)
            message.writeString("}\u{1E}")
            #expect(throws: HubProtocolError("Error reading JSON.")) {
                try JSONHubCodec().read(from: &message, maximumSize: nil)
            }
        }
    }

    @Test(arguments: [0x80, 0x7FF, 0x800, 0xFFF, 0x1000, 0xD7FF, 0xE000, 0xFFFF, 0x10000, 0x3FFFF, 0x40000, 0x10FFFF])
    func readsEveryLengthOfUTF8(_ scalar: UInt32) throws {
        let text = String(Character(try #require(Unicode.Scalar(scalar))))
        #expect(try JSON.value(from: ByteBuffer(string: "\"\(text)\"")) == .string(text))
        #expect(HubPayload.json(ByteBuffer(string: "\"\(text)\"")).string() == text)
    }

    // MARK: Depth

    @Test(arguments: [("[", "]"), ("{\"a\":[", "]}")])
    func nestsSixtyFourLevels(_ open: String, _ close: String) throws {
        let levels = 64 / open.filter { "[{".contains($0) }.count
        let deepest = String(repeating: open, count: levels) + String(repeating: close, count: levels)
        #expect(throws: Never.self) { try JSON.value(from: ByteBuffer(string: deepest)) }
        #expect(throws: HubProtocolError.self) { try JSON.value(from: ByteBuffer(string: "[\(deepest)]")) }
        #expect(throws: HubProtocolError.self) {
            try JSON.value(from: ByteBuffer(string: "[\(deepest)]"), maximumDepth: 1000)
        }
        #expect(throws: HubProtocolError.self) { try JSON.value(from: ByteBuffer(string: deepest), maximumDepth: 63) }
    }

    /// The message and its arguments are two of the levels.
    @Test func theEnvelopeCountsAsDepth() throws {
        func message(_ levels: Int) -> ByteBuffer {
            let value = String(repeating: "[", count: levels) + String(repeating: "]", count: levels)
            return ByteBuffer(string: "{\"type\":1,\"target\":\"t\",\"arguments\":[\(value)]}\u{1E}")
        }
        var deepest = message(62)
        #expect(try JSONHubCodec().read(from: &deepest, maximumSize: nil) != nil)
        var tooDeep = message(63)
        #expect(throws: HubProtocolError("Error reading JSON.")) {
            try JSONHubCodec().read(from: &tooDeep, maximumSize: nil)
        }
        var bottomless = ByteBuffer(string: String(repeating: "[", count: 1_000_000) + "\u{1E}")
        #expect(throws: HubProtocolError.self) { try JSONHubCodec().read(from: &bottomless, maximumSize: nil) }
    }

    // MARK: Writing

    @Test(
        arguments: [
            (.null, "null"), (.bool(true), "true"), (.bool(false), "false"),
            (.int(.min), "-9223372036854775808"), (.uint(.max), "18446744073709551615"),
            (.double(2), "2"), (.double(-0.0), "-0"), (.double(0.1), "0.1"), (.double(1e15), "1000000000000000"),
            (.double(1e300), "1e+300"),
            (.double(.leastNonzeroMagnitude), "5e-324"), (.float(0.1), "0.1"), (.float(42), "42"),
            (.float(1e30), "1e+30"),
            (
                .string("\"\\/\u{8}\u{C}\n\r\t\u{0}\u{1E}\u{7F}é😀<"),
                "\"\\\"\\\\/\\b\\f\\n\\r\\t\\u0000\\u001e\u{7F}é😀<\""
            ),
            (.string("12345678\"12345678"), "\"12345678\\\"12345678\""),
            (.binary([]), "\"\""), (.binary([1]), "\"AQ==\""), (.binary([1, 2]), "\"AQI=\""),
            (.binary([255, 254, 253]), "\"//79\""),
            (.array([]), "[]"), (.array([1, [2]]), "[1,[2]]"), (.map([]), "{}"),
            (["b": 1, "a": ["\n": nil]], "{\"b\":1,\"a\":{\"\\n\":null}}"),
            (.timestamp(seconds: 1_491_868_800, nanoseconds: 0), "\"2017-04-11T00:00:00Z\""),
            (.timestamp(seconds: 1_491_868_800, nanoseconds: 100), "\"2017-04-11T00:00:00.0000001Z\""),
            (.timestamp(seconds: -1, nanoseconds: 500_000_000), "\"1969-12-31T23:59:59.5Z\""),
            (.timestamp(seconds: 951_782_400, nanoseconds: 0), "\"2000-02-29T00:00:00Z\""),
            (.timestamp(seconds: -62_135_596_800, nanoseconds: 0), "\"0001-01-01T00:00:00Z\""),
            (.timestamp(seconds: 253_402_300_799, nanoseconds: 999_999_999), "\"9999-12-31T23:59:59.999999999Z\""),
        ] as [(HubValue, String)])
    func writes(_ value: HubValue, _ text: String) throws {
        var buffer = ByteBuffer()
        try JSON.write(value, into: &buffer)
        #expect(buffer.text == text)
    }

    @Test(
        arguments: [
            .double(.nan), .double(.infinity), .double(-.infinity), .float(.nan), .float(.infinity),
            .ext(type: 1, data: []),
            .timestamp(seconds: -62_135_596_801, nanoseconds: 0), .timestamp(seconds: 253_402_300_800, nanoseconds: 0),
            .timestamp(seconds: .min, nanoseconds: 0), .timestamp(seconds: .max, nanoseconds: 0),
            .timestamp(seconds: 0, nanoseconds: 1_000_000_000),
        ] as [HubValue])
    func writesNothingItCannotExpress(_ value: HubValue) {
        var buffer = ByteBuffer(string: "before")
        #expect(throws: HubProtocolError.self) { try JSON.write(["a": [1, value]], into: &buffer) }
        #expect(buffer.text == "before")
        let message = HubMessage.invocation(.init(id: "1", target: "t", arguments: .values([1, value])))
        #expect(throws: HubProtocolError.self) { try JSONHubCodec().write(message, into: &buffer) }
        #expect(buffer.text == "before")
    }

    @Test func writesSixtyFourLevels() throws {
        var value: HubValue = []
        for _ in 1..<64 { value = [value] }
        var buffer = ByteBuffer()
        try JSON.write(value, into: &buffer)
        #expect(try JSON.value(from: buffer) == value)
        #expect(throws: HubProtocolError.self) { try JSON.write([value], into: &buffer) }
    }

    /// From the first full year of the Gregorian calendar, before which Foundation has the Julian one, to 2370.
    @Test func writesDatesAsFoundationDoes() throws {
        for day in stride(from: -141_062, through: 146_097, by: 3) {
            let seconds = day * 86_400 + (day & 0xFFFF)
            var buffer = ByteBuffer()
            try JSON.write(.timestamp(seconds: Int64(seconds), nanoseconds: 0), into: &buffer)
            let expected = Date(timeIntervalSince1970: Double(seconds)).formatted(.iso8601)
            guard buffer.text != "\"\(expected)\"" else { continue }
            Issue.record("\(buffer.text) is not \(expected)")
            return
        }
    }

    @Test func doublesComeBackTheSame() throws {
        var random = SplitMix64(state: 1)
        for _ in 0..<10_000 {
            let number = Double(bitPattern: random.next())
            guard number.isFinite else { continue }
            var buffer = ByteBuffer()
            try JSON.write(.double(number), into: &buffer)
            #expect(HubPayload.json(buffer).double()?.bitPattern == number.bitPattern)
        }
    }

    /// The vector file is large and mixed enough to compare two JSON readers on.
    @Test func readsAsFoundationDoes() throws {
        let data = try Data(contentsOf: Vector.file)
        var buffer = ByteBuffer()
        try JSON.write(try JSON.value(from: ByteBuffer(bytes: data)), into: &buffer)
        let ours = try JSONSerialization.jsonObject(with: Data(buffer.readableBytesView)) as? NSDictionary
        let theirs = try JSONSerialization.jsonObject(with: data) as? NSDictionary
        #expect(ours != nil)
        #expect(ours == theirs)
    }
}
