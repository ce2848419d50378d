// SignalBox: who may connect, who may call what, and for how long
// SPDX-License-Identifier: Apache-2.0

import Foundation
import JWTKit
import NIOCore
import SignalR
import SignalRAuthentication
import SignalRWire
import Testing

/// Tokens are user ids; some are special.
private struct Door: HubAuthenticator {
    func authenticate(_ request: HubRequest) async throws -> HubUser? {
        switch request.bearerToken {
        case nil: nil
        case "forged": throw AuthenticationError("forged")
        case "brief"?: HubUser(id: "brief", expiration: Date().timeIntervalSince1970 + 4)
        case let name?: HubUser(id: name, claims: ["role": name == "root" ? "admin" : "user"])
        }
    }
}

@Suite struct AuthenticationTests {
    private func withDoor(
        _ change: (inout HubOptions) -> Void = { _ in }, _ body: @Sendable (TestServer) async throws -> Void
    ) async throws {
        try await withServer {
            $0.authenticator = Door()
            $0.requiresAuthentication = true
            change(&$0)
        } _: {
            try await body($0)
        }
    }

    private static func bearer(_ token: String) -> [(String, String)] { [("Authorization", "Bearer \(token)")] }

    @Test func `Every request needs a token`() async throws {
        try await withDoor { server in
            let id = try await server.negotiate(headers: Self.bearer("ann")).token
            let requests: [(String, String, [(String, String)])] = [
                ("POST", "/hub/negotiate", []), ("GET", "/hub?id=\(id)", []), ("POST", "/hub?id=\(id)", []),
                ("DELETE", "/hub?id=\(id)", []), ("GET", "/hub?id=\(id)", [("Accept", "text/event-stream")]),
                ("GET", "/hub?id=\(id)", WebSocketClient.handshake), ("GET", "/hub", WebSocketClient.handshake),
            ]
            for (method, target, headers) in requests {
                for token in [[], Self.bearer("forged")] {
                    let reply = try await server.request(method, target, headers: headers + token, body: "")
                    #expect(reply.status == 401, "\(method) \(target)")
                    #expect(reply.reason == "Unauthorized")
                    #expect(reply["www-authenticate"]?.hasPrefix("Bearer") == true)
                    #expect(reply.text.isEmpty)
                }
            }
        }
    }

    @Test(arguments: Wire.all)
    func `The token names the user`(wire: Wire) async throws {
        try await withDoor { server in
            let client = try await server.client(wire, headers: Self.bearer("ann"))
            #expect(try await client.invoke("UserID") == .result("1", "ann"))
        }
    }

    @Test(arguments: TransportKind.allCases)
    func `Browsers put the token into the query; a header wins`(kind: TransportKind) async throws {
        try await withDoor { server in
            let wire = Wire(transport: kind, hubProtocol: .json)
            let client = try await server.client(wire, query: "access_token=bob")
            #expect(try await client.invoke("UserID") == .result("1", "bob"))
            let both = try await server.client(wire, query: "access_token=bob", headers: Self.bearer("ann"))
            #expect(try await both.invoke("UserID") == .result("1", "ann"))
        }
    }

    @Test func `An endpoint's policy refuses with 403, or 401 for nobody`() async throws {
        try await withServer {
            $0.authenticator = Door()
            $0.authorize = { user, _ in user?.roles == ["admin"] }
        } _: { server in
            #expect(
                try await server.request("POST", "/hub/negotiate", headers: Self.bearer("ann"), body: "").status == 403)
            #expect(try await server.request("POST", "/hub/negotiate", body: "").status == 401)
            let upgrade = Self.bearer("ann") + WebSocketClient.handshake
            #expect(try await server.request("GET", "/hub", headers: upgrade).status == 403)
            let client = try await server.client(headers: Self.bearer("root"))
            #expect(try await client.invoke("UserID") == .result("1", "root"))
        }
    }

    @Test func `A method's policy refuses the call`() async throws {
        try await withDoor {
            $0.policies["admin"] = { $0.context.user?.roles == ["admin"] }
        } _: { server in
            let (ann, root) = (
                try await server.client(headers: Self.bearer("ann")),
                try await server.client(headers: Self.bearer("root"))
            )
            #expect(
                try await ann.invoke("Admin")
                    == .failure("1", "Failed to invoke 'Admin' because user is unauthorized"))
            try await ann.send(.call("Admin"))
            #expect(try await ann.invoke("AddTwo", 1, 2) == .result("1", 3))
            #expect(try await root.invoke("Admin") == .result("1", "welcome"))
        }
    }

    @Test func `A policy that nobody defined refuses everybody`() async throws {
        try await withDoor { server in
            let root = try await server.client(headers: Self.bearer("root"))
            #expect(
                try await root.invoke("Admin")
                    == .failure("1", "Failed to invoke 'Admin' because user is unauthorized"))
        }
    }

    @Test(arguments: [TransportKind.webSockets, .serverSentEvents])
    func `A connection ends with its token where the options say so`(kind: TransportKind) async throws {
        try await withDoor {
            $0.closeOnAuthenticationExpiration = true
        } _: { server in
            let client = try await server.client(
                Wire(transport: kind, hubProtocol: .json), headers: Self.bearer("brief"))
            #expect(try await client.next() == .close(allowReconnect: true))
            #expect(try await client.next() == nil)
            try await server.bulletin.wait(for: "disconnected in order")
        }
    }

    @Test func `Each poll renews the token`() async throws {
        try await withDoor {
            $0.closeOnAuthenticationExpiration = true
            $0.pollTimeout = .milliseconds(300)
            $0.keepAliveInterval = .seconds(1)
        } _: { server in
            let client = try await server.client(
                Wire(transport: .longPolling, hubProtocol: .json), headers: Self.bearer("brief"))
            // Polls with fresh tokens outlive the first one.
            let end = ContinuousClock.now + .seconds(7)
            let polls = try #require(client.transport as? LongPollingClient)
            while .now < end {
                let status = try await polls.polls.request("GET", polls.target, headers: Self.bearer("brief")).status
                try #require(status == 200)
            }
            #expect(server.bulletin.all == ["connected"])
        }
    }

    // MARK: JSON Web Tokens

    private struct Payload: JWTPayload {
        var sub: String
        var exp: Int
        var role: [String] = []
        var aud = "test"
        func verify(using algorithm: some JWTAlgorithm) async throws {}
    }

    private static let secret = "a secret of at least thirty-two characters"

    private func sign(_ payload: Payload, _ secret: String = secret) async throws -> String {
        try await JWTKeyCollection().add(hmac: HMACKey(from: secret), digestAlgorithm: .sha256).sign(payload)
    }

    @Test func `JSON Web Tokens`() async throws {
        var bearer = await JWTBearer(hs256: Self.secret)
        bearer.audiences = ["test"]
        try await withDoor { [bearer] options in
            options.authenticator = bearer
        } _: { server in
            let now = Int(Date().timeIntervalSince1970)
            let good = try await sign(Payload(sub: "ann", exp: now + 3600, role: ["admin"]))
            let client = try await server.client(query: "access_token=\(good)")
            #expect(try await client.invoke("UserID") == .result("1", "ann"))
            let bad = [
                try await sign(Payload(sub: "ann", exp: now - 3600)),
                try await sign(Payload(sub: "ann", exp: now + 3600, aud: "other")),
                try await sign(Payload(sub: "ann", exp: now + 3600), "another secret of thirty-two characters"),
                String(good.dropLast(3)), "x.y.z", "",
            ]
            for token in bad {
                let reply = try await server.request("POST", "/hub/negotiate", headers: Self.bearer(token), body: "")
                #expect(reply.status == 401)
            }
        }
    }
}
