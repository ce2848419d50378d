// SignalBox: MessagePack values, read and written
// SPDX-License-Identifier: Apache-2.0

import NIOCore
import SignalRWire
import Testing

@Suite struct MessagePackTests {
    /// The payloads of other servers, item for item.
    @Test(arguments: Vector.of("redis"))
    func keepsRedisPayloads(_ vector: Vector) throws {
        let value = try MessagePack.value(from: vector.wire)
        #expect(value.items.count == vector.wire.readableBytesView.first.map { Int($0 & 0x0F) })
        var written = ByteBuffer()
        try MessagePack.write(value, into: &written)
        #expect(written == vector.wire)
    }

    /// Where one form is the shortest, it is the one that is written.
    @Test(
        arguments: [
            ("c0", .null), ("c2", false), ("c3", true),
            ("00", 0), ("7f", 127), ("cc80", 128), ("ccff", 255), ("cd0100", 256), ("cdffff", 65535),
            ("ce00010000", 65536),
            ("ceffffffff", 4_294_967_295), ("cf0000000100000000", 4_294_967_296), ("cf7fffffffffffffff", .int(.max)),
            ("cf8000000000000000", .uint(1 << 63)), ("cfffffffffffffffff", .uint(.max)),
            ("ff", -1), ("e0", -32), ("d0df", -33), ("d080", -128), ("d1ff7f", -129), ("d18000", -32768),
            ("d2ffff7fff", -32769),
            ("d280000000", -2_147_483_648), ("d3ffffffff7fffffff", -2_147_483_649), ("d38000000000000000", .int(.min)),
            ("ca3f800000", .float(1)), ("cb3ff0000000000000", .double(1)), ("cb7ff0000000000000", .double(.infinity)),
            ("a0", ""), ("a161", "a"), ("a4f09f9880", "😀"),
            ("c400", .binary([])), ("c403010203", .binary([1, 2, 3])),
            ("90", []), ("9301c0a0", [1, nil, ""]), ("80", [:]), ("81a16191c2", ["a": [false]]),
            ("d40100", .ext(type: 1, data: [0])), ("d5020102", .ext(type: 2, data: [1, 2])),
            ("c700fe", .ext(type: -2, data: [])), ("c70303010203", .ext(type: 3, data: [1, 2, 3])),
            ("d6ff00000000", .timestamp(seconds: 0, nanoseconds: 0)),
            ("d6ffffffffff", .timestamp(seconds: 4_294_967_295, nanoseconds: 0)),
            ("d7ff0000000100000000", .timestamp(seconds: 4_294_967_296, nanoseconds: 0)),
            ("d7ffee6b27fc00000000", .timestamp(seconds: 0, nanoseconds: 999_999_999)),
            ("c70cff000000000000000400000000", .timestamp(seconds: 17_179_869_184, nanoseconds: 0)),
            ("c70cff00000001ffffffffffffffff", .timestamp(seconds: -1, nanoseconds: 1)),
        ] as [(String, HubValue)])
    func readsAndWrites(_ hex: String, _ value: HubValue) throws {
        #expect(try MessagePack.value(from: ByteBuffer(hex: hex)) == value)
        #expect(try HubPayload.messagePack(ByteBuffer(hex: hex)).value() == value)
        var written = ByteBuffer()
        try MessagePack.write(value, into: &written)
        #expect(written.hex == hex)
    }

    @Test(
        arguments: [
            ("cc00", 0), ("cd0000", 0), ("ce00000000", 0), ("cf0000000000000000", 0),
            ("d07f", 127), ("d1ffff", -1), ("d200000001", 1), ("d3ffffffffffffffff", -1),
            ("d90161", "a"), ("da000161", "a"), ("db0000000161", "a"),
            ("c5000101", .binary([1])), ("c60000000101", .binary([1])),
            ("dc0001c0", [nil]), ("dd00000001c0", [nil]), ("de0001a161c0", ["a": nil]),
            ("df00000001a161c0", ["a": nil]),
            ("c7010100", .ext(type: 1, data: [0])), ("c800010100", .ext(type: 1, data: [0])),
            ("c9000000010100", .ext(type: 1, data: [0])),
            ("c704ff00000001", .timestamp(seconds: 1, nanoseconds: 0)),
            ("8201c002c0", ["1": nil, "2": nil]), ("81d0ffc3", ["-1": true]),
            ("81cfffffffffffffffffc3", ["18446744073709551615": true]),
        ] as [(String, HubValue)])
    func readsEveryWidth(_ hex: String, _ value: HubValue) throws {
        #expect(try MessagePack.value(from: ByteBuffer(hex: hex)) == value)
    }

    @Test(arguments: [31, 32, 255, 256, 65535, 65536])
    func writesTheNarrowestLength(_ length: Int) throws {
        let values: [HubValue] = [
            .string(String(repeating: "a", count: length)),
            .binary([UInt8](repeating: 1, count: length)),
            .array([HubValue](repeating: 1, count: length)),
            .map([HubValue.Member](repeating: .init(key: "", value: 1), count: length)),
            .ext(type: 5, data: [UInt8](repeating: 1, count: length)),
        ]
        let overheads = [
            length < 32 ? 1 : length < 256 ? 2 : length < 65536 ? 3 : 5,
            length < 256 ? 2 : length < 65536 ? 3 : 5,
            length < 16 ? 1 : length < 65536 ? 3 : 5,
            (length < 16 ? 1 : length < 65536 ? 3 : 5) + length,
            (length < 256 ? 2 : length < 65536 ? 3 : 5) + 1,
        ]
        for (value, overhead) in zip(values, overheads) {
            var written = ByteBuffer()
            try MessagePack.write(value, into: &written)
            #expect(written.readableBytes == length + overhead)
            #expect(try MessagePack.value(from: written) == value)
        }
    }

    @Test(arguments: [
        "", "c1", "cc", "cd00", "ce000000", "cf00000000000000", "d0", "ca000000", "cb00000000000000",
        "a1", "d901", "da0001", "db00000001", "c401", "c50001", "91", "9201", "81", "81a0", "82a0c0", "dc0001", "d4",
        "d401", "c70101",
        "c0c0", "9101c0",
        // Lengths of gigabytes in a few bytes.
        "dbffffffff", "c6ffffffff", "ddffffffff", "dfffffffff", "c9ffffffff01", "dd7fffffffc0", "df80000000c0c0",
        "dbffffffff61",
        // Text that is not UTF-8; keys that are neither text nor integers.
        "a1ff", "a2c080", "a3eda080", "81a1ffc0", "81c0c0", "81c3c0", "8190c0", "81cb0000000000000000c0",
        // Timestamps.
        "d5ff0000", "c703ff000000", "d7ffee6b280000000000", "c70cff3b9aca000000000000000000", "c700ff",
    ])
    func refuses(_ hex: String) {
        #expect(throws: HubProtocolError.self) { try MessagePack.value(from: ByteBuffer(hex: hex)) }
    }

    @Test func writesNothingItCannotExpress() {
        var buffer = ByteBuffer(string: "before")
        #expect(throws: HubProtocolError.self) {
            try MessagePack.write([1, .timestamp(seconds: 0, nanoseconds: 1_000_000_000)], into: &buffer)
        }
        #expect(buffer.text == "before")
        let message = HubMessage.cancelInvocation(.init(id: "1", headers: ["a": ""]))
        #expect(throws: HubProtocolError.self) { try MessagePackHubCodec().write(message, into: &buffer) }
        #expect(buffer.text == "before")
        #expect(throws: HubProtocolError.self) { try MessagePackHubCodec().write(.unknown(type: 10), into: &buffer) }
        #expect(throws: HubProtocolError.self) { try JSONHubCodec().write(.unknown(type: 10), into: &buffer) }
        #expect(buffer.text == "before")
    }

    /// Three headers in five bytes: the count alone shows that they cannot be there.
    @Test func aMapHasTwoBytesForEachMember() {
        var bytes = ByteBuffer(hex: "08920183a161a162c0")
        #expect(throws: HubProtocolError("Reading map length for 'headers' failed.")) {
            try MessagePackHubCodec().read(from: &bytes, maximumSize: nil)
        }
    }

    // MARK: Depth

    @Test(arguments: ["91", "81a0"])
    func nestsSixtyFourLevels(_ level: String) throws {
        let deepest = String(repeating: level, count: 64) + "c0"
        let value = try MessagePack.value(from: ByteBuffer(hex: deepest))
        var written = ByteBuffer()
        try MessagePack.write(value, into: &written)
        #expect(written.hex == deepest)
        #expect(throws: HubProtocolError.self) { try MessagePack.value(from: ByteBuffer(hex: level + deepest)) }
        #expect(throws: HubProtocolError.self) {
            try MessagePack.value(from: ByteBuffer(hex: deepest), maximumDepth: 63)
        }
        #expect(throws: HubProtocolError.self) { try MessagePack.write([value], into: &written) }
        let bottomless = ByteBuffer(repeating: 0x91, count: 1_000_000)
        #expect(throws: HubProtocolError.self) { try MessagePack.value(from: bottomless) }
    }

    /// The message and its arguments are two of the levels. Too deep an argument fails its invocation only.
    @Test func theEnvelopeCountsAsDepth() throws {
        func arguments(_ levels: Int) throws -> HubArguments {
            var bytes = ByteBuffer(hex: "55960180a3616263a17491" + String(repeating: "91", count: levels) + "c090")
            bytes.setInteger(UInt8(bytes.readableBytes - 1), at: 0)
            return try #require(try MessagePackHubCodec().read(from: &bytes, maximumSize: nil)?.invocation).arguments
        }
        #expect(try arguments(62).count == 1)
        #expect(try arguments(63).isUnreadable)
    }

    /// As many items as bytes remain, on each of 63 levels.
    @Test func nestedClaimsReserveLittle() {
        var bytes = ByteBuffer()
        for level in 0..<63 {
            bytes.writeInteger(0xDD as UInt8)
            bytes.writeInteger(UInt32(1_000_000 - 5 * level))
        }
        bytes.writeRepeatingByte(0xC1, count: 1_000_000)
        #expect(throws: HubProtocolError.self) { try MessagePack.value(from: bytes) }
    }

    @Test(arguments: ["ddffffffff", "dc0005c0", "91c1", "92a5616263"])
    func brokenArgumentsFailTheInvocation(_ arguments: String) throws {
        var bytes = ByteBuffer(hex: "00960180a3616263a174" + arguments)
        bytes.setInteger(UInt8(bytes.readableBytes - 1), at: 0)
        let invocation = try #require(try MessagePackHubCodec().read(from: &bytes, maximumSize: nil)?.invocation)
        #expect(invocation.arguments.isUnreadable)
        #expect(invocation.id == "abc")
        #expect(invocation.arguments.count == 0)
    }
}
