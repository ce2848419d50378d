// SignalBox: the opening handshake from the client's side, RFC 6455 §4.1
// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import NIOCore
import Testing
import _SignalRWebSocket

@Suite struct ClientHandshakeTests {
    /// RFC 6455 §1.3.
    private let handshake = WebSocketClientHandshake(key: "dGhlIHNhbXBsZSBub25jZQ==")
    private let accepted = """
        HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n
        """

    private func answer(_ text: String) throws -> WebSocketClientHandshake.Answer? {
        var bytes = ByteBuffer(string: text)
        return try handshake.answer(from: &bytes)
    }

    @Test func theRequestIsOneThatTheServerTakes() {
        let text = String(buffer: handshake.request(target: "/a?b", host: "h:1", headers: [.userAgent: "x"]))
        #expect(text.hasPrefix("GET /a?b HTTP/1.1\r\nHost: h:1\r\n") && text.hasSuffix("User-Agent: x\r\n\r\n"))
        let request = HTTPRequest(
            method: .get, scheme: nil, authority: nil, path: nil,
            headerFields: [
                .upgrade: "websocket", .connection: "Upgrade", .secWebSocketVersion: "13",
                .secWebSocketKey: WebSocketClientHandshake().key,
            ])
        guard case .accepted = WebSocketHandshake.accept(request, deflate: nil) else {
            Issue.record("refused")
            return
        }
        #expect(WebSocketClientHandshake().key != WebSocketClientHandshake().key)
    }

    @Test func whatFollowsTheAnswerStays() throws {
        var bytes = ByteBuffer(string: accepted + "frame")
        #expect(try handshake.answer(from: &bytes) == .accepted)
        #expect(String(buffer: bytes) == "frame")
    }

    @Test func anAnswerByteByByte() throws {
        var bytes = ByteBuffer()
        for byte in accepted.utf8.dropLast() {
            bytes.writeInteger(byte)
            #expect(try handshake.answer(from: &bytes) == nil)
        }
        bytes.writeInteger(UInt8(ascii: "\n"))
        #expect(try handshake.answer(from: &bytes) == .accepted)
    }

    @Test(arguments: [401, 403, 404, 307, 500])
    func refusals(status: Int) throws {
        #expect(try answer("HTTP/1.1 \(status) Reason\r\nContent-Length: 0\r\n\r\n") == .refused(status: status))
    }

    @Test(arguments: [
        "SSH-2.0-x\r\n\r\n", "HTTP/1.1\r\n\r\n", "HTTP/1.0 101 x\r\n\r\n", "HTTP/1.1 1010 x\r\n\r\n",
        "HTTP/1.1 101 x\r\n\r\n",
        "HTTP/1.1 101 x\r\nno colon\r\n\r\n", "HTTP/1.1 101 x\r\nbad name: x\r\n\r\n",
    ])
    func noAnswers(_ text: String) {
        #expect(throws: WebSocketError.self) { try answer(text) }
    }

    @Test(arguments: [
        ("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", "t3pPLMBiTxaQ9kYGzzhZRbK+xOo="), ("Upgrade: websocket", "Upgrade: h2c"),
        ("Connection: Upgrade", "Connection: close"), ("\r\n\r\n", "\r\nSec-WebSocket-Extensions: x\r\n\r\n"),
        ("\r\n\r\n", "\r\nSec-WebSocket-Protocol: x\r\n\r\n"),
    ])
    func answersToSomethingElse(_ part: String, _ other: String) {
        #expect(throws: WebSocketError.self) { try answer(accepted.replacing(part, with: other)) }
    }

    @Test func anEndlessHead() {
        #expect(throws: WebSocketError.self) { try answer(String(repeating: "x", count: 1 << 15)) }
        #expect(throws: Never.self) { try answer(String(repeating: "x", count: 1 << 10)) }
    }
}
