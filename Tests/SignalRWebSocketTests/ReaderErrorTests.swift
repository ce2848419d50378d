// SignalBox: what a WebSocket peer may not do, and the close code it gets, RFC 6455 §5, §7.4.1 and §8.1
// SPDX-License-Identifier: Apache-2.0

import NIOCore
import Testing

@testable import _SignalRWebSocket

@Suite struct ReaderErrorTests {
    struct Violation: CustomTestStringConvertible, Sendable {
        var testDescription: String
        var bytes: [UInt8]
        var code: WebSocketCloseCode
        var role = WebSocketReader.Role.server

        init(_ name: String, _ code: WebSocketCloseCode, role: WebSocketReader.Role = .server, _ bytes: [UInt8]) {
            self.testDescription = name
            self.bytes = bytes
            self.code = code
            self.role = role
        }
    }

    static let violations: [Violation] =
        [
            Violation("unmasked frame of a client", 1002, frame(1, Array("x".utf8), mask: nil)),
            Violation("masked frame of a server", 1002, role: .client, frame(1, "x")),
            Violation("RSV1 without an extension", 1002, frame(1, [], reserved: 4)),
            Violation("RSV2", 1002, frame(1, [], reserved: 2)),
            Violation("RSV3", 1002, frame(2, [], reserved: 1)),
            Violation("RSV1 on a ping", 1002, frame(9, [], reserved: 4)),
            Violation("fragmented ping", 1002, frame(9, "", final: false)),
            Violation("fragmented close", 1002, frame(8, "", final: false)),
            Violation("ping of 126 bytes", 1002, frame(9, [UInt8](repeating: 0, count: 126))),
            Violation("close of 126 bytes", 1002, frame(8, [3, 0xE8] + [UInt8](repeating: 0x61, count: 124))),
            Violation("continuation of nothing", 1002, frame(0, "x")),
            Violation("unfinished continuation of nothing", 1002, frame(0, "x", final: false)),
            Violation("continuation after the end", 1002, frame(1, "x") + frame(0, "y")),
            Violation("text within a message", 1002, frame(1, "x", final: false) + frame(1, "y")),
            Violation("binary within a message", 1002, frame(1, "x", final: false) + frame(2, "y")),
            Violation("16-bit length of 125", 1002, [0x82, 0xFE, 0x00, 0x7D]),
            Violation("64-bit length of 65535", 1002, [0x82, 0xFF, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF]),
            Violation("negative length", 1002, [0x82, 0xFF, 0x80, 0, 0, 0, 0, 0, 0, 0]),
            Violation("length of -1", 1002, [0x82, 0xFF] + [UInt8](repeating: 0xFF, count: 8)),
            Violation("largest length", 1009, [0x82, 0xFF, 0x7F] + [UInt8](repeating: 0xFF, count: 7)),
            Violation("one byte too many, before any came", 1009, [0x82, 0xFF, 0, 0, 0, 0, 0, 0x10, 0, 1]),
            Violation("close of 1 byte", 1002, frame(8, [3])),
            Violation("close with invalid UTF-8", 1007, frame(8, [3, 0xE8, 0xC3])),
            Violation("invalid UTF-8", 1007, frame(1, [0x61, 0xFF])),
            Violation("unfinished UTF-8", 1007, frame(1, [0x61, 0xE2, 0x82])),
            Violation("unfinished UTF-8 over fragments", 1007, frame(1, [0xE2], final: false) + frame(0, [0x82])),
            Violation(
                "invalid UTF-8 over fragments", 1007, frame(1, [0xED], final: false) + frame(0, [0xA0], final: false)),
            Violation(
                "invalid UTF-8 in a frame that has not ended", 1007, Array(frame(1, [0xC0, 0x80, 0x61]).dropLast(2))),
        ] + [3, 4, 5, 6, 7, 11, 12, 13, 14, 15].map { Violation("opcode \($0)", 1002, frame($0, "")) }

    @Test(arguments: violations) func ends(violation: Violation) {
        for step in [nil, 1, 3] {
            let read = Transcript(violation.bytes, role: violation.role, step: step)
            #expect(read.error?.code == violation.code)
            #expect(read.error?.message.isEmpty == false)
        }
    }

    @Test func theLimitItselfIsAllowed() {
        let payload = [UInt8](repeating: 0x61, count: 200)
        #expect(Transcript(frame(2, payload), maximumFrameSize: 200).events == [.binary(payload)])
        #expect(Transcript(frame(2, payload), maximumFrameSize: 199).error?.code == .messageTooBig)
    }

    @Test func binaryNeedNotBeUTF8() { #expect(Transcript(frame(2, [0xFF, 0xC0])).error == nil) }

    @Test func charactersMaySpanFragmentsAndControlFrames() {
        let bytes =
            frame(1, [0xF0, 0x9F], final: false) + frame(9, "") + frame(0, [0x98], final: false) + frame(0, [0x80])
        let read = Transcript(bytes)
        #expect(read.error == nil)
        #expect(read.events.count == 3)
    }

    @Test func theNextTextStartsAfresh() {
        #expect(Transcript(frame(1, "é") + frame(1, [0xA9])).error?.code == .invalidPayload)
    }

    @Test func badStartIsSeenInTwoBytes() {
        #expect(Transcript([0x83, 0x80]).error?.code == .protocolError)
        #expect(Transcript([0x81, 0x05]).error?.code == .protocolError)
    }
}
