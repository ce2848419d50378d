// SignalBox: the service protocol against the test vectors
// SPDX-License-Identifier: Apache-2.0

import NIOCore
import SignalRWire
import Testing

@Suite struct ServiceCodecTests {
    /// The others would pass without a single vector.
    @Test func allVectorsAreThere() {
        #expect(ServiceVector.all.count == 148)
        #expect(Set(ServiceVector.all.compactMap { $0.message["type"]?.number }).count == 40)
    }

    @Test(arguments: ServiceVector.all)
    func readsMessages(_ vector: ServiceVector) throws {
        var bytes = vector.frame
        let message = try #require(try ServiceCodec.read(from: &bytes))
        #expect(bytes.readableBytes == 0)
        let fields = message.fields
        for (name, value) in vector.message { #expect(fields[name] == value, "\(name)") }
    }

    @Test(arguments: ServiceVector.all.filter(\.isWritten))
    func writesMessages(_ vector: ServiceVector) throws {
        var bytes = vector.frame
        let message = try #require(try ServiceCodec.read(from: &bytes))
        var written = ByteBuffer()
        try ServiceCodec.write(message, into: &written)
        if vector.name == "derived/AckTimeout" {
            // An empty payload is left out instead of written as nil; both are read the same.
            #expect(written == ByteBuffer(hex: "0695140903a080"))
        } else {
            #expect(written == vector.frame)
        }
    }

    @Test(arguments: ServiceVector.all)
    func waitsForWholeMessages(_ vector: ServiceVector) throws {
        let frame = vector.frame
        for end in 0..<frame.readableBytes {
            var piece = try #require(frame.getSlice(at: 0, length: end))
            #expect(try ServiceCodec.read(from: &piece) == nil)
            #expect(piece.readableBytes == end)
        }
    }

    @Test(arguments: ServiceVector.file["trailingData"]?.items ?? [])
    func dropsWhatFollowsTheArray(_ vector: HubValue) throws {
        let content = ByteBuffer(hex: vector["hex"]?.text ?? "")
        var bytes = ByteBuffer(integer: UInt8(content.readableBytes))
        bytes.writeImmutableBuffer(content)
        let fields = try #require(try ServiceCodec.read(from: &bytes)).fields
        for member in vector["expect"]?.members ?? [] { #expect(fields[member.key] == member.value) }
    }

    /// Later versions append items, and have types and extension members of their own.
    @Test(arguments: [
        ("9603a161a162a163a164a165", "ping"), ("9706a163c40178808101020304", "data"),
        ("9406a163c401788163920102", "data"),
        ("9406a163c40178cd00", ""), ("942901c002", "unknown"), ("91cd03e8", "unknown"),
    ])
    func toleratesWhatItDoesNotKnow(_ hex: String, _ expected: String) throws {
        let content = ByteBuffer(hex: hex)
        var bytes = ByteBuffer(integer: UInt8(content.readableBytes))
        bytes.writeImmutableBuffer(content)
        let message = try? ServiceCodec.read(from: &bytes)
        switch (expected, message) {
        case ("ping", .ping?), ("data", .connectionData?), ("unknown", .unknown?), ("", nil): break
        default: Issue.record("\(String(describing: message))")
        }
    }

    @Test(arguments: ServiceVector.file["streams"]?.items ?? [])
    func readsStreams(_ vector: HubValue) throws {
        let chunks = vector["chunksHex"]?.items.map { $0.text ?? "" } ?? [vector["hex"]?.text ?? ""]
        var buffer = ByteBuffer()
        var types: [HubValue] = []
        do {
            for chunk in chunks {
                buffer.writeImmutableBuffer(ByteBuffer(hex: chunk))
                while let message = try ServiceCodec.read(from: &buffer) {
                    types.append(message.fields["type"] ?? .null)
                }
            }
            #expect(vector["expectError"] == nil)
            #expect(types == vector["expectTypes"]?.items)
        } catch {
            #expect(vector["expectError"] == true)
        }
    }

    @Test func writesLargePayloads() throws {
        let vector = ServiceVector.file["largeData"]
        var written = ByteBuffer()
        try ServiceCodec.write(
            .connectionData(id: "abc", ByteBuffer(repeating: 0x61, count: 70_000), []), into: &written)
        let hex = written.hex
        let (prefix, head) = (vector?["prefixHex"]?.text ?? "?", vector?["headHex"]?.text ?? "?")
        #expect(hex.hasPrefix(prefix + head))
        #expect(hex.hasSuffix(vector?["tailHex"]?.text ?? "?"))
        #expect(written.readableBytes == 70_012 + prefix.count / 2)
    }

    /// Both sides of the recorded conversations.
    @Test(arguments: ServiceVector.file["scenarios"]?.items ?? [])
    func readsAndWritesConversations(_ scenario: HubValue) throws {
        for step in scenario["steps"]?.items ?? [] {
            guard let hex = step["framedHex"]?.text else { continue }
            var bytes = ByteBuffer(hex: hex)
            let message = try #require(try ServiceCodec.read(from: &bytes))
            var written = ByteBuffer()
            try ServiceCodec.write(message, into: &written)
            #expect(written.hex == hex)
        }
    }

    @Test(arguments: [
        "00", "01c0", "0190", "0291a1", "0391c2c2", "0a91cf8000000000000000", "0394060a", "0494060000",
        "0693deffff0303", "0793dbffffffff03", "0a9404a16181a16192c080", "04930b0bc0",
    ])
    func refusesWhatIsNoMessage(_ hex: String) {
        var bytes = ByteBuffer(hex: hex)
        #expect(throws: HubProtocolError.self) { while try ServiceCodec.read(from: &bytes) != nil {} }
    }

    /// `[10, [nil, "a"], {}, {}]`.
    @Test func nilIsNoName() throws {
        var bytes = ByteBuffer(hex: "08940a92c0a1618080")
        let message = try ServiceCodec.read(from: &bytes)
        #expect(message == .multicast(.init(to: .all, [], excludedConnections: ["a"])))
    }

    /// `[35, "i", "c", "s", "json", "", {1: 7, 3: "json", 9: 1}]`.
    @Test func handsOnOnlyWhatAnyoneKnows() throws {
        var bytes = ByteBuffer(hex: "1a9723a169a163a173a46a736f6ec40083010703a46a736f6e0901")
        guard case .clientCompletion(let call, _, _)? = try ServiceCodec.read(from: &bytes) else {
            Issue.record("another message")
            return
        }
        #expect(call.extension.members.map(\.key) == [1, 3, 9])
        #expect(call.extension.handedOn(withProtocol: true).members.map(\.key) == [1, 3])
        #expect(call.extension.handedOn(withProtocol: false).members.map(\.key) == [1])
    }

    /// `RemoveFromAllGroupsAsync` of the Management SDK, which asks for no ack.
    @Test func aUserLeavesAllGroups() throws {
        let frame: [UInt8] = [0x06, 0x94, 0x11, 0xA1, 0x75, 0xC0, 0x80]
        var bytes = ByteBuffer(bytes: frame)
        guard case .membership(let membership)? = try ServiceCodec.read(from: &bytes) else { throw ChannelError.eof }
        #expect(membership.group == nil && membership.ackID == nil && !membership.isJoin)
        var written = ByteBuffer()
        try ServiceCodec.write(.membership(membership), into: &written)
        #expect(Array(written.readableBytesView) == frame)
    }

    @Test(arguments: [0x10, 0x0C, 0x0B] as [UInt8])
    func nobodyElseDoesWithoutAGroup(_ type: UInt8) {
        var bytes = ByteBuffer(bytes: [0x06, 0x94, type, 0xA1, 0x75, 0xC0, 0x80])
        #expect(throws: HubProtocolError.self) { try ServiceCodec.read(from: &bytes) }
    }

    @Test func refusesMessagesThatAreTooLong() {
        var bytes = ByteBuffer(bytes: [0xFF, 0xFF, 0xFF, 0x7F, 0x94])
        #expect(throws: HubProtocolError.self) { try ServiceCodec.read(from: &bytes) }
    }

    @Test func refusesToWriteUnknownTypes() {
        var written = ByteBuffer(string: "x")
        #expect(throws: HubProtocolError.self) { try ServiceCodec.write(.unknown(type: 99), into: &written) }
        #expect(written == ByteBuffer(string: "x"))
    }

    /// Any bytes at all: an answer or an error, and the same again after writing.
    @Test func survivesChangedBytes() throws {
        var random = SplitMix64(state: 7)
        for vector in ServiceVector.all {
            let bytes = Array(vector.frame.readableBytesView)
            for _ in 0..<8 {
                var changed = bytes
                changed[Int.random(in: 0..<changed.count, using: &random)] = UInt8.random(in: 0...255, using: &random)
                try WireProperty.service.check(changed)
            }
        }
    }
}
