// SignalBox: starting, losing, coming back: lifetimes, groups and replay of classic clients
// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import NIOCore
import NIOEmbedded
import SignalR
import SignalRClassic
import SignalRWire
import Testing

@Suite(.timeLimit(.minutes(1))) struct ClassicLifetimeTests {
    @Test func `Hubs hear of a client when it says start, once`() async throws {
        let stage = try Stage()
        let client = try await MemoryClient(stage.endpoint, user: "ann")
        let socket = try await client.stream("webSockets")
        _ = try await socket.initial()
        try await client.start()
        try await client.start()
        #expect(await stage.diary.next() == "connected ann")
        _ = await client.request("abort", "webSockets", post: "")
        #expect(await stage.diary.next() == "disconnected cleanly")
    }

    @Test(arguments: [nil, "1.3"] as [String?])
    func `Older clients are connected when connect is`(version: String?) async throws {
        let stage = try Stage()
        let client = try await MemoryClient(stage.endpoint, version: version)
        let socket = try await client.stream("webSockets")
        let first = try #require(try await socket.initial())
        #expect(first["S"] == 1)
        // What hubs send while they hear of a client is for the client, too.
        #expect(first["M"] == [call("ChatHub", "welcome")])
        #expect(await stage.diary.next() == "connected -")
    }

    @Test func `A client that never says start is heard nevertheless`() async throws {
        let stage = try Stage()
        let client = try await MemoryClient(stage.endpoint, version: "1.5")
        let socket = try await client.stream("webSockets")
        _ = try await socket.initial()
        try await stage.chat.context.clients.all.send("receive", "early")
        #expect(try await socket.messages() == [call("ChatHub", "receive", "early")])
        try await socket.send(#"{"H":"ChatHub","M":"add","A":[1,2],"I":0}"#)
        try await socket.send(#"{"H":"ChatHub","M":"add","A":[2,2],"I":1}"#)
        #expect(try await socket.messages() == [call("ChatHub", "welcome")])
        #expect(try await socket.next() == #"{"R":3,"I":"0"}"#)
        #expect(try await socket.next() == #"{"R":4,"I":"1"}"#)
        #expect(await stage.diary.next() == "connected -")
    }

    @Test func `A hub that refuses fails the start and ends the client`() async throws {
        let stage = try Stage()
        let client = try await MemoryClient(stage.endpoint)
        let socket = try await client.stream("webSockets", "connect", [("refused", "1")])
        _ = try await socket.initial()
        let response = await client.request("start", "webSockets")
        #expect(response.status == .internalServerError)
        let last = try await socket.next()
        #expect(last?.hasPrefix(#"{"E":"Connection closed with an error. HubException: not you"#) == true)
    }

    @Test func `A lost socket ends nothing until the disconnect timeout`() async throws {
        let stage = try Stage()
        let client = try await MemoryClient(stage.endpoint)
        let socket = try await client.connected()
        #expect(await stage.diary.next() == "connected -")
        try await socket.lose()
        await client.pass(seconds: 34)
        #expect(await stage.chat.context.presence.count() == 1)
        await client.pass(seconds: 4)
        #expect(await stage.diary.next() == "disconnected uncleanly")
    }

    @Test func `Abort is seen when the socket is gone already`() async throws {
        let stage = try Stage()
        let client = try await MemoryClient(stage.endpoint)
        let socket = try await client.connected()
        #expect(await stage.diary.next() == "connected -")
        try await socket.lose()
        _ = await client.request("abort", "webSockets")
        #expect(await stage.diary.next() == "disconnected cleanly")
        #expect(await client.request("abort", "webSockets").status == .ok)
    }

    /// Clients before 2.4 take the end for a loss, and a poll may have been on its way.
    @Test func `Nobody comes back whom server code ended`() async throws {
        let stage = try Stage()
        let client = try await MemoryClient(stage.endpoint)
        let socket = try await client.connected()
        #expect(await stage.diary.next() == "connected -")
        #expect(await stage.chat.context.presence.disconnect(.connections([client.id])) == 1)
        #expect(await stage.diary.next() == "disconnected uncleanly")
        #expect(await client.request("poll", "longPolling", post: "").status == .notFound)
        #expect(await client.request("reconnect", "longPolling", post: "").status == .notFound)
        #expect(await client.request("send", "longPolling", post: "data=%7B%7D").status == .notFound)
        _ = socket
    }

    @Test func `Whoever reconnects is heard of, also when nobody knows it`() async throws {
        let stage = try Stage()
        let client = try await MemoryClient(stage.endpoint)
        _ = try await client.stream("webSockets", "reconnect", [("messageId", "d-0-A,1")])
        #expect(await stage.diary.next() == "reconnected")
        _ = await client.request("abort", "webSockets")
        #expect(await stage.diary.next() == "disconnected cleanly")
    }
}

@Suite(.timeLimit(.minutes(1))) struct ReplayTests {
    private func send(_ stage: Stage, _ numbers: Range<Int>) async throws {
        for number in numbers { try await stage.chat.context.clients.all.send("receive", number) }
    }

    private func numbers(_ stream: MemoryStream, _ count: Int) async throws -> [Int64] {
        var heard: [Int64] = []
        while heard.count < count {
            for message in try await stream.messages() {
                guard case .array(let values)? = message["A"], case .int(let number)? = values.first else {
                    heard.append(-1)
                    continue
                }
                heard.append(number)
            }
        }
        return heard
    }

    @Test(arguments: ["webSockets", "serverSentEvents"])
    func `Nothing is lost inside of the buffer`(transport: String) async throws {
        let stage = try Stage()
        let client = try await MemoryClient(stage.endpoint)
        let first = try await client.connected(transport)
        try await send(stage, 0..<5)
        #expect(try await numbers(first, 5) == [0, 1, 2, 3, 4])
        try await first.lose()
        try await send(stage, 5..<900)
        let again = try await client.stream(transport, "reconnect", [("messageId", first.cursor)])
        if transport != "webSockets" { _ = try await again.next() }
        try await send(stage, 900..<905)
        #expect(try await numbers(again, 900) == Array(5..<905))
    }

    @Test func `An older cursor brings messages again`() async throws {
        let stage = try Stage()
        let client = try await MemoryClient(stage.endpoint)
        let first = try await client.connected()
        let start = first.cursor
        try await send(stage, 0..<3)
        #expect(try await numbers(first, 3) == [0, 1, 2])
        let again = try await client.stream("webSockets", "reconnect", [("messageId", start)])
        #expect(try await numbers(again, 3) == [0, 1, 2])
    }

    @Test func `What fell out of the buffer is admitted`() async throws {
        let stage = try Stage { $0.messageBufferSize = 32 }
        let client = try await MemoryClient(stage.endpoint)
        let first = try await client.connected()
        try await first.lose()
        try await send(stage, 0..<40)
        let again = try await client.stream("webSockets", "reconnect", [("messageId", first.cursor)])
        let frame = try #require(try await again.frame())
        guard case .array(let messages)? = frame["M"] else {
            Issue.record("no messages")
            return
        }
        #expect(messages.first == call("ChatHub", "messagesMissed"))
        #expect(messages.dropFirst().count == 32)
        #expect(messages.last == call("ChatHub", "receive", 39))
    }

    @Test func `A slow client costs no memory, and hears of what it missed, each time`() async throws {
        let stage = try Stage { $0.messageBufferSize = 32 }
        let client = try await MemoryClient(stage.endpoint)
        let socket = try await client.connected()
        for round in 1...2 {
            try await socket.setWritable(false)
            try await send(stage, 0..<40)
            try await socket.setWritable(true)
            let frame = try #require(try await socket.frame())
            guard case .array(let messages)? = frame["M"] else {
                Issue.record("no messages")
                return
            }
            #expect(messages.first == call("ChatHub", "messagesMissed"), "\(round)")
            #expect(messages.count == 33)
            try await send(stage, 0..<1)
            #expect(try await socket.messages() == [call("ChatHub", "receive", 0)])
        }
    }

    @Test func `Bytes are bounded, too`() async throws {
        let stage = try Stage { $0.messageBufferBytes = 10_000 }
        let client = try await MemoryClient(stage.endpoint)
        let first = try await client.connected()
        try await first.lose()
        let text = String(repeating: "x", count: 1_000)
        for _ in 0..<20 { try await stage.chat.context.clients.all.send("receive", text) }
        let again = try await client.stream("webSockets", "reconnect", [("messageId", first.cursor)])
        let frame = try #require(try await again.frame())
        guard case .array(let messages)? = frame["M"] else {
            Issue.record("no messages")
            return
        }
        #expect(messages.first == call("ChatHub", "messagesMissed"))
        #expect((5..<10).contains(messages.count - 1))
    }

    @Test func `A cursor of another process begins here and now, and says so`() async throws {
        let stage = try Stage()
        let client = try await MemoryClient(stage.endpoint)
        try await send(stage, 0..<3)
        let stream = try await client.stream("webSockets", "reconnect", [("messageId", "d-0-A,1")])
        #expect(try await stream.messages() == [call("ChatHub", "messagesMissed")])
        try await send(stage, 3..<4)
        #expect(try await numbers(stream, 1) == [3])
    }

    @Test func `Others do not hear their own, neither now nor later`() async throws {
        let stage = try Stage()
        let (ann, bob) = (try await MemoryClient(stage.endpoint), try await MemoryClient(stage.endpoint))
        let (annsSocket, bobsSocket) = (try await ann.connected(), try await bob.connected())
        try await annsSocket.send(#"{"H":"chathub","M":"sendToOthers","A":["x"],"I":0}"#)
        #expect(try await annsSocket.next() == #"{"I":"0"}"#)
        #expect(try await bobsSocket.messages() == [call("ChatHub", "receive", "x")])
        let again = try await ann.stream("webSockets", "reconnect", [("messageId", annsSocket.cursor)])
        try await stage.chat.context.clients.all.send("receive", "y")
        #expect(try await again.messages() == [call("ChatHub", "receive", "y")])
    }

    @Test func `Messages for one client and for a user are kept as well`() async throws {
        let stage = try Stage()
        let client = try await MemoryClient(stage.endpoint, user: "ann")
        let first = try await client.connected()
        try await stage.chat.context.clients.client(client.id).send("receive", 0)
        #expect(try await numbers(first, 1) == [0])
        try await first.lose()
        try await stage.chat.context.clients.client(client.id).send("receive", 1)
        try await stage.chat.context.clients.user("ann").send("receive", 2)
        let again = try await client.stream("webSockets", "reconnect", [("messageId", first.cursor)])
        #expect(try await numbers(again, 2) == [1, 2])
    }

    @Test func `Groups come with a token, and a new server takes it`() async throws {
        let stage = try Stage()
        let client = try await MemoryClient(stage.endpoint)
        let first = try await client.connected()
        try await first.send(#"{"H":"chathub","M":"join","A":["room"],"I":0}"#)
        while first.groups == nil { _ = try await first.frame() }
        let token = try #require(first.groups)
        try await stage.chat.context.clients.group("room").send("receive", 1)
        #expect(try await numbers(first, 1) == [1])

        // The same keys, no memory.
        let restarted = try Stage()
        let moved = MovedClient(client, to: restarted)
        let again = try await moved.reconnect([("messageId", first.cursor), ("groupsToken", token)])
        let frame = try #require(try await again.frame())
        #expect(frame["G"] != nil)
        try await restarted.chat.context.clients.group("room").send("receive", 2)
        var heard: [HubValue] = []
        while !heard.contains(call("ChatHub", "receive", 2)) { heard += try await again.messages() }
        #expect(await restarted.chat.context.presence.groups() == ["room": 1])
    }

    @Test func `Without a token a new server knows no groups, and a stranger's is not taken`() async throws {
        let stage = try Stage()
        let client = try await MemoryClient(stage.endpoint)
        let first = try await client.connected()
        try await first.send(#"{"H":"chathub","M":"join","A":["room"],"I":0}"#)
        while first.groups == nil { _ = try await first.frame() }
        let stranger = try await MemoryClient(stage.endpoint)
        _ = try await stranger.stream("webSockets", "reconnect", [("groupsToken", try #require(first.groups))])
        await stranger.loop.run()
        #expect(await stage.chat.context.presence.groups() == ["room": 1])
    }

    @Test func `Leaving is told, too, and an empty set is a set`() async throws {
        let stage = try Stage()
        let client = try await MemoryClient(stage.endpoint)
        let socket = try await client.connected()
        try await socket.send(#"{"H":"chathub","M":"join","A":["room"],"I":0}"#)
        while socket.groups == nil { _ = try await socket.frame() }
        let token = socket.groups
        try await socket.send(#"{"H":"chathub","M":"leave","A":["room"],"I":1}"#)
        while socket.groups == token { _ = try await socket.frame() }
        #expect(await stage.chat.context.presence.groups() == [:])
    }
}

/// A client whose server was replaced by one with the same keys.
private struct MovedClient {
    let client: MemoryClient
    let stage: Stage

    init(_ client: MemoryClient, to stage: Stage) {
        self.client = client
        self.stage = stage
    }

    func reconnect(_ query: [(String, String)]) async throws -> MemoryStream {
        try await self.client.stream("webSockets", "reconnect", query, to: self.stage.endpoint)
    }
}
