// SignalBox: values come back as they went, over every wire
// SPDX-License-Identifier: Apache-2.0

import Foundation
import NIOCore
import SignalR
import SignalRWire
import Testing

@Suite struct RoundTripTests {
    @Test(arguments: Wire.allCases) func integers(_ wire: Wire) throws {
        #expect(try wire.roundTrip([Int.min, -1, 0, 1, Int.max]) == [.min, -1, 0, 1, .max])
        #expect(try wire.roundTrip([UInt64.max, 0]) == [.max, 0])
        #expect(try wire.roundTrip([Int8.min, .max]) == [.min, .max])
        #expect(try wire.roundTrip([UInt8.min, .max]) == [.min, .max])
        #expect(try wire.roundTrip(Int16.min) == .min)
        #expect(try wire.roundTrip(UInt16.max) == .max)
        #expect(try wire.roundTrip(Int32.min) == .min)
        #expect(try wire.roundTrip(UInt32.max) == .max)
        #expect(try wire.roundTrip(Int128(UInt64.max)) == Int128(UInt64.max))
    }

    @Test(arguments: Wire.allCases) func floatingPoint(_ wire: Wire) throws {
        let doubles = [0, -0.5, 0.1, 2, 1e-300, .greatestFiniteMagnitude, .leastNonzeroMagnitude]
        #expect(try wire.roundTrip(doubles) == doubles)
        let floats: [Float] = [0, 0.1, -3.25, .greatestFiniteMagnitude, 2]
        #expect(try wire.roundTrip(floats) == floats)
    }

    @Test(arguments: Wire.allCases) func textAndTruth(_ wire: Wire) throws {
        for text in ["", "plain", "\"quoted\" \\ \u{0}\n\u{1F}", "Grüße 👩‍👩‍👧 \u{2028}"] {
            #expect(try wire.roundTrip(text) == text)
        }
        #expect(try wire.roundTrip([true, false]) == [true, false])
        #expect(try wire.roundTrip(Character("é").description) == "é")
    }

    @Test(arguments: Wire.allCases) func optionals(_ wire: Wire) throws {
        #expect(try wire.roundTrip(Int?.none) == nil)
        #expect(try wire.roundTrip(Int?.some(4)) == 4)
        #expect(try wire.roundTrip(String?.none) == nil)
        #expect(try wire.roundTrip(Person?.none) == nil)
        #expect(try wire.roundTrip(Person?.some(.ada)) == .ada)
        #expect(try wire.roundTrip([1, nil, 3]) == [1, nil, 3])
        #expect(try wire.roundTrip(["a": nil, "b": 2]) == ["a": nil, "b": 2])
    }

    @Test(arguments: Wire.allCases) func foundation(_ wire: Wire) throws {
        #expect(try wire.roundTrip(Data([0, 1, 254, 255])) == Data([0, 1, 254, 255]))
        #expect(try wire.roundTrip(Data()) == Data())
        let uuid = UUID()
        #expect(try wire.roundTrip(uuid) == uuid)
        let url = try #require(URL(string: "https://example.org/a%20b?c=d#e"))
        #expect(try wire.roundTrip(url) == url)
        for date in [Date(), Date(timeIntervalSince1970: 0), Date(timeIntervalSince1970: -0.25)] {
            #expect(try wire.roundTrip(date) == date)
        }
        let decimals = try ["0", "-0.1", "12345678901234567890.0123456789", "1e20"].map {
            try #require(Decimal(string: $0))
        }
        #expect(try wire.roundTrip(decimals) == decimals)
    }

    @Test(arguments: Wire.allCases) func compounds(_ wire: Wire) throws {
        #expect(try wire.roundTrip(Person.ada) == .ada)
        #expect(try wire.roundTrip([[1], [], [2, 3]]) == [[1], [], [2, 3]])
        #expect(try wire.roundTrip(["x": [Person.ada]]) == ["x": [.ada]])
        #expect(try wire.roundTrip([1: "a", -2: "b"]) == [1: "a", -2: "b"])
        #expect(try wire.roundTrip([Suit.hearts: 1]) == [.hearts: 1])
        #expect(try wire.roundTrip(Set([1, 2, 3])) == [1, 2, 3])
        #expect(
            try wire.roundTrip([Shape.circle(radius: 2), .square(3), .none]) == [.circle(radius: 2), .square(3), .none]
        )
        #expect(
            try wire.roundTrip(Tree(label: "a", children: [.init(label: "b", children: [])]))
                == Tree(label: "a", children: [.init(label: "b", children: [])])
        )
        #expect(try wire.roundTrip(0..<5) == 0..<5)
        #expect(try wire.roundTrip(Empty()) == Empty())
    }

    @Test(arguments: Wire.allCases) func bytesAsNumbers(_ wire: Wire) throws {
        #expect(try encoded([UInt8(1), 2]) == .array([.int(1), .int(2)]))
        #expect(try wire.roundTrip([UInt8(0), 255]) == [0, 255])
        #expect(try HubPayload(encoding: Data([7, 8])).decode([UInt8].self) == [7, 8])
        #expect(throws: DecodingError.self) { try json("[256]").decode([UInt8].self) }
        #expect(throws: DecodingError.self) { try json("[1,null]").decode([UInt8].self) }
    }

    @Test func plainStructsMatchJSONEncoder() throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        func compare<T: Codable & Equatable>(_ value: T) throws {
            var ours = ByteBuffer()
            try JSON.write(encoded(value), into: &ours)
            let theirs = try encoder.encode(value)
            #expect(
                try JSONSerialization.jsonObject(with: Data(ours.readableBytesView)) as? NSDictionary
                    == JSONSerialization.jsonObject(with: theirs) as? NSDictionary
            )
            #expect(try JSONDecoder().decode(T.self, from: Data(ours.readableBytesView)) == value)
            #expect(try HubPayload.json(ByteBuffer(bytes: theirs)).decode(T.self) == value)
        }
        try compare(Person.ada)
        try compare(Tree(label: "a", children: [.init(label: "\u{7F}/", children: [])]))
        try compare(Shape.circle(radius: 0.1))
        try compare(Shape.none)
        try compare(["a": Shape.square(1)])
    }
}

struct Person: Codable, Equatable {
    var name: String
    var age: Int
    var height: Double?
    var email: String?
    var suit: Suit
    var tags: [String]

    static let ada = Person(name: "Ada", age: 36, height: 1.65, email: nil, suit: .hearts, tags: ["x", "y"])
}

enum Suit: String, Codable, CodingKeyRepresentable { case hearts, spades }

enum Shape: Codable, Equatable {
    case circle(radius: Double)
    case square(Int)
    case none
}

struct Tree: Codable, Equatable {
    var label: String
    var children: [Tree]
}

struct Empty: Codable, Equatable {}
