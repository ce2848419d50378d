// SignalBox: who receives a send: all, others, single clients, groups, users
// SPDX-License-Identifier: Apache-2.0

import SignalR
import SignalRWire
import Testing

@Suite struct TargetTests {
    /// Four clients, one on every transport and one more.
    private struct Room: Sendable {
        let server: TestServer
        var clients: [HubClient] = []
        var ids: [String] = []

        init(_ server: TestServer) async throws {
            self.server = server
            let wires = [Wire.webSocketJSON] + [Wire.all[1], Wire.all[2], Wire.all[3]]
            for (index, wire) in wires.enumerated() {
                clients.append(try await server.client(wire, query: "user=\(index < 2 ? "ann" : "bob\(index)")"))
                ids.append(try await clients[index].text("ConnectionID"))
            }
        }

        /// The first client calls `target`; exactly these clients get the message, `times` over.
        func expect(
            _ target: String, _ names: HubValue..., reaches receivers: [Int], times: Int = 1,
            sourceLocation: SourceLocation = #_sourceLocation
        ) async throws {
            try await clients[0].send(.call(target, names + ["hi"]))
            // A marker for everybody shows who got nothing before it.
            try await clients[0].send(.call("ToAll", ["mark"]))
            for (index, client) in clients.enumerated() {
                var heard: [HubMessage?] = []
                repeat { heard.append(try await client.next()) } while heard.last != .call("Message", ["mark"])
                let hi: HubMessage? = .call("Message", ["hi"])
                let expected = Array(repeating: hi, count: receivers.contains(index) ? times : 0)
                #expect(heard.dropLast() == expected[...], "client \(index)", sourceLocation: sourceLocation)
            }
        }

        func join(_ group: String, _ members: Int...) async throws {
            for member in members {
                #expect(try await clients[member].invoke("Join", .string(group)) == .result("1", .null))
            }
        }
    }

    private func withRoom(_ body: @Sendable (Room) async throws -> Void) async throws {
        try await withServer {
            $0.userID = { _, request in request.query("user") }
        } _: { server in
            try await body(Room(server))
        }
    }

    @Test func `All, others, caller`() async throws {
        try await withRoom { room in
            try await room.expect("ToAll", reaches: [0, 1, 2, 3])
            try await room.expect("ToOthers", reaches: [1, 2, 3])
            try await room.expect("ToCaller", reaches: [0])
        }
    }

    @Test func `Clients by id`() async throws {
        try await withRoom { room in
            let ids = room.ids.map { HubValue.string($0) }
            try await room.expect("ToClient", ids[2], reaches: [2])
            try await room.expect("ToClients", ids[1], ids[3], reaches: [1, 3])
            try await room.expect("ToClients", ids[1], ids[1], reaches: [1])
            try await room.expect("ToAllExcept", ids[1], reaches: [0, 2, 3])
            try await room.expect("ToClient", "nobody", reaches: [])
            try await room.expect("ToAllExcept", "nobody", reaches: [0, 1, 2, 3])
        }
    }

    @Test func `Groups`() async throws {
        try await withRoom { room in
            try await room.join("red", 0, 1, 2)
            try await room.join("blue", 2, 3)
            try await room.expect("ToGroup", "red", reaches: [0, 1, 2])
            try await room.expect("ToGroup", "Red", reaches: [])
            try await room.expect("ToOthersInGroup", "red", reaches: [1, 2])
            try await room.expect("ToGroupExcept", "red", .string(room.ids[1]), reaches: [0, 2])
            try await room.expect("ToGroup", "nobody", reaches: [])
            // Joining again changes nothing; leaving does, and leaving again does not.
            try await room.join("red", 1)
            try await room.expect("ToGroup", "red", reaches: [0, 1, 2])
            for _ in 0..<2 { _ = try await room.clients[1].invoke("Leave", "red") }
            try await room.expect("ToGroup", "red", reaches: [0, 2])
            #expect(await room.server.hub.context.presence.groups() == ["red": 2, "blue": 2])
        }
    }

    @Test func `A member of two groups gets what is sent to both twice`() async throws {
        try await withRoom { room in
            try await room.join("red", 2)
            try await room.join("blue", 2)
            try await room.expect("ToGroups", "red", "blue", reaches: [2], times: 2)
        }
    }

    @Test func `Users, on all of their connections`() async throws {
        try await withRoom { room in
            try await room.expect("ToUser", "ann", reaches: [0, 1])
            try await room.expect("ToUsers", "ann", "bob3", reaches: [0, 1, 3])
            try await room.expect("ToUser", "Ann", reaches: [])
            #expect(await room.server.hub.context.presence.users() == ["ann": 2, "bob2": 1, "bob3": 1])
        }
    }

    @Test func `A group without a name is an error`() async throws {
        try await withRoom { room in
            let answer = try await room.clients[0].invoke("ToGroup", "", "hi")
            #expect(
                answer
                    == .failure(
                        "1",
                        "An unexpected error occurred invoking 'ToGroup' on the server. "
                            + "HubException: Cannot send to an empty group name."))
        }
    }

    @Test func `Who leaves is in no group any more`() async throws {
        try await withRoom { room in
            try await room.join("red", 0, 1)
            room.clients[1].transport.drop()
            try await room.server.bulletin.wait(for: "disconnected transport_failed")
            // The hub was told first; its clean-up follows on the same event loop.
            try await room.clients[0].send(.call("ToGroup", ["red", "hi"]))
            #expect(try await room.clients[0].next() == .call("Message", ["hi"]))
            let presence = room.server.hub.context.presence
            try await until { await presence.count() == 3 }
            #expect(await presence.groups() == ["red": 1])
            #expect(await presence.users()["ann"] == 1)
        }
    }

    @Test func `Code outside of hubs sends, manages groups and sees who is here`() async throws {
        try await withRoom { room in
            let hub = room.server.hub.context
            try await hub.groups.add(room.ids[3], to: "green")
            try await hub.groups.add("nobody", to: "green")
            try await hub.clients.group("green").send("Message", "from outside")
            #expect(try await room.clients[3].next() == .call("Message", ["from outside"]))
            let members = await hub.presence.members(of: .groups(["green"]))
            let member = try #require(members.first)
            #expect(members.count == 1)
            #expect(member.connectionID == room.ids[3])
            #expect(member.userID == "bob3")
            #expect(member.transport == .longPolling)
            #expect(await hub.presence.count(of: .users(["ann", "bob2"])) == 3)
            #expect(await hub.presence.isConnected(.connections([room.ids[0]])))
            try await hub.groups.remove(room.ids[3], from: "green")
            #expect(await hub.presence.count(of: .groups(["green"])) == 0)
        }
    }

    @Test func `Code outside of hubs disconnects a user with a reason`() async throws {
        try await withRoom { room in
            #expect(await room.server.hub.context.presence.disconnect(.users(["ann"]), reason: "be gone") == 2)
            for client in room.clients[0...1] {
                let last = try await client.next()
                #expect(last == .close(error: "be gone"))
                #expect(try await client.next() == nil)
            }
            let answer = try await room.clients[2].invoke("AddTwo", 1, 2)
            #expect(answer == .result("1", 3))
        }
    }
}
