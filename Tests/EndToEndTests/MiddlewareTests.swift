// SignalBox: the app's own middleware around the hub's routes, upgrades included
// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import Hummingbird
import SignalR
import SignalRWire
import Testing

/// Marks every response and turns away who asks for it.
private struct Mark: RouterMiddleware {
    typealias Context = BasicRequestContext

    func handle(
        _ request: Request, context: Context, next: (Request, Context) async throws -> Response
    ) async throws -> Response {
        guard request.headers[.turnAway] == nil else { return Response(status: .unauthorized) }
        var response = try await next(request, context)
        if let status = request.headers[.override].flatMap({ Int($0) }) { response.status = .init(code: status) }
        response.headers[.mark] = "seen"
        return response
    }
}

extension HTTPField.Name {
    fileprivate static let turnAway = Self("X-Turn-Away") ?? .authorization
    fileprivate static let override = Self("X-Override") ?? .authorization
    fileprivate static let mark = Self("X-Mark") ?? .authorization
}

@Suite struct MiddlewareTests {
    private func withMark(_ body: @Sendable (TestServer) async throws -> Void) async throws {
        var app = TestApp()
        app.middleware = { $0.add(middleware: Mark()) }
        try await app.run(body)
    }

    @Test func `It sees negotiate and every transport`() async throws {
        try await withMark { server in
            #expect(try await server.request("POST", "/hub/negotiate", body: "")["x-mark"] == "seen")
            let socket = try await WebSocketClient(server, "/hub")
            #expect(socket.upgrade.status == 101)
            #expect(socket.upgrade["x-mark"] == "seen")
            let id = try await server.negotiate().token
            let events = try await server.connect()
            try await events.write(Socket.request("GET", "/hub?id=\(id)", headers: [("Accept", "text/event-stream")]))
            #expect(try await events.head()["x-mark"] == "seen")
        }
    }

    @Test func `It turns away before and after the hub`() async throws {
        try await withMark { server in
            let away = [("X-Turn-Away", "yes")]
            #expect(try await server.request("POST", "/hub/negotiate", headers: away, body: "").status == 401)
            #expect(try await server.request("GET", "/hub", headers: away + WebSocketClient.handshake).status == 401)
            // The hub said 101, the middleware thinks better of it: no upgrade.
            let override = [("X-Override", "403")] + WebSocketClient.handshake
            let refused = try await server.connect()
            #expect(try await refused.request("GET", "/hub", headers: override).status == 403)
            #expect(server.bulletin.all.isEmpty)
            let client = try await server.client()
            #expect(try await client.invoke("AddTwo", 1, 2) == .result("1", 3))
        }
    }
}
