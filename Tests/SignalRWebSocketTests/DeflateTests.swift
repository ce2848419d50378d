// SignalBox: compressed messages, RFC 7692 §7.2
// SPDX-License-Identifier: Apache-2.0

import NIOCore
import Testing

@testable import _SignalRWebSocket

@Suite struct DeflateTests {
    private func read(_ bytes: [UInt8], step: Int? = nil, maximumInflatedSize: Int = 1 << 20) -> Transcript {
        Transcript(bytes, role: .client, inflater: Inflater(), step: step, maximumInflatedSize: maximumInflatedSize)
    }

    private func compressed(_ payload: [UInt8], opcode: UInt8 = 2, final: Bool = true) -> [UInt8] {
        frame(opcode, payload, final: final, reserved: 4, mask: nil)
    }

    // MARK: The examples of RFC 7692 §7.2.3

    @Test(
        arguments: [
            ("one block", [0xF2, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00], "Hello"),
            ("no compression", [0x00, 0x05, 0x00, 0xFA, 0xFF, 0x48, 0x65, 0x6C, 0x6C, 0x6F, 0x00], "Hello"),
            ("final block", [0xF3, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00, 0x00], "Hello"),
            ("two blocks", [0xF2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xFF, 0xFF, 0xCA, 0xC9, 0xC9, 0x07, 0x00], "Hello"),
            ("empty", [0x00], ""),
            // Not in the specification, but senders do both.
            ("final block without the extra byte", [0xF3, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00], "Hello"),
            ("empty without a byte", [], ""),
            (
                "final blocks one after the other",
                [0xF3, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00, 0xF3, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00], "HelloHello"
            ),
        ] as [(String, [UInt8], String)])
    func examples(name: String, payload: [UInt8], text: String) {
        for step in [nil, 1, 2] {
            #expect(read(compressed(payload, opcode: 1), step: step).events == [.text(text)])
        }
    }

    @Test func fragmented() {
        let bytes =
            compressed([0xF2, 0x48, 0xCD], opcode: 1, final: false) + frame(9, [], mask: nil)
            + frame(0, [0xC9, 0xC9, 0x07, 0x00], mask: nil)
        let read = read(bytes)
        #expect(read.error == nil)
        #expect(read.events.contains(.ping(ByteBuffer())))
        #expect(read.events.last?.isEnd == true)
    }

    @Test func plainAndCompressedMessagesTakeTurns() {
        let hello: [UInt8] = [0xF2, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00]
        let bytes =
            compressed(hello, opcode: 1) + frame(1, Array("plain".utf8), mask: nil) + compressed(hello, opcode: 1)
        #expect(read(bytes).events == [.text("Hello"), .text("plain"), .text("Hello")])
    }

    @Test func noWindowIsKeptFromMessageToMessage() {
        // The second "Hello" of §7.2.3.2 points back into the first message.
        let bytes =
            compressed([0xF2, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00]) + compressed([0xF2, 0x00, 0x11, 0x00, 0x00])
        #expect(read(bytes).error?.code == .invalidPayload)
    }

    // MARK: Errors

    @Test func rsv1BelongsToTheFirstFrameOnly() {
        let bytes = compressed([0xF2, 0x48], final: false) + frame(0, [0xCD], reserved: 4, mask: nil)
        #expect(read(bytes).error?.code == .protocolError)
        #expect(read(frame(9, [], reserved: 4, mask: nil)).error?.code == .protocolError)
    }

    @Test(
        arguments: [
            [0x06], [0x07, 0xFF], [0xFF, 0xFF, 0xFF], [0x00, 0x05, 0x00, 0x00, 0x00], [0xF2, 0x48, 0xCD, 0xC9], [0xF2],
            [0x00, 0x06, 0x00, 0xF9, 0xFF, 0x48],
        ] as [[UInt8]])
    func notDeflate(payload: [UInt8]) {
        for step in [nil, 1] { #expect(read(compressed(payload), step: step).error?.code == .invalidPayload) }
    }

    @Test func textIsValidatedAfterInflation() throws {
        let bad = try PerMessageDeflate.compress(ByteBuffer(bytes: [0x61, 0xFF])).bytes
        #expect(read(compressed(bad, opcode: 1)).error?.code == .invalidPayload)
        #expect(read(compressed(bad, opcode: 2)).events == [.binary([0x61, 0xFF])])
    }

    // MARK: Bombs

    @Test func inflatedSizeIsLimitedExactly() throws {
        let payload = [UInt8](repeating: 0, count: 5000)
        let bytes = compressed(try PerMessageDeflate.compress(ByteBuffer(bytes: payload)).bytes)
        for step in [nil, 1] {
            #expect(read(bytes, step: step, maximumInflatedSize: 5000).events == [.binary(payload)])
            #expect(read(bytes, step: step, maximumInflatedSize: 4999).error?.code == .messageTooBig)
            #expect(read(bytes, step: step, maximumInflatedSize: 0).error?.code == .messageTooBig)
        }
    }

    @Test func theLimitHoldsOverFragments() throws {
        let half = try PerMessageDeflate.compress(ByteBuffer(repeating: 0, count: 600)).bytes + [0, 0, 0xFF, 0xFF]
        let bytes = compressed(half, final: false) + frame(0, half, mask: nil)
        #expect(read(bytes, maximumInflatedSize: 1000).error?.code == .messageTooBig)
    }

    /// A gigabyte of zeros in a megabyte, made by repeating the blocks of a smaller one, must stop at the limit.
    @Test func gigabyte() throws {
        let megabyte =
            try PerMessageDeflate.compress(ByteBuffer(repeating: 0, count: 1 << 20), level: 9).bytes + [
                0, 0, 0xFF, 0xFF,
            ]
        let bomb = [[UInt8]](repeating: megabyte, count: 1024).flatMap { $0 }
        var reader = WebSocketReader(
            role: .client, maximumFrameSize: 2 << 20, inflater: Inflater(), maximumInflatedSize: 1 << 20)
        var buffer = ByteBuffer(bytes: compressed(bomb))
        #expect(
            throws: WebSocketError(
                code: 1009, message: "A compressed message is larger than the limit of 1048576 bytes.")
        ) {
            try reader.next(from: &buffer)
        }
    }

    // MARK: Compression

    @Test(arguments: [0, 1, 2, 100, 249, 250, 251, 512, 5000, 32_768, 100_000], [1, 6, 9])
    func roundTrip(count: Int, level: Int) throws {
        var random = Repeatable(seed: UInt64(count))
        let noise = random.bytes(count)
        for payload in [noise, noise.map { $0 & 1 }, [UInt8](repeating: 0x20, count: count)] {
            for windowBits in 9...15 {
                let bytes = compressed(
                    try PerMessageDeflate.compress(ByteBuffer(bytes: payload), windowBits: windowBits, level: level)
                        .bytes)
                #expect(read(bytes).events == [.binary(payload)])
            }
        }
    }

    @Test func compressionCompresses() throws {
        let text = String(repeating: "{\"type\":1,\"target\":\"receive\",\"arguments\":[\"a\"]}\u{1E}", count: 20)
        #expect(try PerMessageDeflate.compress(ByteBuffer(string: text)).readableBytes < 100)
    }

    /// The window chosen by the payload's size must reach from its end to its start.
    @Test(arguments: [300, 700, 1500, 6000]) func smallWindowsReachAcrossThePayload(distance: Int) throws {
        var random = Repeatable(seed: UInt64(distance))
        let noise = random.bytes(distance + 200).map { $0 & 63 }
        let repeating = Array(noise.dropLast(100) + noise.prefix(100))
        let noiseSize = try PerMessageDeflate.compress(ByteBuffer(bytes: noise)).readableBytes
        let repeatingSize = try PerMessageDeflate.compress(ByteBuffer(bytes: repeating)).readableBytes
        #expect(repeatingSize < noiseSize - 40)
    }

    @Test func emptyMessageIsOneByte() throws { #expect(try PerMessageDeflate.compress(ByteBuffer()).bytes == [0x00]) }

    @Test(arguments: [(16, 6), (8, 6), (0, 6), (-1, 6), (15, 10), (15, -2)]) func badArguments(
        windowBits: Int, level: Int
    ) {
        #expect(throws: WebSocketError.self) {
            try PerMessageDeflate.compress(
                ByteBuffer(repeating: 1, count: 1 << 17), windowBits: windowBits, level: level)
        }
    }

    @Test(arguments: 0..<30) func compressedConversations(seed: UInt64) throws {
        var random = Repeatable(seed: seed)
        var bytes: [UInt8] = []
        var expected: [WebSocketEvent] = []
        for _ in 0..<10 {
            let payload = random.bytes(.random(in: 0...3000, using: &random)).map { $0 & 7 }
            expected.append(.binary(payload))
            var rest = try PerMessageDeflate.compress(ByteBuffer(bytes: payload)).bytes[...]
            var first = true
            repeat {
                let part = Array(rest.prefix(.random(in: 1...1000, using: &random)))
                rest = rest.dropFirst(part.count)
                bytes += frame(first ? 2 : 0, part, final: rest.isEmpty, reserved: first ? 4 : 0, mask: nil)
                first = false
            } while !rest.isEmpty
        }
        let read = read(bytes, step: .random(in: 1...500, using: &random))
        #expect(read.error == nil)
        #expect(read.events == expected)
    }
}

extension WebSocketEvent {
    fileprivate var isEnd: Bool { if case .data(_, _, endOfMessage: true) = self { true } else { false } }
}
