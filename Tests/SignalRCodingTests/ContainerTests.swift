// SignalBox: keys, nested containers, superclasses
// SPDX-License-Identifier: Apache-2.0

import SignalR
import SignalRWire
import Testing

@Suite struct KeyTests {
    private struct Pair: Codable, Equatable {
        var userName: String
        // swift-format-ignore: AlwaysUseLowerCamelCase
        var URL: Int?
    }

    @Test func caseIsIgnored() throws {
        let pair = Pair(userName: "x", URL: 1)
        #expect(try decoded(Pair.self, map(("userName", "x"), ("URL", .int(1)))) == pair)
        #expect(try decoded(Pair.self, map(("UserName", "x"), ("Url", .int(1)))) == pair)
        #expect(try decoded(Pair.self, map(("USERNAME", "x"), ("url", .int(1)))) == pair)
        #expect(throws: DecodingError.self) { try decoded(Pair.self, map(("user_name", "x"))) }
        #expect(throws: DecodingError.self) { try decoded(Pair.self, map(("userNam", "x"), ("userNamee", "x"))) }
        #expect(throws: DecodingError.self) { try decoded(Pair.self, map(("user\u{4E}ame\u{301}", "x"))) }
    }

    @Test func onlyLettersHaveCase() {
        struct Odd: Decodable { let `a[`: Int }
        #expect(throws: DecodingError.self) { try decoded(Odd.self, map(("a{", .int(1)))) }
    }

    @Test func lettersBeyondASCII() throws {
        struct Size: Codable { let größe: Int }
        #expect(try decoded(Size.self, map(("Größe", .int(1)))).größe == 1)
        #expect(try decoded(Size.self, map(("GRÖßE", .int(1)))).größe == 1)
    }

    @Test func exactNamesComeFirst() throws {
        #expect(try decoded(Pair.self, map(("userName", "exact"), ("USERNAME", "other"))).userName == "exact")
        #expect(try decoded(Pair.self, map(("USERNAME", "other"), ("userName", "exact"))).userName == "exact")
    }

    @Test func lastOfEqualNamesCounts() throws {
        #expect(try decoded(Pair.self, map(("userName", "a"), ("userName", "b"))).userName == "b")
        #expect(try decoded(Pair.self, map(("UserName", "a"), ("USERNAME", "b"))).userName == "b")
        #expect(try decoded([String: Int].self, map(("k", .int(1)), ("k", .int(2)))) == ["k": 2])
    }

    @Test func largeMapsFollowTheSameRules() throws {
        let filler = (0..<100).map { HubValue.Member(key: "k\($0)", value: .int(0)) }
        func pair(_ members: (String, HubValue)...) throws -> Pair {
            try decoded(Pair.self, .map(filler + members.map { .init(key: $0, value: $1) } + filler))
        }
        #expect(try pair(("UserName", "x"), ("url", .int(1))) == Pair(userName: "x", URL: 1))
        #expect(try pair(("userName", "exact"), ("USERNAME", "other")).userName == "exact")
        #expect(try pair(("UserName", "a"), ("USERNAME", "b")).userName == "b")
        #expect(throws: DecodingError.self) { try pair(("user", "x")) }
    }

    @Test func dictionaryKeysKeepTheirCase() throws {
        let dictionary = ["a": 1, "A": 2, "": 3, "ä": 4]
        #expect(try decoded([String: Int].self, encoded(dictionary)) == dictionary)
    }

    /// A map from the network must not cost the square of its size.
    @Test func hugeMapsAreLinear() throws {
        let dictionary = Dictionary(uniqueKeysWithValues: (0..<200_000).map { ("key\($0)", $0) })
        var back: [String: Int] = [:]
        let time = try ContinuousClock().measure { back = try decoded([String: Int].self, encoded(dictionary)) }
        #expect(back == dictionary)
        #expect(time < .seconds(60), "took \(time); quadratic work would take hours")
    }

    @Test func integerKeys() throws {
        #expect(try encoded([7: "x"]) == map(("7", "x")))
        #expect(throws: DecodingError.self) { try decoded([Int: String].self, map(("x", "y"))) }
    }

    @Test func nilMembersAreLeftOut() throws {
        #expect(try encoded(Pair(userName: "x", URL: nil)) == map(("userName", "x")))
        #expect(try decoded(Pair.self, map(("userName", "x"), ("URL", .null))) == Pair(userName: "x", URL: nil))
    }
}

@Suite struct ContainerTests {
    @Test func superclasses() throws {
        let dog = Dog(name: "Rex", tricks: 3)
        #expect(try encoded(dog) == map(("tricks", .int(3)), ("super", map(("name", "Rex")))))
        let back = try decoded(Dog.self, encoded(dog))
        #expect(back.name == "Rex" && back.tricks == 3)
        // A dynamic type hides behind its superclass.
        #expect(try encoded(dog as Animal) == encoded(dog))
    }

    @Test func superclassInTheSameContainer() throws {
        let value = try encoded(Flat(name: "Rex", extra: true))
        #expect(value == map(("name", "Rex, flat"), ("extra", .bool(true))))
        #expect(try decoded(Flat.self, value).name == "Rex, flat")
    }

    @Test func nestedContainers() throws {
        let value = map(
            ("first", map(("a", .int(1)), ("b", .int(2)))),
            ("list", .array([.int(1), map(("x", .null)), .array([.string("y")]), .null])),
            ("last", .bool(true)),
            ("empty", .array([]))
        )
        #expect(try encoded(Nested()) == value)
        #expect(throws: Never.self) { try decoded(Nested.self, value) }
    }

    @Test func containersOfTwoKinds() {
        #expect(throws: EncodingError.self) {
            try encoded(
                Encode {
                    _ = $0.container(keyedBy: Key.self)
                    _ = $0.unkeyedContainer()
                }
            )
        }
        #expect(throws: EncodingError.self) {
            try encoded(
                Encode {
                    _ = $0.unkeyedContainer()
                    _ = $0.container(keyedBy: Key.self)
                }
            )
        }
        #expect(throws: EncodingError.self) {
            try encoded(
                Encode {
                    var single = $0.singleValueContainer()
                    try single.encode(1)
                    try single.encode(2)
                }
            )
        }
        #expect(throws: EncodingError.self) {
            try encoded([
                Encode {
                    _ = $0.unkeyedContainer()
                    var single = $0.singleValueContainer()
                    try single.encodeNil()
                }
            ])
        }
    }

    @Test func nothingEncodedIsAnEmptyObject() throws {
        #expect(try encoded(Encode { _ in }) == .map([]))
        #expect(try encoded(Empty()) == .map([]))
    }

    @Test func manyMembersKeepTheirOrder() throws {
        let value = try encoded(
            Encode {
                var container = $0.container(keyedBy: Key.self)
                for index in 0..<40 { try container.encode(index, forKey: Key(stringValue: "k\(index)")) }
                for index in [3, 30] { try container.encode("again", forKey: Key(stringValue: "k\(index)")) }
                for index in 40..<60 { try container.encode(index, forKey: Key(stringValue: "k\(index)")) }
                try container.encode("again", forKey: Key(stringValue: "k50"))
            }
        )
        let expected = (0..<60).map {
            HubValue.Member(key: "k\($0)", value: [3, 30, 50].contains($0) ? "again" : .int(Int64($0)))
        }
        #expect(value == .map(expected))
    }
}

struct Key: CodingKey {
    let stringValue: String
    var intValue: Int? { nil }
    init(stringValue: String) { self.stringValue = stringValue }
    init?(intValue: Int) { nil }
}

/// Encodes as the closure says.
struct Encode: Encodable {
    let body: (any Encoder) throws -> Void
    func encode(to encoder: any Encoder) throws { try self.body(encoder) }
}

private class Animal: Codable {
    var name: String
    init(name: String) { self.name = name }
}

private final class Dog: Animal {
    enum CodingKeys: CodingKey { case tricks }
    var tricks: Int

    init(name: String, tricks: Int) {
        self.tricks = tricks
        super.init(name: name)
    }

    required init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        self.tricks = try container.decode(Int.self, forKey: .tricks)
        try super.init(from: container.superDecoder())
    }

    override func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(self.tricks, forKey: .tricks)
        try super.encode(to: container.superEncoder())
    }
}

private final class Flat: Animal {
    enum CodingKeys: CodingKey { case name, extra }
    var extra: Bool

    init(name: String, extra: Bool) {
        self.extra = extra
        super.init(name: name)
    }

    required init(from decoder: any Decoder) throws {
        self.extra = try decoder.container(keyedBy: CodingKeys.self).decode(Bool.self, forKey: .extra)
        try super.init(from: decoder)
    }

    override func encode(to encoder: any Encoder) throws {
        try super.encode(to: encoder)
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(self.extra, forKey: .extra)
        try container.encode("\(self.name), flat", forKey: .name)
    }
}

/// Writes its containers in turns, and reads what it wrote.
private struct Nested: Codable {
    init() {}

    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: Key.self)
        var first = container.nestedContainer(keyedBy: Key.self, forKey: Key(stringValue: "first"))
        var list = container.nestedUnkeyedContainer(forKey: Key(stringValue: "list"))
        try list.encode(1)
        try first.encode(1, forKey: Key(stringValue: "a"))
        var object = list.nestedContainer(keyedBy: Key.self)
        var inner = list.nestedUnkeyedContainer()
        try container.encode(true, forKey: Key(stringValue: "last"))
        try object.encodeNil(forKey: Key(stringValue: "x"))
        try list.encodeNil()
        try inner.encode("y")
        var again = container.nestedContainer(keyedBy: Key.self, forKey: Key(stringValue: "first"))
        try again.encode(2, forKey: Key(stringValue: "b"))
        _ = container.nestedUnkeyedContainer(forKey: Key(stringValue: "empty"))
    }

    init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: Key.self)
        let first = try container.nestedContainer(keyedBy: Key.self, forKey: Key(stringValue: "first"))
        #expect(try first.decode(Int.self, forKey: Key(stringValue: "b")) == 2)
        #expect(first.codingPath.map(\.stringValue) == ["first"])
        var list = try container.nestedUnkeyedContainer(forKey: Key(stringValue: "list"))
        #expect(list.count == 4)
        #expect(try !list.decodeNil())
        #expect(try list.decode(Int.self) == 1)
        #expect(try list.nestedContainer(keyedBy: Key.self).decodeNil(forKey: Key(stringValue: "x")))
        var inner = try list.nestedUnkeyedContainer()
        #expect(inner.codingPath.map(\.stringValue) == ["list", "Index 2"])
        #expect(try inner.decode(String.self) == "y")
        #expect(inner.isAtEnd)
        #expect(try list.decodeNil())
        #expect(throws: DecodingError.self) { try list.decode(Int.self) }
        #expect(throws: DecodingError.self) { try list.decodeNil() }
        #expect(container.allKeys.map(\.stringValue) == ["first", "list", "last", "empty"])
    }
}
