// SignalBox: browsers on other origins
// SPDX-License-Identifier: Apache-2.0

import SignalR
import Testing

@Suite struct CrossOriginTests {
    private static let origin = "https://app.example"
    private static func from(_ origin: String) -> [(String, String)] { [("Origin", origin)] }

    private func withOrigins(_ body: @Sendable (TestServer) async throws -> Void) async throws {
        try await withServer {
            $0.cors = CrossOrigin([Self.origin], allowedHeaders: ["x-app"])
        } _: {
            try await body($0)
        }
    }

    @Test func `An allowed origin is named, with credentials`() async throws {
        try await withOrigins { server in
            let replies = [
                try await server.request("POST", "/hub/negotiate", headers: Self.from(Self.origin), body: ""),
                try await server.request("POST", "/hub?id=none", headers: Self.from(Self.origin), body: ""),
            ]
            for reply in replies {
                #expect(reply["access-control-allow-origin"] == Self.origin)
                #expect(reply["access-control-allow-credentials"] == "true")
                #expect(reply["vary"] == "Origin")
            }
        }
    }

    @Test func `A preflight tells what is allowed`() async throws {
        try await withOrigins { server in
            let headers =
                Self.from(Self.origin) + [
                    ("Access-Control-Request-Method", "POST"),
                    ("Access-Control-Request-Headers", "x-signalr-user-agent"),
                ]
            for path in ["/hub", "/hub/negotiate"] {
                let reply = try await server.request("OPTIONS", path, headers: headers)
                #expect(reply.status == 204)
                #expect(reply["access-control-allow-origin"] == Self.origin)
                #expect(reply["access-control-allow-credentials"] == "true")
                let methods = reply["access-control-allow-methods"] ?? ""
                for method in ["GET", "POST", "DELETE"] { #expect(methods.contains(method)) }
                let allowed = Set((reply["access-control-allow-headers"] ?? "").split(separator: ", ").map(String.init))
                #expect(
                    allowed.isSuperset(of: [
                        "authorization", "content-type", "x-requested-with", "x-signalr-user-agent", "x-app",
                    ]))
            }
        }
    }

    @Test func `Other origins get nothing, WebSockets included`() async throws {
        try await withOrigins { server in
            let other = Self.from("https://evil.example")
            for (method, target, headers) in [
                ("POST", "/hub/negotiate", []), ("OPTIONS", "/hub", []), ("GET", "/hub", WebSocketClient.handshake),
            ] {
                let reply = try await server.request(method, target, headers: other + headers, body: "")
                #expect(reply.status == 403)
                #expect(reply["access-control-allow-origin"] == nil)
            }
        }
    }

    @Test func `Clients without an origin are no browsers`() async throws {
        try await withOrigins { server in
            let reply = try await server.request("POST", "/hub/negotiate", body: "")
            #expect(reply.status == 200)
            #expect(reply["access-control-allow-origin"] == nil)
        }
    }

    @Test func `A star echoes the origin`() async throws {
        try await withServer {
            $0.cors = CrossOrigin(["*"])
        } _: { server in
            let reply = try await server.request(
                "POST", "/hub/negotiate", headers: Self.from("https://any.example"), body: "")
            #expect(reply["access-control-allow-origin"] == "https://any.example")
        }
    }

    @Test func `An event stream names the origin too`() async throws {
        try await withOrigins { server in
            let id = try await server.negotiate().token
            let socket = try await server.connect()
            try await socket.write(
                Socket.request(
                    "GET", "/hub?id=\(id)", headers: Self.from(Self.origin) + [("Accept", "text/event-stream")]))
            #expect(try await socket.head()["access-control-allow-origin"] == Self.origin)
        }
    }
}
