// SignalBox: a client of the service without a socket: long polling straight at the endpoint
// SPDX-License-Identifier: Apache-2.0

import Foundation
import HTTPTypes
import NIOCore
import NIOPosix
import SignalR
import SignalRWire
import Testing

@testable import SignalRService

let testKey = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789ABCDEFGH"

func makeService(_ change: (inout SignalBoxService.Options) -> Void = { _ in }) throws -> SignalBoxService {
    var options = SignalBoxService.Options(keys: AccessKeys(testKey))
    // Clients come without an app server here, unless a test brings one.
    options.mode = .classic
    options.connections.negotiateTimeout = .seconds(60)
    change(&options)
    return try SignalBoxService(options, eventLoopGroup: MultiThreadedEventLoopGroup.singleton)
}

extension SignalBoxService {
    /// A request of the client endpoint.
    func client(
        _ method: HTTPRequest.Method, _ query: String, token: String? = nil, isNegotiate: Bool = false,
        body: ByteBuffer = .init(),
        headers: HTTPFields = [:]
    ) async -> HubResponse {
        var headers = headers
        if let token { headers[.authorization] = "Bearer \(token)" }
        let request = HubRequest(
            method: method, path: "/client/" + (isNegotiate ? "negotiate" : ""), rawQuery: query, headers: headers,
            body: { _ in body })
        switch await door(for: request) {
        case .endpoint(let endpoint): return await endpoint.respond(to: request, isNegotiate: isNegotiate, host: nil)
        case .refusal(let refusal): return refusal
        }
    }

    /// A request of the REST API, with a token for it.
    func rest(
        _ method: HTTPRequest.Method, _ pathAndQuery: String, _ body: String = "", type: String? = "application/json",
        token: String? = nil
    ) async -> HubResponse {
        await rest(method, pathAndQuery, ByteBuffer(string: body), type: type, token: token)
    }

    func rest(
        _ method: HTTPRequest.Method, _ pathAndQuery: String, _ body: ByteBuffer, type: String?, token: String? = nil
    ) async -> HubResponse {
        let parts = pathAndQuery.split(separator: "?", maxSplits: 1)
        var headers: HTTPFields = [:]
        headers[.contentType] = type
        headers[.authorization] =
            "Bearer \(token ?? options.keys.restToken(path: String(parts[0]), endpoint: "http://localhost:8888"))"
        return await RestAPI(self).respond(
            to: HubRequest(
                method: method, path: String(parts[0]), rawQuery: parts.count > 1 ? String(parts[1]) : "",
                headers: headers,
                body: { limit in
                    guard body.readableBytes <= limit else { throw NIOTooManyBytesError(maxBytes: limit) }
                    return body
                }))
    }
}

/// A connected client.
struct PollingClient {
    let service: SignalBoxService
    let id: String
    private let query: String
    private let token: String

    /// Negotiates and shakes hands.
    init(
        _ service: SignalBoxService, hub: String = "chat", user: String? = nil, hubProtocol: String = "json",
        query: String = ""
    ) async throws {
        let token = service.options.keys.clientToken(hub: hub, user: user, endpoint: "http://localhost")
        let query = "hub=\(hub)" + query
        let negotiated = await service.client(.post, query + "&negotiateVersion=1", token: token, isNegotiate: true)
        #expect(negotiated.status == .ok)
        let answer = try JSON.value(from: negotiated.body)
        guard case .string(let id)? = answer["connectionId"], case .string(let secret)? = answer["connectionToken"]
        else {
            throw HubError("negotiate answered \(String(buffer: negotiated.body))")
        }
        self.service = service
        self.id = id
        self.query = query + "&id=\(secret)"
        self.token = token
        _ = await poll()
        try await send(#"{"protocol":"\#(hubProtocol)","version":1}"# + "\u{1e}")
        #expect(await text() == "{}\u{1e}")
    }

    func send(_ text: String) async throws {
        let response = await service.client(.post, query, token: token, body: ByteBuffer(string: text))
        #expect(response.status == .ok)
    }

    func send(_ message: HubMessage, _ codec: any HubCodec) async throws {
        var bytes = ByteBuffer()
        try codec.write(message, into: &bytes)
        await send(bytes)
    }

    func send(_ bytes: ByteBuffer) async {
        let response = await service.client(.post, query, token: token, body: bytes)
        #expect(response.status == .ok)
    }

    /// Leaves in order.
    func leave() async { _ = await service.client(.delete, query, token: token) }

    func poll() async -> HubResponse { await service.client(.get, query, token: token) }
    func text() async -> String { String(buffer: await poll().body) }

    /// What the client is told at the end. A poll that comes while the connection is closing may be told nothing yet.
    func lastWords() async -> String {
        for _ in 0..<1000 {
            let text = await text()
            guard text.isEmpty else { return text }
            await Task.yield()
        }
        return ""
    }
}
