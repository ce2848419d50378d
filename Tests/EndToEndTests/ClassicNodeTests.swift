// SignalBox: a classic client that loses its server and goes on at another, over real sockets: by its token, its cursor and its groups
// SPDX-License-Identifier: Apache-2.0

import Hummingbird
import Logging
import NIOCore
import SignalR
import SignalRClassic
import SignalRHummingbird
import SignalRWire
import Testing

private struct MeetingHub: Hub {
    static let methods: [HubMethodDefinition<MeetingHub>] = [
        HubMethodDefinition("enter") { _ in
            { _, context in
                try await context.groups.add(context.connectionID, to: "hall")
                return .void
            }
        }
    ]
}

/// What a client carries from one server to the other.
private struct Luggage: Sendable {
    static let data = "connectionData=%5B%7B%22name%22%3A%22meetinghub%22%7D%5D&clientProtocol=2.1"
    var token = ""
    var cursor = ""
    var groups = ""

    /// Both servers are in this process, so what tells processes apart is exchanged in the cursor: its numbers mean nothing to the reader.
    var cursorOfAnotherProcess: String { "d-1-" + self.cursor.split(separator: "-", maxSplits: 2)[2] }

    func target(_ action: String) -> String {
        let resume =
            action == "reconnect" ? "&messageId=\(self.cursorOfAnotherProcess)&groupsToken=\(self.groups)" : ""
        return "/signalr/\(action)?\(Self.data)&transport=webSockets&connectionToken=\(self.token)\(resume)"
    }

    /// Remembers what the frame says, and gives what hubs called.
    mutating func keep(_ frame: HubValue) -> [HubValue] {
        if case .string(let cursor)? = frame["C"] { self.cursor = cursor }
        if case .string(let groups)? = frame["G"] { self.groups = groups }
        if case .array(let messages)? = frame["M"] { return messages }
        return []
    }

    /// As many calls as that, by method and argument.
    mutating func hear(_ count: Int, on socket: WebSocketClient) async throws -> [String] {
        var heard: [String] = []
        while heard.count < count, let text = try await socket.receive() {
            for message in self.keep(try JSON.value(from: text)) {
                guard case .string(let method)? = message["M"], case .array(let arguments)? = message["A"] else {
                    continue
                }
                if case .int(let number)? = arguments.first {
                    heard.append("\(method) \(number)")
                } else {
                    heard.append(method)
                }
            }
        }
        return heard
    }

    /// Connects and joins the hall.
    mutating func arrive(at server: TestServer) async throws -> WebSocketClient {
        let reply = try await server.request("GET", "/signalr/negotiate?\(Self.data)")
        guard case .string(let token)? = try JSON.value(from: reply.body)["ConnectionToken"] else {
            throw UnexpectedReply(reply: reply)
        }
        self.token = token
        let socket = try await WebSocketClient(server, self.target("connect"))
        _ = try await socket.receive()
        _ = try await server.request("GET", self.target("start"))
        try await socket.send(ByteBuffer(string: #"{"H":"meetinghub","M":"enter","A":[],"I":0}"#), isText: true)
        while self.groups.isEmpty, let text = try await socket.receive() { _ = self.keep(try JSON.value(from: text)) }
        return socket
    }
}

@Suite struct ClassicNodeTests {
    /// Two servers on their own ports, with hubs of their own, the same keys, and a backplane between them.
    private func withTwoServers(
        buffer: Int = 1_000,
        _ body:
            @escaping @Sendable ((server: TestServer, hub: HubServer), (server: TestServer, hub: HubServer))
            async throws -> Void
    ) async throws {
        let broker = Broker()
        var options = ClassicOptions()
        options.keys = try ClassicKeys(secrets: ["what both servers of the farm know, and nobody else"])
        options.messageBufferSize = buffer
        let (a, b) = (try Self.node(broker), try Self.node(broker))
        let (first, second) = (Self.app(a, options), Self.app(b, options))
        try await first.run { one in
            try await second.run { other in try await body((one, a), (other, b)) }
        }
    }

    private static func node(_ broker: Broker) throws -> HubServer {
        try HubServer(
            MeetingHub(), options: HubOptions(), eventLoopGroup: TestServer.loops,
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }, makeBackplane: broker.join)
    }

    private static func app(_ hub: HubServer, _ options: ClassicOptions) -> TestApp {
        var app = TestApp()
        app.routes = { router in
            do {
                try router.classicSignalR("/signalr", hubs: [hub], options: options, eventLoopGroup: TestServer.loops)
            } catch {
                Issue.record(error)
            }
        }
        return app
    }

    private func say(_ numbers: Range<Int>, at hub: HubServer) async throws {
        for number in numbers {
            if number.isMultiple(of: 2) {
                try await hub.context.clients.all.send("all", number)
            } else {
                try await hub.context.clients.group("hall").send("hall", number)
            }
        }
    }

    private func said(_ numbers: Range<Int>) -> [String] {
        numbers.map { ($0.isMultiple(of: 2) ? "all " : "hall ") + "\($0)" }
    }

    @Test func `Nothing is lost on the way to the other server`() async throws {
        try await withTwoServers { a, b in
            #expect(a.server.port != b.server.port)
            var client = Luggage()
            let socket = try await client.arrive(at: a.server)
            try await self.say(0..<10, at: b.hub)
            #expect(try await client.hear(10, on: socket) == self.said(0..<10))
            socket.drop()
            // The client's server and the others go on speaking.
            try await self.say(10..<100, at: a.hub)
            try await self.say(100..<200, at: b.hub)
            let again = try await WebSocketClient(b.server, client.target("reconnect"))
            #expect(try await client.hear(190, on: again) == self.said(10..<200))
            try await self.say(200..<202, at: a.hub)
            #expect(try await client.hear(2, on: again) == self.said(200..<202))
        }
    }

    @Test func `Outside of the buffer the other server says that something is missing`() async throws {
        try await withTwoServers(buffer: 32) { a, b in
            var client = Luggage()
            let socket = try await client.arrive(at: a.server)
            try await self.say(0..<2, at: a.hub)
            #expect(try await client.hear(2, on: socket) == self.said(0..<2))
            socket.drop()
            try await self.say(2..<200, at: a.hub)
            let again = try await WebSocketClient(b.server, client.target("reconnect"))
            // 32 for everybody and 32 for the hall.
            #expect(try await client.hear(65, on: again) == ["messagesMissed"] + self.said(136..<200))
        }
    }
}
