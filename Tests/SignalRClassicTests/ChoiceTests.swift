// SignalBox: which transport a classic client has, what it tried before, and why it changed
// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import NIOEmbedded
import SignalR
import SignalRClassic
import Testing

@Suite(.timeLimit(.minutes(1))) struct ChoiceTests {
    private func transports(_ stage: Stage) async throws -> TransportHistory {
        try #require(await stage.server.clients().first).transports
    }

    @Test func `A transport that is off is refused by name, and is in the history of the next`() async throws {
        let stage = try Stage { $0.transports = [.serverSentEvents, .longPolling] }
        let client = try await MemoryClient(stage.endpoint)
        let refusal = await client.request("connect", "webSockets")
        #expect(refusal.status == .badRequest)
        #expect(
            refusal.text
                == "The transport webSockets is switched off; this server has serverSentEvents, longPolling.")
        let stream = try await client.stream("serverSentEvents")
        _ = try await stream.initial()
        #expect(
            try await transports(stage).description == "serverSentEvents, after webSockets (refused with status 400)")
    }

    @Test func `What a client's own list leaves out was not asked for`() async throws {
        let stage = try Stage()
        let client = try await MemoryClient(stage.endpoint)
        let poll = try await client.poll("connect")
        _ = await poll.body()
        let history = try await transports(stage)
        #expect(history.current == .longPolling)
        #expect(history.earlier.map(\.transport) == [.webSockets, .serverSentEvents, .foreverFrame])
        #expect(history.earlier.allSatisfy { $0.outcome == .notRequested })
        // The next poll is no change.
        let next = try await client.poll("poll")
        try await next.begun()
        #expect(try await transports(stage) == history)
    }

    @Test func `A lost socket and a closed one are told apart, on the hub's side, too`() async throws {
        let stage = try Stage()
        let client = try await MemoryClient(stage.endpoint)
        let socket = try await client.connected()
        try await socket.lose()
        #expect(try await transports(stage).interruption == .lost("connection lost"))
        let again = try await client.stream("webSockets", "reconnect", [("messageId", socket.cursor)])
        try await again.sendClose()
        #expect(try await transports(stage).interruption == .closed(code: 1001))
        _ = try await client.stream("serverSentEvents", "reconnect", [("messageId", socket.cursor)])
        let history = try await transports(stage)
        #expect(history.current == .serverSentEvents)
        #expect(history.earlier.map(\.outcome) == [.lost("connection lost"), .closed(code: 1001)])
        let seat = try #require(await stage.chat.registry.connections(in: .all).first)
        #expect(await seat.readTransportHistory() == history)
    }

    @Test func `A refusal of a client that is there is noted as well`() async throws {
        let stage = try Stage { $0.transports = [.webSockets] }
        let client = try await MemoryClient(stage.endpoint)
        _ = try await client.connected()
        #expect(await client.request("connect", "foreverFrame", [("frameId", "1")]).status == .badRequest)
        await client.loop.run()
        let history = try await transports(stage)
        #expect(history.current == .webSockets)
        #expect(history.earlier.map(\.transport) == [.foreverFrame])
    }
}
