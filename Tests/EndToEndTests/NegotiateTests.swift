// SignalBox: what negotiate promises, for every version and option
// SPDX-License-Identifier: Apache-2.0

import SignalR
import Testing

@Suite struct NegotiateTests {
    private static let all = [
        Negotiated.Transport(transport: "WebSockets", transferFormats: ["Text", "Binary"]),
        .init(transport: "ServerSentEvents", transferFormats: ["Text"]),
        .init(transport: "LongPolling", transferFormats: ["Text", "Binary"]),
    ]

    @Test func `Version 1 keeps the token apart from the public id`() async throws {
        try await withServer { server in
            let answer = try await server.negotiate()
            #expect(answer.negotiateVersion == 1)
            #expect(answer.availableTransports == Self.all)
            #expect(answer.connectionId?.utf8.count == 22)
            #expect(answer.connectionToken?.utf8.count == 22)
            #expect(answer.connectionId != answer.connectionToken)
            #expect(answer.useStatefulReconnect == nil)
        }
    }

    @Test(arguments: ["", "negotiateVersion=0", "NEGOTIATEVERSION=0"])
    func `Version 0 has one id`(query: String) async throws {
        try await withServer { server in
            let answer = try await server.negotiate(query: query)
            #expect(answer.negotiateVersion == 0)
            #expect(answer.connectionToken == nil)
            let client = HubClient(
                try await WebSocketClient(server, "/hub?id=\(answer.connectionId ?? "")"), .json)
            #expect(try await client.handshake(.json) == "{}")
            #expect(try await client.text("ConnectionID") == answer.connectionId)
        }
    }

    @Test func `A newer version gets the newest known`() async throws {
        try await withServer { server in
            let answer = try await server.negotiate(query: "negotiateVersion=7")
            #expect(answer.negotiateVersion == 1)
        }
    }

    @Test func `A version that is no number is an error`() async throws {
        try await withServer { server in
            let answer = try await server.negotiate(query: "negotiateVersion=one")
            #expect(answer.error == "The client requested a non-integer protocol version.")
            #expect(answer.connectionId == nil)
        }
    }

    @Test(arguments: ["negotiateVersion=0", ""])
    func `A version below the minimum is an error`(query: String) async throws {
        try await withServer {
            $0.minimumNegotiateVersion = 1
        } _: { server in
            let answer = try await server.negotiate(query: query)
            #expect(
                answer.error
                    == "The client requested version '0', but the server does not support this version.")
        }
    }

    @Test func `Only the transports of the options are offered`() async throws {
        try await withServer {
            $0.transports = [.longPolling]
        } _: { server in
            let answer = try await server.negotiate()
            #expect(answer.availableTransports == [Self.all[2]])
        }
    }

    @Test func `Stateful reconnect is granted to those who ask, where it is allowed`() async throws {
        try await withServer {
            $0.allowStatefulReconnects = true
        } _: { server in
            for (wish, answer) in [("=true", true), ("=True", true), ("=false", nil), ("=1", nil), ("", nil)] {
                let query = "negotiateVersion=1&useStatefulReconnect\(wish)"
                let negotiated = try await server.negotiate(query: query)
                #expect(negotiated.useStatefulReconnect == answer)
            }
        }
        try await withServer { server in
            let query = "negotiateVersion=1&useStatefulReconnect=true"
            let answer = try await server.negotiate(query: query)
            #expect(answer.useStatefulReconnect == nil)
        }
    }

    @Test func `Connections that nobody opens are bounded`() async throws {
        try await withServer {
            $0.maximumPendingConnections = 3
        } _: { server in
            for _ in 0..<3 {
                let answer = try await server.negotiate()
                #expect(answer.error == nil)
            }
            let answer = try await server.negotiate()
            #expect(answer.error == "The server has too many connections that were negotiated and not opened.")
            #expect(answer.connectionId == nil)
        }
    }

    @Test func `Connections that nobody opens go away`() async throws {
        try await withServer {
            $0.maximumPendingConnections = 1
            $0.negotiateTimeout = .seconds(1)
        } _: { server in
            let token = try await server.negotiate().token
            try await until { try await server.negotiate().error == nil }
            let reply = try await server.request("GET", "/hub?id=\(token)")
            #expect(reply.status == 404)
        }
    }
}
