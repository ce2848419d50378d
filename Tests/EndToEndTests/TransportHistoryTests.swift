// SignalBox: what a connection of ASP.NET Core knows of its transports, over real sockets
// SPDX-License-Identifier: Apache-2.0

import SignalRWire
import Testing

@testable import SignalR

@Suite struct TransportHistoryEndToEndTests {
    private func history(_ server: TestServer, _ id: String?) async throws -> TransportHistory {
        try await #require(server.hub.registry.connection(named: id ?? "")).readTransportHistory()
    }

    @Test func `A refused transport is in the history of the one that the client went on to`() async throws {
        try await withServer {
            $0.transports = [.serverSentEvents, .longPolling]
        } _: { server in
            let negotiated = try await server.negotiate()
            let target = "/hub?id=\(negotiated.token)"
            let refused = try await server.request("GET", target, headers: WebSocketClient.handshake)
            #expect(refused.status == 404)
            let client = HubClient(try await LongPollingClient(server, target, headers: []), .json)
            #expect(try await client.handshake(.json) == "{}")
            #expect(
                try await history(server, negotiated.connectionId).description
                    == "longPolling, after webSockets (refused with status 404), serverSentEvents (offered, and not asked for)"
            )
        }
    }

    @Test func `Who does not negotiate was offered nothing`() async throws {
        try await withServer { server in
            let client = HubClient(try await WebSocketClient(server, "/hub"), .json)
            #expect(try await client.handshake(.json) == "{}")
            let connection = try #require(await server.hub.registry.connections(in: .all).first)
            #expect(await connection.readTransportHistory().description == "webSockets")
        }
    }

    @Test func `A stateful client's sockets follow each other`() async throws {
        var app = TestApp()
        app.options.allowStatefulReconnects = true
        try await app.run { server in
            let client = try await StatefulClient(server)
            try await client.drop()
            try await client.reconnect()
            #expect(try await client.next() == .sequence(1))
            let history = try await history(server, client.connectionID)
            #expect(history.current == .webSockets)
            #expect(history.interruption == nil)
            #expect(history.earlier.map(\.transport) == [.webSockets])
        }
    }
}
