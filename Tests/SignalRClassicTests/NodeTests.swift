// SignalBox: a classic client that loses one node and goes on at another
// SPDX-License-Identifier: Apache-2.0

import NIOCore
import NIOEmbedded
import SignalR
import SignalRWire
import Testing

@testable import SignalRClassic

/// Two nodes of one hub, which share keys and a backplane.
private struct Farm {
    let a: Stage
    let b: Stage

    init(_ change: (inout ClassicOptions) -> Void = { _ in }) throws {
        let (broker, news) = (Broker(), Broker())
        self.a = try Stage(change, chat: broker.join, news: news.join)
        self.b = try Stage(change, chat: broker.join, news: news.join)
    }

    /// A client of node A, on an event loop that node B knows as well.
    func client(data: String? = Stage.chatData, user: String? = nil) async throws -> MemoryClient {
        let client = try await MemoryClient(a.endpoint, data: data, user: user)
        let resident = try await MemoryClient(b.endpoint, data: data, on: client.loop)
        _ = try await resident.connected()
        return client
    }

    /// The client goes to node B, with what it knows.
    func move(
        _ client: MemoryClient, _ cursor: String, groups: String? = nil, over transport: String = "webSockets"
    ) async throws -> MemoryStream {
        let more = groups.map { [("groupsToken", $0)] } ?? []
        return try await client.stream(
            transport, "reconnect", [("messageId", Self.fromAnotherProcess(cursor))] + more, to: b.endpoint)
    }

    /// Both nodes are in this process, so what tells processes apart is exchanged in the cursor.
    static func fromAnotherProcess(_ cursor: String) -> String {
        "d-1-" + cursor.split(separator: "-", maxSplits: 2)[2]
    }
}

@Suite(.timeLimit(.minutes(1))) struct NodeTests {
    private func say(_ numbers: Range<Int>, at stage: Stage) async throws {
        for number in numbers { try await stage.chat.context.clients.all.send("receive", number) }
    }

    private func hear(_ stream: MemoryStream, _ count: Int) async throws -> [HubValue] {
        var heard: [HubValue] = []
        while heard.count < count {
            let messages = try await stream.messages()
            if messages.isEmpty { break }
            heard += messages
        }
        return heard
    }

    private func received(_ numbers: some Sequence<Int>) -> [HubValue] {
        numbers.map { call("ChatHub", "receive", .int(Int64($0))) }
    }

    @Test func `What the other node kept is replayed, in order, and once`() async throws {
        let farm = try Farm()
        let client = try await farm.client()
        let first = try await client.connected()
        try await say(0..<3, at: farm.a)
        #expect(try await hear(first, 3) == received(0..<3))
        try await first.lose()
        // Sent at either node; kept at both.
        try await say(3..<50, at: farm.a)
        try await say(50..<100, at: farm.b)
        let again = try await farm.move(client, first.cursor)
        #expect(try await hear(again, 97) == received(3..<100))
        try await say(100..<101, at: farm.a)
        #expect(try await hear(again, 1) == received(100..<101))
    }

    @Test func `Groups, users and the client itself are topics on every node`() async throws {
        let farm = try Farm()
        let client = try await farm.client(user: "ann")
        let first = try await client.connected()
        try await first.send(#"{"H":"chathub","M":"join","A":["room"],"I":0}"#)
        while first.groups == nil { _ = try await first.frame() }
        let cursor = first.cursor
        try await first.lose()
        let clients = farm.a.chat.context.clients
        try await clients.group("room").send("receive", 1)
        try await clients.user("ann").send("receive", 2)
        try await clients.client(client.id).send("receive", 3)
        try await clients.group("other").send("receive", 4)
        try await clients.user("bob").send("receive", 5)
        try await clients.allExcept([client.id]).send("receive", 6)
        try await clients.all.send("receive", 7)
        let again = try await farm.move(client, cursor, groups: first.groups)
        #expect(try await hear(again, 4) == received([1, 2, 3, 7]))
    }

    @Test func `There and back again`() async throws {
        let farm = try Farm()
        let client = try await farm.client()
        let first = try await client.connected()
        try await say(0..<1, at: farm.a)
        #expect(try await hear(first, 1) == received(0..<1))
        try await first.lose()
        try await say(1..<2, at: farm.a)
        let second = try await farm.move(client, first.cursor)
        #expect(try await hear(second, 1) == received(1..<2))
        try await second.lose()
        try await say(2..<4, at: farm.b)
        // Node A still knows the client, and what B told it.
        let third = try await client.stream(
            "serverSentEvents", "reconnect", [("messageId", Farm.fromAnotherProcess(second.cursor))])
        _ = try await third.next()
        #expect(try await hear(third, 2) == received(2..<4))
    }

    @Test func `Several hubs have a place each`() async throws {
        let farm = try Farm()
        let client = try await farm.client(data: #"[{"name":"chathub"},{"name":"newshub"}]"#)
        let first = try await client.connected()
        try await say(0..<1, at: farm.a)
        #expect(try await hear(first, 1) == received(0..<1))
        try await farm.a.news.context.clients.all.send("news", "early")
        #expect(try await hear(first, 1) == [call("NewsHub", "news", "early")])
        try await first.lose()
        try await farm.b.news.context.clients.all.send("news", "late")
        try await say(1..<2, at: farm.a)
        let again = try await farm.move(client, first.cursor)
        let heard = try await hear(again, 2)
        #expect(Set(heard) == [call("NewsHub", "news", "late"), call("ChatHub", "receive", 1)])
        #expect(heard.count == 2)
    }

    @Test func `Outside of the buffer the other node admits the gap`() async throws {
        let farm = try Farm { $0.messageBufferSize = 32 }
        let client = try await farm.client()
        let first = try await client.connected()
        try await say(0..<1, at: farm.a)
        #expect(try await hear(first, 1) == received(0..<1))
        try await first.lose()
        try await say(1..<100, at: farm.a)
        let again = try await farm.move(client, first.cursor)
        #expect(try await hear(again, 33) == [call("ChatHub", "messagesMissed")] + received(68..<100))
    }

    @Test func `A node that came later admits that it does not know`() async throws {
        let broker = Broker()
        let a = try Stage(chat: broker.join)
        let client = try await MemoryClient(a.endpoint)
        let first = try await client.connected()
        try await say(0..<2, at: a)
        #expect(try await hear(first, 1) == received(0..<1))
        let cursor = first.cursor
        try await first.lose()
        let b = try Stage(chat: broker.join)
        let again = try await client.stream(
            "webSockets", "reconnect", [("messageId", Farm.fromAnotherProcess(cursor))], to: b.endpoint)
        #expect(try await hear(again, 1) == [call("ChatHub", "messagesMissed")])
    }

    @Test func `A place in another stream is none`() async throws {
        let farm = try Farm()
        let client = try await farm.client()
        let again = try await client.stream(
            "webSockets", "reconnect", [("messageId", "d-1-A,1~0,1")], to: farm.b.endpoint)
        #expect(try await hear(again, 1) == [call("ChatHub", "messagesMissed")])
    }
}

@Suite struct StreamMarksTests {
    private func marks(at position: UInt64 = 10) -> StreamMarks {
        StreamMarks(BackplaneStream(id: 1, position: position), since: 100)
    }

    @Test func `Positions and numbers are found either way`() {
        var marks = marks()
        marks.append(12, 105)
        marks.append(12, 106)
        marks.append(15, 110)
        #expect([10, 11, 12, 14, 15, 99].map { marks.sequence(at: $0) } == [100, 100, 105, 105, 110, 110])
        #expect(
            [0, 100, 104, 105, 109, 110, 999].map { marks.place(at: $0).position } == [10, 10, 10, 12, 12, 15, 15])
        #expect(marks.sequence(at: 9) == nil)
    }

    @Test func `What was under way when the node came counts`() {
        var marks = marks()
        marks.append(8, 101)
        marks.append(9, 102)
        #expect([6, 7, 8, 9].map { marks.sequence(at: $0) } == [nil, 100, 101, 102])
    }

    @Test func `A stream that begins anew is not compared with what it was`() {
        var marks = marks()
        for position in 11...20 as ClosedRange<UInt64> { marks.append(position, 100 + position) }
        marks.append(1, 300)
        #expect(marks.last == 1)
        #expect(marks.sequence(at: 0) == 299)
        #expect(marks.place(at: 250).position == 0)
    }

    @Test func `The oldest go`() {
        var marks = marks(at: 0)
        for position in 1...70_000 as ClosedRange<UInt64> { marks.append(position, 100 + position) }
        #expect(marks.sequence(at: 4_464) == nil)
        #expect(marks.sequence(at: 4_465) == 4_565)
    }
}
