// SignalBox: the status, headers and body of every misuse of the HTTP surface
// SPDX-License-Identifier: Apache-2.0

import NIOCore
import SignalR
import SignalRWire
import Testing

@Suite struct StatusMatrixTests {
    /// A request that gets no connection, and its answer.
    struct Misuse: Sendable, CustomStringConvertible {
        var method: String
        var target: String
        var headers: [(String, String)] = []
        var status: Int
        var body = ""
        var contentType: String? = "text/plain"

        var description: String { "\(method) \(target) \(headers.first?.0 ?? "")" }
    }

    private static let events = [("Accept", "text/event-stream")]
    private static let unknown = "/hub?id=AAAAAAAAAAAAAAAAAAAAAA"

    private static let misuses: [Misuse] =
        [
            Misuse(method: "PUT", target: "/hub", status: 405),
            Misuse(method: "PATCH", target: "/hub?id=x", status: 405),
            Misuse(method: "GET", target: "/hub/negotiate", status: 405),
            Misuse(method: "DELETE", target: "/hub/negotiate", status: 405),
        ]
        + [
            ("GET", []), ("GET", events), ("POST", []), ("DELETE", []),
        ].flatMap { method, headers in
            [
                Misuse(method: method, target: "/hub", headers: headers, status: 400, body: "Connection ID required"),
                Misuse(
                    method: method, target: "/hub?id=", headers: headers, status: 400, body: "Connection ID required"),
                Misuse(
                    method: method, target: unknown, headers: headers, status: 404, body: "No Connection with that ID"),
                Misuse(
                    method: method, target: "/hub?ID=zzz", headers: headers, status: 404,
                    body: "No Connection with that ID"),
            ]
        } + [
            Misuse(
                method: "GET", target: unknown, headers: WebSocketClient.handshake, status: 404,
                body: "No Connection with that ID", contentType: nil)
        ]

    @Test(arguments: misuses)
    func `Requests that name no connection`(misuse: Misuse) async throws {
        try await withServer { server in
            let reply = try await server.request(misuse.method, misuse.target, headers: misuse.headers, body: "")
            #expect(reply.status == misuse.status)
            #expect(reply.text == misuse.body)
            #expect(reply["content-type"] == misuse.contentType)
            if misuse.method == "GET", misuse.contentType != nil { expectUncached(reply) }
        }
    }

    private func expectUncached(_ reply: Reply, sourceLocation: SourceLocation = #_sourceLocation) {
        #expect(reply["cache-control"] == "no-cache, no-store", sourceLocation: sourceLocation)
        #expect(reply["pragma"] == "no-cache", sourceLocation: sourceLocation)
        #expect(reply["expires"] == "Thu, 01 Jan 1970 00:00:00 GMT", sourceLocation: sourceLocation)
    }

    @Test(arguments: TransportKind.allCases)
    func `A transport that is switched off`(kind: TransportKind) async throws {
        try await withServer {
            $0.transports = TransportKind.allCases.filter { $0 != kind }
        } _: { server in
            let id = try await server.negotiate().token
            let reply = try await server.request("GET", "/hub?id=\(id)", headers: Self.headers(of: kind))
            #expect(reply.status == 404)
            #expect(reply.text == "\(kind.rawValue) transport not supported by this end point type")
        }
    }

    private static func headers(of kind: TransportKind) -> [(String, String)] {
        switch kind {
        case .webSockets: WebSocketClient.handshake
        case .serverSentEvents: events
        case .longPolling: []
        }
    }

    @Test(arguments: TransportKind.allCases, TransportKind.allCases)
    func `A second transport on one connection`(first: TransportKind, second: TransportKind) async throws {
        try await withServer { server in
            let id = try await server.negotiate().token
            let transport = try await open(first, on: server, id)
            if first == .longPolling, second == .longPolling { return }
            let reply = try await server.request("GET", "/hub?id=\(id)", headers: Self.headers(of: second))
            #expect(reply["content-type"] == "text/plain")
            #expect(reply.status == (first == second ? 409 : 400))
            #expect(reply.text == (first == second ? "" : "Cannot change transports mid-connection"))
            // The first one does not mind.
            let client = HubClient(transport, .json)
            #expect(try await client.handshake(.json) == "{}")
        }
    }

    private func open(_ kind: TransportKind, on server: TestServer, _ id: String) async throws -> any ClientTransport {
        switch kind {
        case .webSockets: try await WebSocketClient(server, "/hub?id=\(id)")
        case .serverSentEvents: try await EventStreamClient(server, "/hub?id=\(id)", headers: [])
        case .longPolling: try await LongPollingClient(server, "/hub?id=\(id)", headers: [])
        }
    }

    @Test func `POST is for the transports that need it`() async throws {
        try await withServer { server in
            let id = try await server.negotiate().token
            _ = try await open(.webSockets, on: server, id)
            let reply = try await server.request("POST", "/hub?id=\(id)", body: "x")
            #expect(reply.status == 405)
            #expect(reply["content-type"] == "text/plain")
            #expect(reply.text == "POST requests are not allowed for WebSocket connections.")
        }
    }

    @Test(arguments: [TransportKind.webSockets, .serverSentEvents])
    func `DELETE is for long polling only`(kind: TransportKind) async throws {
        try await withServer { server in
            let id = try await server.negotiate().token
            _ = try await open(kind, on: server, id)
            let reply = try await server.request("DELETE", "/hub?id=\(id)")
            #expect(reply.status == 400)
            #expect(reply.text == "Cannot terminate this connection using the DELETE endpoint.")
        }
    }

    @Test func `The head of an event stream`() async throws {
        try await withServer { server in
            let id = try await server.negotiate().token
            let socket = try await server.connect()
            try await socket.write(Socket.request("GET", "/hub?id=\(id)", headers: Self.events))
            let head = try await socket.head()
            #expect(head.status == 200)
            #expect(head["content-type"] == "text/event-stream")
            // The socket ends with the stream, so nobody may keep it for the next request.
            #expect(head["connection"] == "close")
            #expect(head["cache-control"] == "no-cache,no-store")
            #expect(head["pragma"] == "no-cache")
            #expect(head["content-encoding"] == "identity")
            #expect(head["content-length"] == nil)
            #expect(try await socket.chunk() == ByteBuffer(string: ":\r\n"))
        }
    }

    @Test func `A WebSocket without an id needs no negotiate`() async throws {
        try await withServer { server in
            let client = HubClient(try await WebSocketClient(server, "/hub"), .json)
            #expect(try await client.handshake(.json) == "{}")
            #expect(try await client.invoke("AddTwo", 1, 2) == .result("1", 3))
        }
    }

    private static let badUpgrades: [(change: String, value: String?, status: Int)] = [
        ("Sec-WebSocket-Version", "12", 426), ("Sec-WebSocket-Version", nil, 426), ("Sec-WebSocket-Key", nil, 400),
        ("Sec-WebSocket-Key", "short", 400), ("Connection", "keep-alive", 400),
    ]

    @Test(arguments: badUpgrades)
    func `An upgrade that is none`(change: String, value: String?, status: Int) async throws {
        try await withServer { server in
            let others = WebSocketClient.handshake.filter { $0.0 != change }
            let headers = others + (value.map { [(change, $0)] } ?? [])
            let id = try await server.negotiate().token
            for target in ["/hub", "/hub?id=\(id)"] {
                #expect(try await server.request("GET", target, headers: headers).status == status)
            }
            // The entry is still there for a proper one.
            _ = try await WebSocketClient(server, "/hub?id=\(id)")
        }
    }

    @Test func `Queries and paths`() async throws {
        try await withServer { server in
            let id = try await server.negotiate().token
            let client = HubClient(try await WebSocketClient(server, "/hub?_=123&Id=\(id)&more"), .json)
            #expect(try await client.handshake(.json) == "{}")
            #expect(try await server.request("POST", "/hub/negotiate/", body: "").status == 200)
        }
    }
}
