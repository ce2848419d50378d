// SignalBox: what is counted for each connection, however its messages reach it
// SPDX-License-Identifier: Apache-2.0

import NIOCore
import SignalR
import SignalRWire
import Testing

@Suite struct TrafficTests {
    private struct Counted {
        let client: HubClient
        let connection: Connection
        var before = Traffic()

        init(_ server: TestServer, _ wire: Wire, user: String) async throws {
            client = try await server.client(wire, query: "user=\(user)")
            let id = try await client.text("ConnectionID")
            connection = try #require(server.hub.registry.connection(named: id))
        }

        func traffic() async throws -> Traffic {
            try await connection.eventLoop.submit { [connection] in connection.traffic }.get()
        }

        /// Waits for a message that comes after all others.
        func hear(_ last: String) async throws {
            while try await client.next() != .call("Message", [.string(last)]) {}
        }
    }

    /// Lone messages go by the lanes of their receivers, several of one tick are joined, and some exclude somebody: each is counted once.
    @Test(arguments: Wire.all) func `Each receiver of a message counts it once`(wire: Wire) async throws {
        try await withServer {
            $0.userID = { _, request in request.query("user") }
        } _: { server in
            var clients: [Counted] = []
            for user in ["ann", "ann", "bob"] { clients.append(try await Counted(server, wire, user: user)) }
            for client in clients.prefix(2) { _ = try await client.client.invoke("Join", "room") }
            for index in clients.indices { clients[index].before = try await clients[index].traffic() }
            let hub = server.hub.context.clients
            var expected = [0, 0, 0]
            for round in 0..<3 {
                try await hub.all.send("Message", "all")
                try await hub.group("room").send("Message", "room")
                try await hub.user("bob").send("Message", "user")
                try await hub.allExcept([clients[0].connection.id.description]).send("Message", "others")
                try await hub.client(clients[1].connection.id.description).send("Message", "one")
                try await hub.all.send("Message", "round \(round)")
                for (index, count) in [3, 5, 4].enumerated() { expected[index] += count }
                for client in clients { try await client.hear("round \(round)") }
            }
            for (client, count) in zip(clients, expected) {
                let now = try await client.traffic()
                #expect(now.messagesOut - client.before.messagesOut == count)
                #expect(now.bytesOut - client.before.bytesOut > count * 20)
            }
            let sum = await server.hub.registry.collect { $0.traffic.messagesOut }.reduce(0, +)
            var own = 0
            for client in clients { own += try await client.traffic().messagesOut }
            #expect(sum == own)
        }
    }

    @Test func `A group that is left is counted no more`() async throws {
        try await withServer { server in
            let one = try await Counted(server, .webSocketJSON, user: "a")
            let hub = server.hub.context
            let id = one.connection.id.description
            try await hub.groups.add(id, to: "room")
            try await hub.clients.group("room").send("Message", "in")
            try await one.hear("in")
            let before = try await one.traffic().messagesOut
            try await hub.groups.remove(id, from: "room")
            #expect(try await one.traffic().messagesOut == before)
            try await hub.clients.group("room").send("Message", "out")
            try await hub.groups.add(id, to: "room")
            try await hub.clients.client(id).send("Message", "end")
            try await one.hear("end")
            #expect(try await one.traffic().messagesOut == before + 1)
        }
    }

    @Test func `Calls are counted, pings are not`() async throws {
        try await withServer { server in
            let one = try await Counted(server, .webSocketJSON, user: "a")
            let before = try await one.traffic()
            try await one.client.send(.ping)
            _ = try await one.client.invoke("ConnectionID")
            let now = try await one.traffic()
            #expect(now.messagesIn == before.messagesIn + 1)
            #expect(now.messagesOut == before.messagesOut + 1)
            #expect(now.bytesIn > before.bytesIn + 20)
        }
    }
}
