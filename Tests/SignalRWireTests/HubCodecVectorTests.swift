// SignalBox: both hub protocols against the test vectors
// SPDX-License-Identifier: Apache-2.0

import NIOCore
import SignalRWire
import Testing

@Suite struct HubCodecVectorTests {
    static let reading = Vector.of("json", ["both", "parse"]) + Vector.of("messagepack", ["both", "parse"])

    static func reading(_ outcomes: String...) -> [Vector] {
        self.reading.filter { outcomes.contains($0.recommended?["kind"]?.text ?? $0.outcome) }
    }

    @Test(arguments: reading("ok"))
    func readsMessages(_ vector: Vector) throws {
        var wire = vector.wire
        var messages: [HubMessage] = []
        while let message = try vector.codec.read(from: &wire, maximumSize: 32768) { messages.append(message) }
        #expect(wire.text == vector["outcome"]?["remaining"]?.text ?? "")

        let expected = HubMessage.all(in: vector.recommended?["message"] ?? vector.message)
        try #require(!expected.isEmpty)
        if vector["binder"]?["returnType"] != nil {
            // A result of another type than the caller's: reading keeps it, the caller finds out.
            let completion = try #require(messages.first?.completion)
            #expect(completion.id == expected.first?.completion?.id)
            if case .result(let result) = completion.outcome {
                #expect(throws: Never.self) { try result.value() }
            } else {
                Issue.record("no result")
            }
        } else if vector["binder"]?["streamItemType"] != nil {
            // Whoever decodes the item compares names without regard to case.
            #expect(try messages.map { try $0.decoded().lowercased } == expected.map { try $0.decoded().lowercased })
        } else {
            #expect(try messages.map { try $0.decoded() } == expected)
        }
    }

    @Test(arguments: Vector.of("json", ["both", "write"]) + Vector.of("messagepack", ["both", "write"]))
    func writesMessages(_ vector: Vector) throws {
        let message = try #require(HubMessage(vector: vector.message))
        var written = ByteBuffer()
        try vector.codec.write(message, into: &written)
        #expect(written == vector.wire)
    }

    @Test(arguments: reading("ignored"))
    func readsUnknownTypes(_ vector: Vector) throws {
        var wire = vector.wire
        let type = vector.name.hasSuffix("type-zero") ? 0 : 99
        #expect(try vector.codec.read(from: &wire, maximumSize: nil) == .unknown(type: type))
        #expect(wire.readableBytes == 0)
    }

    @Test(arguments: reading("incomplete"))
    func waitsForMore(_ vector: Vector) throws {
        var wire = vector.wire
        #expect(try vector.codec.read(from: &wire, maximumSize: nil) == nil)
        #expect(wire == vector.wire)
    }

    @Test(arguments: reading("protocolError"))
    func refusesMessages(_ vector: Vector) throws {
        var wire = vector.wire
        let text = try #require(vector["outcome"]?["text"]?.text)
        #expect(throws: HubProtocolError(text)) { try vector.codec.read(from: &wire, maximumSize: nil) }
    }

    /// Who calls what stays readable, so that an error can be sent back.
    @Test(arguments: reading("bindingFailure"))
    func keepsInvocationsWithBadArguments(_ vector: Vector) throws {
        var wire = vector.wire
        let invocation = try #require(try vector.codec.read(from: &wire, maximumSize: nil)?.invocation)
        #expect(invocation.id == vector["outcome"]?["invocationId"]?.text)
        #expect(invocation.target == vector["outcome"]?["target"]?.text)

        let text = try #require(vector["outcome"]?["text"]?.text)
        if text.hasPrefix("Reading array length") {
            #expect(invocation.arguments == .unreadable(text))
            var reader = invocation.arguments.makeReader()
            #expect(throws: HubProtocolError(text)) { try reader.next() }
        } else {
            let values = try invocation.arguments.decoded()
            #expect(values.count == invocation.arguments.count)
            let parameters = vector["binder"]?["parameterTypes"]?.items.count ?? 0
            if text.hasPrefix("Invocation provides") {
                #expect(text == "Invocation provides \(values.count) argument(s) but target expects \(parameters).")
            }
        }
    }

    @Test(arguments: reading("streamBindingFailure"))
    func keepsStreamItemsThatFailToBind(_ vector: Vector) throws {
        var wire = vector.wire
        let item = try #require(try vector.codec.read(from: &wire, maximumSize: nil)?.streamItem)
        #expect(item.id == vector["outcome"]?["streamId"]?.text)
        if vector.name.hasSuffix("missing-item") {
            #expect(throws: HubProtocolError.self) { try item.item.value() }
            var copy = ByteBuffer()
            #expect(throws: HubProtocolError.self) { try vector.codec.write(.streamItem(item), into: &copy) }
            #expect(copy.readableBytes == 0)
        }
    }

    /// Every message of one protocol can be carried on in the other, and comes back the same.
    @Test(arguments: Vector.of("json", ["both"]) + Vector.of("messagepack", ["both"]))
    func translatesMessages(_ vector: Vector) throws {
        var wire = vector.wire
        let message = try #require(try vector.codec.read(from: &wire, maximumSize: nil))
        var other = ByteBuffer()
        try vector.otherCodec.write(message, into: &other)
        let translated = try #require(try vector.otherCodec.read(from: &other, maximumSize: nil))
        var back = ByteBuffer()
        try vector.codec.write(translated, into: &back)
        if vector["protocol"]?.text == "json", vector.name != "json/close-empty-error" {
            #expect(back == vector.wire)
        } else {
            // JSON has no bytes, timestamps or float32: those come back as what JSON made of them.
            var again = ByteBuffer()
            try vector.otherCodec.write(translated, into: &again)
            #expect(try vector.otherCodec.read(from: &again, maximumSize: nil) == translated)
        }
    }
}

extension Vector {
    var codec: any HubCodec { self["protocol"]?.text == "json" ? JSONHubCodec() : MessagePackHubCodec() }
    var otherCodec: any HubCodec { self["protocol"]?.text == "json" ? MessagePackHubCodec() : JSONHubCodec() }
}

extension HubMessage {
    fileprivate var lowercased: HubMessage {
        guard case .streamItem(var item) = self, case .value(.map(let members)) = item.item else { return self }
        item.item = .value(.map(members.map { .init(key: $0.key.lowercased(), value: $0.value) }))
        return .streamItem(item)
    }
}
