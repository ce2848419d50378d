// SignalBox: the opening handshake, RFC 6455 §4.2
// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import Testing
import _SignalRWebSocket

@Suite struct HandshakeTests {
    /// The request of RFC 6455 §1.3.
    private var request: HTTPRequest {
        HTTPRequest(
            method: .get, scheme: "http", authority: "server.example.com", path: "/chat",
            headerFields: [
                .upgrade: "websocket", .connection: "Upgrade",
                .secWebSocketKey: "dGhlIHNhbXBsZSBub25jZQ==", .secWebSocketVersion: "13",
            ])
    }

    @Test func acceptValueOfTheSpecification() {
        #expect(WebSocketHandshake.acceptValue(forKey: "dGhlIHNhbXBsZSBub25jZQ==") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
    }

    @Test func acceptsTheRequestOfTheSpecification() {
        #expect(WebSocketHandshake.isUpgrade(request))
        let headers: HTTPFields = [
            .upgrade: "websocket", .connection: "Upgrade", .secWebSocketAccept: "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
        ]
        #expect(WebSocketHandshake.accept(request, deflate: nil) == .accepted(headers: headers, deflate: nil))
    }

    @Test(arguments: ["keep-alive, Upgrade", "UPGRADE", " upgrade\t,x", "a,,uPgRaDe"])
    func connectionIsAListInAnyCase(value: String) {
        var request = request
        request.headerFields[.connection] = value
        request.headerFields[.upgrade] = "h2c, WebSocket"
        guard case .accepted = WebSocketHandshake.accept(request, deflate: nil) else {
            Issue.record("rejected: \(value)")
            return
        }
    }

    @Test func connectionOverTwoFields() {
        var request = request
        request.headerFields[values: .connection] = ["keep-alive", "Upgrade"]
        guard case .accepted = WebSocketHandshake.accept(request, deflate: nil) else {
            Issue.record("rejected")
            return
        }
    }

    @Test(arguments: ["websockets", "web socket", "WEBSOCKET2", "", "\u{17}ebsocket"])
    func otherUpgradesAreNotWebSockets(value: String) {
        var request = request
        request.headerFields[.upgrade] = value
        #expect(!WebSocketHandshake.isUpgrade(request))
        #expect(rejection(of: request)?.status == .badRequest)
    }

    @Test func plainRequestIsNoUpgrade() {
        var request = request
        request.headerFields[.upgrade] = nil
        #expect(!WebSocketHandshake.isUpgrade(request))
    }

    @Test(arguments: [
        nil, "", "dGhlIHNhbXBsZSBub25jZQ=", "dGhlIHNhbXBsZSBub25jZQ", "dGhlIHNhbXBsZSBub25jZQ===",
        "dGhlIHNhbXBsZSBub25j!Q==",
        "dGhlIHNhbXBsZSBub25jZQQ=", "dGhlIHNhbXBsZSBub25jZQ==, dGhlIHNhbXBsZSBub25jZQ==",
    ])
    func badKeys(key: String?) {
        var request = request
        request.headerFields[.secWebSocketKey] = key
        let rejection = rejection(of: request)
        #expect(rejection?.status == .badRequest)
        #expect(rejection?.message.contains("Sec-WebSocket-Key") == true)
    }

    @Test(arguments: [nil, "12", "8", "13, 13", ""]) func otherVersionsLearnOurs(version: String?) {
        var request = request
        request.headerFields[.secWebSocketVersion] = version
        let rejection = rejection(of: request)
        #expect(rejection?.status == .upgradeRequired)
        #expect(rejection?.headers[.secWebSocketVersion] == "13")
        #expect(rejection?.headers[.upgrade] == "websocket")
    }

    @Test func otherMethods() {
        var request = request
        request.method = .post
        #expect(rejection(of: request)?.status == .badRequest)
    }

    @Test func missingConnection() {
        var request = request
        request.headerFields[.connection] = "keep-alive"
        #expect(rejection(of: request)?.message.contains("Connection") == true)
    }

    @Test func answersAnOfferOfCompression() throws {
        var request = request
        request.headerFields[.secWebSocketExtensions] = "permessage-deflate; client_max_window_bits"
        let offer = try #require(PerMessageDeflate.Offer(request.headerFields))
        guard case .accepted(let headers, let parameters?) = WebSocketHandshake.accept(request, deflate: offer) else {
            Issue.record("not accepted with compression")
            return
        }
        #expect(headers[.secWebSocketExtensions] == parameters.headerValue)
        #expect(parameters.headerValue == "permessage-deflate; server_no_context_takeover; client_no_context_takeover")
    }

    private func rejection(
        of request: HTTPRequest
    ) -> (status: HTTPResponse.Status, headers: HTTPFields, message: String)? {
        guard case .rejected(let status, let headers, let message) = WebSocketHandshake.accept(request, deflate: nil)
        else {
            return nil
        }
        return (status, headers, message)
    }
}
