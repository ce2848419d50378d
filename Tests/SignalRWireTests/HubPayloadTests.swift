// SignalBox: payloads and arguments without decoding them whole
// SPDX-License-Identifier: Apache-2.0

import NIOCore
import SignalRWire
import Testing

@Suite struct HubPayloadTests {
    static func forms(of value: HubValue) throws -> [HubPayload] {
        var json = ByteBuffer()
        try JSON.write(value, into: &json)
        var messagePack = ByteBuffer()
        try MessagePack.write(value, into: &messagePack)
        return [.value(value), .json(json), .messagePack(messagePack)]
    }

    @Test(arguments: ["", "a", "a longer text than fits into a small string", "é😀", "a\"\\\n\u{1E}"])
    func strings(_ text: String) throws {
        for payload in try Self.forms(of: .string(text)) {
            #expect(payload.string() == text)
            #expect(payload.int64() == nil && payload.double() == nil && payload.bool() == nil && !payload.isNull)
        }
    }

    @Test(arguments: [0, -1, 127, 128, 65536, .max, .min])
    func integers(_ number: Int64) throws {
        for payload in try Self.forms(of: .int(number)) {
            #expect(payload.int64() == number)
            #expect(payload.double() == Double(number))
            #expect(payload.string() == nil && payload.bool() == nil && !payload.isNull)
        }
    }

    @Test func integersAboveInt64() throws {
        for payload in try Self.forms(of: .uint(.max)) {
            #expect(payload.int64() == nil)
            #expect(payload.double() == Double(UInt64.max))
        }
    }

    @Test(arguments: [0.5, -1e300, .leastNonzeroMagnitude])
    func doubles(_ number: Double) throws {
        for payload in try Self.forms(of: .double(number)) {
            #expect(payload.double() == number)
            #expect(payload.int64() == nil && payload.string() == nil && payload.bool() == nil && !payload.isNull)
        }
        #expect(HubPayload.value(.float(0.5)).double() == 0.5)
        #expect(HubPayload.messagePack(ByteBuffer(hex: "ca3f000000")).double() == 0.5)
    }

    @Test(arguments: [true, false])
    func booleans(_ flag: Bool) throws {
        for payload in try Self.forms(of: .bool(flag)) {
            #expect(payload.bool() == flag)
            #expect(payload.int64() == nil && payload.string() == nil && payload.double() == nil && !payload.isNull)
        }
    }

    @Test func null() throws {
        for payload in try Self.forms(of: nil) {
            #expect(payload.isNull)
            #expect(
                payload.int64() == nil && payload.string() == nil && payload.double() == nil && payload.bool() == nil)
        }
    }

    /// More or less than one value is no value of any type.
    @Test(arguments: ["", "1 2", "\"a\"b", "tru", "\"a", "[1", "truex"])
    func brokenText(_ text: String) {
        let payload = HubPayload.json(ByteBuffer(string: text))
        #expect(payload.int64() == nil && payload.string() == nil && payload.double() == nil && payload.bool() == nil)
        #expect(throws: HubProtocolError.self) { try payload.value() }
    }

    @Test(arguments: ["", "0101", "a1", "a161a1", "c3c3", "cb00"])
    func brokenBytes(_ hex: String) {
        let payload = HubPayload.messagePack(ByteBuffer(hex: hex))
        #expect(payload.int64() == nil && payload.string() == nil && payload.double() == nil && payload.bool() == nil)
        #expect(throws: HubProtocolError.self) { try payload.value() }
    }

    // MARK: Arguments

    static let values: [HubValue] = [1, "two", [3, ["four": nil]], true]

    @Test(
        arguments: [
            .values(values),
            .payloads(values.map(HubPayload.value)),
            .json(ByteBuffer(string: "[1,\"two\" , [3,{\"four\":null}] ,true ]"), count: 4),
            .messagePack(ByteBuffer(hex: "01a374776f920381a4666f7572c0c3"), count: 4),
        ] as [HubArguments])
    func argumentsComeInOrder(_ arguments: HubArguments) throws {
        #expect(arguments.count == 4)
        var reader = arguments.makeReader()
        for (index, value) in Self.values.enumerated() {
            #expect(reader.remaining == 4 - index)
            #expect(try reader.next().value() == value)
        }
        #expect(reader.remaining == 0)
        #expect(throws: HubProtocolError.self) { try reader.next() }
    }

    @Test(
        arguments: [
            .values(values),
            .payloads(values.map(HubPayload.value)),
            .json(ByteBuffer(string: "[1,\"two\",[3,{\"four\":null}],true]"), count: 4),
            .messagePack(ByteBuffer(hex: "01a374776f920381a4666f7572c0c3"), count: 4),
            .payloads([
                .json(ByteBuffer(string: "1")), .messagePack(ByteBuffer(hex: "a374776f")),
                .json(ByteBuffer(string: "[3,{\"four\":null}]")), .value(true),
            ]),
        ] as [HubArguments])
    func argumentsOfEveryKindAreWritten(_ arguments: HubArguments) throws {
        let message = HubMessage.invocation(.init(id: nil, target: "t", arguments: arguments))
        var json = ByteBuffer()
        try JSONHubCodec().write(message, into: &json)
        #expect(json.text == "{\"type\":1,\"target\":\"t\",\"arguments\":[1,\"two\",[3,{\"four\":null}],true]}\u{1E}")
        var messagePack = ByteBuffer()
        try MessagePackHubCodec().write(message, into: &messagePack)
        #expect(messagePack.hex == "17960180c0a1749401a374776f920381a4666f7572c0c390")
    }

    @Test(
        arguments: [
            .json(ByteBuffer(string: "[1]"), count: 2), .json(ByteBuffer(), count: 1),
            .json(ByteBuffer(string: "[1;2]"), count: 2),
            .messagePack(ByteBuffer(hex: "01"), count: 2), .messagePack(ByteBuffer(), count: 1), .unreadable("why"),
        ] as [HubArguments])
    func brokenArguments(_ arguments: HubArguments) {
        var reader = arguments.makeReader()
        #expect(throws: HubProtocolError.self) { for _ in 0..<2 { _ = try reader.next() } }
    }

    /// The same protocol's bytes go on as they are, white space and wide numbers included.
    @Test func payloadsOfTheSameProtocolAreCopied() throws {
        for (codec, wire) in [
            (
                JSONHubCodec() as any HubCodec,
                ByteBuffer(string: "{\"type\":2,\"invocationId\":\"1\",\"item\":[ 1.0, \"\\u0041\" ]}\u{1E}")
            ),
            (MessagePackHubCodec(), ByteBuffer(hex: "0a940280a131d200000001")),
        ] {
            var bytes = wire
            let message = try #require(try codec.read(from: &bytes, maximumSize: nil))
            var copy = ByteBuffer()
            try codec.write(message, into: &copy)
            #expect(copy == wire)
        }
    }

    @Test func valuesByKey() {
        let value: HubValue = ["a": 1, "b": 2.5, "a": "last"]
        #expect(value["a"] == "last")
        #expect(value["b"] == 2.5)
        #expect(value["c"] == nil)
        #expect(HubValue.array([1])["a"] == nil)
    }

    @Test func numberedMessages() {
        let numbered: [HubMessage] = [
            .invocation(.init(id: nil, target: "t", arguments: .values([]))),
            .streamItem(.init(id: "1", item: .value(nil))),
            .completion(.init(id: "1", outcome: .void)),
            .streamInvocation(.init(id: "1", target: "t", arguments: .values([]))),
            .cancelInvocation(.init(id: "1")),
        ]
        let others: [HubMessage] = [.ping, .close(.init()), .ack(1), .sequence(1), .unknown(type: 10)]
        #expect(numbered.filter { $0.isNumbered } == numbered)
        #expect(others.filter { $0.isNumbered } == [])
    }
}
