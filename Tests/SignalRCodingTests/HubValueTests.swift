// SignalBox: hub values of any kind, in hub payloads and in other coders, and random ones against every type
// SPDX-License-Identifier: Apache-2.0

import Foundation
import SignalR
import SignalRWire
import Testing

@Suite struct HubValueTests {
    private static let sample = map(
        ("null", .null),
        ("yes", .bool(true)),
        ("int", .int(-5)),
        ("big", .uint(.max)),
        ("half", .double(0.5)),
        ("text", "ä"),
        ("list", .array([.int(1), .array([]), .map([])]))
    )

    @Test(arguments: Wire.allCases) func comesBack(_ wire: Wire) throws {
        #expect(try wire.roundTrip(Self.sample) == Self.sample)
        #expect(try wire.roundTrip([Self.sample]) == [Self.sample])
        #expect(try wire.roundTrip(["k": HubValue.null]) == ["k": .null])
    }

    @Test func insideJSONEncoder() throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = .sortedKeys
        func text(_ value: HubValue) throws -> String { String(decoding: try encoder.encode(value), as: UTF8.self) }
        #expect(
            try text(Self.sample)
                == #"{"big":18446744073709551615,"half":0.5,"int":-5,"list":[1,[],{}],"null":null,"text":"ä","yes":true}"#
        )
        #expect(
            try text(.array([.binary([1, 2, 3]), .float(0.5), .timestamp(seconds: 0, nanoseconds: 500_000_000)]))
                == #"["AQID",0.5,"1970-01-01T00:00:00.5Z"]"#
        )
        let data = try encoder.encode(Self.sample)
        let back = try JSONDecoder().decode(HubValue.self, from: data)
        #expect(back.sorted() == Self.sample.sorted())
        #expect(try JSONDecoder().decode(HubPayload.self, from: Data("[1]".utf8)) == .value(.array([.int(1)])))
    }

    @Test func nestingInOtherCoders() {
        let text = String(repeating: "[", count: 65) + String(repeating: "]", count: 65)
        #expect(throws: DecodingError.self) { try JSONDecoder().decode(HubValue.self, from: Data(text.utf8)) }
        #expect(throws: Never.self) {
            try JSONDecoder().decode(HubValue.self, from: Data(text.utf8.dropFirst().dropLast()))
        }
    }
}

@Suite struct RandomValueTests {
    @Test(arguments: 0..<300) func comesBackOverEveryWire(_ seed: UInt64) throws {
        var random = SplitMix(seed: seed)
        let value = HubValue.random(depth: 5, using: &random)
        #expect(try Wire.messagePack.roundTrip(value) == value)
        #expect(try Wire.memory.roundTrip([value]) == [value])
        let plain = HubValue.random(depth: 5, jsonOnly: true, using: &random)
        #expect(try Wire.json.roundTrip(plain) == plain)
        let throughJSONEncoder = try JSONDecoder().decode(HubValue.self, from: JSONEncoder().encode([plain]))
        #expect(throughJSONEncoder.sorted() == HubValue.array([plain]).sorted())
    }

    /// Whatever arrives, a decoder gives a value or a `DecodingError`, and what it gives can be written and read again.
    @Test(arguments: 0..<300) func noTypeIsUpset(_ seed: UInt64) throws {
        var random = SplitMix(seed: seed)
        func read<T: Codable & Equatable>(_ type: T.Type, _ value: HubValue) throws {
            do {
                let first = try decoded(type, value)
                #expect(try Wire.memory.roundTrip(first) == first)
            } catch is DecodingError {
            }
        }
        for _ in 0..<20 {
            let value = HubValue.random(depth: 3, using: &random)
            try read(Int.self, value)
            try read(UInt8?.self, value)
            try read(Int128.self, value)
            try read(Float.self, value)
            try read(String.self, value)
            try read(Bool?.self, value)
            try read(Date.self, value)
            try read(Data.self, value)
            try read(UUID.self, value)
            try read(URL.self, value)
            try read(Decimal.self, value)
            try read([UInt8].self, value)
            try read([String].self, value)
            try read([String: Int?].self, value)
            try read([Int: HubValue].self, value)
            try read(Person.self, value)
            try read(Shape.self, value)
            try read([Tree].self, value)
            try read(HubValue.self, value)
        }
    }
}

extension HubValue {
    /// With every map's members in the order of their names.
    fileprivate func sorted() -> HubValue {
        switch self {
        case .array(let items): .array(items.map { $0.sorted() })
        case .map(let members):
            .map(members.map { .init(key: $0.key, value: $0.value.sorted()) }.sorted { $0.key < $1.key })
        default: self
        }
    }

    /// - Parameter jsonOnly: whether to leave out what JSON turns into something else.
    fileprivate static func random(depth: Int, jsonOnly: Bool = false, using random: inout SplitMix) -> HubValue {
        switch Int.random(in: 0..<(jsonOnly ? 9 : 13), using: &random) {
        case 0: return .null
        case 1: return .bool(.random(using: &random))
        case 2:
            return .int(
                [0, 1, -1, .max, .min, 255, 256, Int64.random(in: .min ... .max, using: &random)].randomElement(
                    using: &random
                ) ?? 0
            )
        case 3: return .uint(.random(in: UInt64(Int64.max) + 1 ... .max, using: &random))
        case 4: return .double(.random(in: -1e9...1e9, using: &random) + 0.5.ulp)
        case 5: return .string(text(using: &random))
        case 6 where depth > 0, 7 where depth > 0:
            return .array(
                (0..<Int.random(in: 0..<5, using: &random)).map { _ in
                    .random(depth: depth - 1, jsonOnly: jsonOnly, using: &random)
                }
            )
        case 8 where depth > 0:
            var names: Set<String> = []
            let members = (0..<Int.random(in: 0..<5, using: &random)).map { _ in
                Member(key: text(using: &random), value: .random(depth: depth - 1, jsonOnly: jsonOnly, using: &random))
            }
            return .map(members.filter { names.insert($0.key).inserted })
        case 9: return .float(.random(in: -1e9...1e9, using: &random))
        case 10:
            return .binary(
                (0..<Int.random(in: 0..<40, using: &random)).map { _ in .random(in: .min ... .max, using: &random) }
            )
        case 11:
            return .timestamp(
                seconds: .random(in: Bool.random(using: &random) ? 0...4_000_000_000 : .min ... .max, using: &random),
                nanoseconds: .random(in: 0...999_999_999, using: &random)
            )
        case 12: return .ext(type: .random(in: 0 ... .max, using: &random), data: [1, 2, 3])
        default: return .string("")
        }
    }

    private static func text(using random: inout SplitMix) -> String {
        let special = [
            "name", "Age", "TAGS", "label", "children", "circle", "radius", "_0", "square", "none", "AQID", "1",
            "-2.5e3", "hearts",
            "2024-02-29T12:34:56.1234567+02:00", "2024-02-30", "00010203-0405-0607-0809-0a0b0c0d0e0f",
            "https://example.org", "",
        ]
        if Bool.random(using: &random) { return special.randomElement(using: &random) ?? "" }
        let scalars = (0..<Int.random(in: 0..<8, using: &random)).compactMap { _ in
            Unicode.Scalar(UInt32.random(in: 0..<0x3000, using: &random))
        }
        return String(String.UnicodeScalarView(scalars))
    }
}
