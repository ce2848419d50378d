// SignalBox: frames read one by one, RFC 6455 §5
// SPDX-License-Identifier: Apache-2.0

import NIOCore
import Testing

@testable import _SignalRWebSocket

@Suite struct ReaderTests {
    // MARK: The examples of RFC 6455 §5.7

    @Test func unmaskedText() {
        let read = Transcript([0x81, 0x05, 0x48, 0x65, 0x6C, 0x6C, 0x6F], role: .client)
        #expect(read.events == [.text("Hello")])
    }

    @Test func maskedText() {
        let read = Transcript([0x81, 0x85, 0x37, 0xFA, 0x21, 0x3D, 0x7F, 0x9F, 0x4D, 0x51, 0x58])
        #expect(read.events == [.text("Hello")])
        #expect(read.leftOver == 0)
    }

    @Test func fragmentedText() {
        let read = Transcript([0x01, 0x03, 0x48, 0x65, 0x6C, 0x80, 0x02, 0x6C, 0x6F], role: .client)
        #expect(read.events == [.text("Hello")])
    }

    @Test func pingAndPong() {
        let ping = Transcript([0x89, 0x05, 0x48, 0x65, 0x6C, 0x6C, 0x6F], role: .client)
        #expect(ping.events == [.ping(ByteBuffer(string: "Hello"))])
        let pong = Transcript([0x8A, 0x85, 0x37, 0xFA, 0x21, 0x3D, 0x7F, 0x9F, 0x4D, 0x51, 0x58])
        #expect(pong.events == [.pong(ByteBuffer(string: "Hello"))])
    }

    @Test(arguments: [256, 65_536]) func binaryInLongForms(count: Int) {
        let payload = [UInt8](repeating: 7, count: count)
        let header: [UInt8] = count == 256 ? [0x82, 0x7E, 0x01, 0x00] : [0x82, 0x7F, 0, 0, 0, 0, 0, 1, 0, 0]
        #expect(Transcript(header + payload, role: .client).events == [.binary(payload)])
    }

    // MARK: Messages

    @Test(arguments: [0, 1, 7, 8, 9, 125, 126, 127, 65_535, 65_536]) func everyFormOfLength(count: Int) {
        var random = Repeatable(seed: UInt64(count))
        let payload = random.bytes(count)
        #expect(Transcript(frame(2, payload)).events == [.binary(payload)])
        #expect(Transcript(frame(2, payload, mask: nil), role: .client).events == [.binary(payload)])
    }

    @Test func controlFramesBetweenFragments() {
        let bytes =
            frame(1, "Hel", final: false) + frame(9, "?") + frame(0, "", final: false) + frame(10, "!") + frame(0, "lo")
        #expect(
            Transcript(bytes).events == [
                .data(ByteBuffer(string: "Hel"), kind: .text, endOfMessage: false), .ping(ByteBuffer(string: "?")),
                .pong(ByteBuffer(string: "!")), .text("lo"),
            ])
    }

    @Test func emptyFragments() {
        let bytes = frame(2, "", final: false) + frame(0, "", final: false) + frame(0, "") + frame(1, "x")
        #expect(Transcript(bytes).events == [.binary([]), .text("x")])
    }

    @Test func payloadIsToldBeforeTheFrameIsComplete() throws {
        var reader = WebSocketReader(role: .server, maximumFrameSize: 100, maximumInflatedSize: 0)
        var buffer = ByteBuffer(bytes: frame(2, [1, 2, 3, 4]).dropLast())
        #expect(
            try reader.next(from: &buffer) == .data(ByteBuffer(bytes: [1, 2, 3]), kind: .binary, endOfMessage: false))
        #expect(try reader.next(from: &buffer) == nil)
        #expect(buffer.readableBytes == 0)
    }

    @Test func partialHeadersAndControlFramesWait() {
        #expect(Transcript(Array(frame(1, "Hello").prefix(5))).leftOver == 5)
        let ping = Array(frame(9, "Hello").dropLast())
        #expect(Transcript(ping).leftOver == ping.count)
        #expect(Transcript(ping).events.isEmpty)
    }

    @Test func heldEventsAreNotChangedByLaterOnes() throws {
        var reader = WebSocketReader(role: .server, maximumFrameSize: 100, maximumInflatedSize: 0)
        let input = ByteBuffer(bytes: frame(1, "one") + frame(1, "two") + frame(1, "three"))
        var buffer = input
        var held: [WebSocketEvent] = []
        while let event = try reader.next(from: &buffer) { held.append(event) }
        #expect(held == [.text("one"), .text("two"), .text("three")])
        #expect(input.bytes == frame(1, "one") + frame(1, "two") + frame(1, "three"))
    }

    @Test func aBufferNobodyElseHoldsIsUnmaskedInPlace() throws {
        var reader = WebSocketReader(role: .server, maximumFrameSize: 100, maximumInflatedSize: 0)
        var buffer = ByteBuffer(bytes: frame(1, "Hello"))
        let start = buffer.withUnsafeReadableBytes { UInt(bitPattern: $0.baseAddress) }
        guard case .data(let piece, _, _)? = try reader.next(from: &buffer) else {
            Issue.record("no event")
            return
        }
        // Behind the header of 2 bytes and the mask of 4.
        #expect(piece.withUnsafeReadableBytes { UInt(bitPattern: $0.baseAddress) } == start + 6)
    }

    // MARK: Close

    @Test func closeWithCodeAndReason() {
        let read = Transcript(frame(8, [0x03, 0xE8] + Array("bye ✓".utf8)))
        #expect(read.events == [.close(code: .normal, reason: "bye ✓")])
    }

    @Test func emptyClose() { #expect(Transcript(frame(8, "")).events == [.close(code: nil, reason: "")]) }

    @Test func whatFollowsACloseIsDropped() {
        let read = Transcript(frame(8, "") + frame(1, "late") + [0xFF, 0xFF])
        #expect(read == Transcript(frame(8, "")))
        #expect(read.leftOver == 0)
    }

    @Test(
        arguments: [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1014, 3000, 3999, 4000, 4999]
            as [UInt16])
    func validCodes(code: UInt16) {
        let read = Transcript(frame(8, [UInt8(code >> 8), UInt8(code & 0xFF)]))
        #expect(read.events == [.close(code: WebSocketCloseCode(rawValue: code), reason: "")])
    }

    @Test(arguments: [0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535] as [UInt16])
    func invalidCodes(code: UInt16) {
        let read = Transcript(frame(8, [UInt8(code >> 8), UInt8(code & 0xFF)]))
        #expect(read.error?.code == .protocolError)
        #expect(read.events.isEmpty)
    }

    // MARK: Size

    @Test func aReaderIsSmall() { #expect(MemoryLayout<WebSocketReader>.stride <= 64) }
}
