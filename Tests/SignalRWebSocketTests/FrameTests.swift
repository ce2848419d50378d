// SignalBox: frames written, RFC 6455 §5.2
// SPDX-License-Identifier: Apache-2.0

import NIOCore
import Testing

@testable import _SignalRWebSocket

@Suite struct FrameTests {
    @Test func examplesOfTheSpecification() {
        var out = ByteBuffer()
        WebSocketFrame.write(opcode: .text, payload: ByteBuffer(string: "Hello"), into: &out)
        #expect(out.bytes == [0x81, 0x05, 0x48, 0x65, 0x6C, 0x6C, 0x6F])
        out.clear()
        WebSocketFrame.write(opcode: .text, payload: ByteBuffer(string: "Hello"), mask: 0x37FA_213D, into: &out)
        #expect(out.bytes == [0x81, 0x85, 0x37, 0xFA, 0x21, 0x3D, 0x7F, 0x9F, 0x4D, 0x51, 0x58])
        out.clear()
        WebSocketFrame.write(opcode: .text, payload: ByteBuffer(string: "Hel"), final: false, into: &out)
        #expect(out.bytes == [0x01, 0x03, 0x48, 0x65, 0x6C])
    }

    @Test(arguments: [0, 1, 125, 126, 127, 255, 65_535, 65_536, 70_000], [nil, 0xDEAD_BEEF] as [UInt32?])
    func likeByHand(count: Int, mask: UInt32?) {
        var random = Repeatable(seed: UInt64(count))
        let payload = random.bytes(count)
        var out = ByteBuffer()
        WebSocketFrame.write(opcode: .binary, payload: ByteBuffer(bytes: payload), mask: mask, into: &out)
        let maskBytes = mask.map { mask in (0..<4).map { UInt8(truncatingIfNeeded: mask >> (24 - 8 * $0)) } }
        #expect(out.bytes == frame(2, payload, mask: maskBytes))
    }

    @Test func compressedFramesHaveRSV1() {
        var out = ByteBuffer()
        WebSocketFrame.header(opcode: .text, payloadLength: 3, compressed: true, into: &out)
        #expect(out.bytes == [0xC1, 0x03])
    }

    @Test func maskingLeavesThePayloadAlone() {
        let payload = ByteBuffer(string: "shared by many receivers")
        var out = ByteBuffer()
        WebSocketFrame.write(opcode: .text, payload: payload, mask: 0x0102_0304, into: &out)
        #expect(payload == ByteBuffer(string: "shared by many receivers"))
    }

    @Test func emptyPing() {
        #expect(Transcript(WebSocketFrame.emptyPing.bytes, role: .client).events == [.ping(ByteBuffer())])
    }

    @Test(arguments: 0..<40, 0...9) func masksInPieces(count: Int, cut: Int) {
        var random = Repeatable(seed: UInt64(count))
        let plain = random.bytes(count)
        let key: [UInt8] = [0x37, 0xFA, 0x21, 0x3D]
        var masked = plain
        var mask = WebSocketMask(0x37FA_213D)
        masked.withUnsafeMutableBytes { bytes in
            mask.apply(to: .init(rebasing: bytes.prefix(cut)))
            mask.apply(to: .init(rebasing: bytes.dropFirst(cut)))
        }
        #expect(masked == plain.enumerated().map { $1 ^ key[$0 % 4] })
    }

    // MARK: Close

    @Test func close() {
        #expect(WebSocketFrame.close(code: 1000).bytes == [0x88, 0x02, 0x03, 0xE8])
        #expect(WebSocketFrame.close(code: nil).bytes == [0x88, 0x00])
        let frame = WebSocketFrame.close(code: .goingAway, reason: "restart", mask: 0x0102_0304)
        #expect(Transcript(frame.bytes).events == [.close(code: .goingAway, reason: "restart")])
    }

    @Test func longReasonsAreCutBetweenCharacters() {
        let fits = String(repeating: "a", count: 123)
        #expect(reason(of: fits) == fits)
        #expect(reason(of: fits + "b") == fits)
        #expect(reason(of: String(repeating: "a", count: 122) + "é") == String(repeating: "a", count: 122))
        #expect(reason(of: String(repeating: "✓", count: 42)) == String(repeating: "✓", count: 41))
        // A flag is one character of eight bytes.
        #expect(reason(of: String(repeating: "🇩🇪", count: 20)) == String(repeating: "🇩🇪", count: 15))
        #expect(reason(of: "e" + String(repeating: "\u{301}", count: 100)) == "")
    }

    private func reason(of text: String) -> String? {
        guard
            case .close(_, let reason)? = Transcript(
                WebSocketFrame.close(code: 1000, reason: text).bytes, role: .client
            ).events.first
        else { return nil }
        return reason
    }
}
