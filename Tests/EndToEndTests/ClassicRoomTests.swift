// SignalBox: one room, two generations: classic and Core clients hear each other, in order, over real sockets
// SPDX-License-Identifier: Apache-2.0

import Hummingbird
import NIOConcurrencyHelpers
import NIOCore
import SignalR
import SignalRClassic
import SignalRHummingbird
import SignalRWire
import Testing

private struct RoomHub: Hub {
    static let methods: [HubMethodDefinition<RoomHub>] = [
        HubMethodDefinition("say", parameters: 1) { arguments in
            let text = try arguments.next(String.self)
            return { _, context in
                try await context.clients.group("room").send("heard", text)
                return .void
            }
        },
        HubMethodDefinition("enter") { _ in
            { _, context in
                try await context.groups.add(context.connectionID, to: "room")
                return .void
            }
        },
    ]
}

/// Someone in the room, whatever protocol they speak.
private protocol Guest: Sendable {
    func enter() async throws
    func say(_ text: String) async throws
    /// The next texts that they hear.
    func hear(_ count: Int) async throws -> [String]
}

private struct CoreGuest: Guest {
    let client: HubClient

    init(_ server: TestServer, _ hubProtocol: HubProtocol) async throws {
        self.client = HubClient(try await server.open(.webSockets, "/room"), hubProtocol)
        let answer = try await client.handshake(hubProtocol)
        #expect(answer == "{}")
    }

    func enter() async throws { _ = try await client.invoke("enter") }
    func say(_ text: String) async throws { try await client.send(.call("say", [.string(text)])) }

    func hear(_ count: Int) async throws -> [String] {
        var heard: [String] = []
        while heard.count < count, let message = try await client.next() {
            guard case .invocation(let call) = message, case .values(let values) = call.arguments,
                case .string(let text)? = values.first
            else { continue }
            heard.append(text)
        }
        return heard
    }
}

/// What both classic guests do alike.
private struct ClassicAccess: Sendable {
    let server: TestServer
    let query: String

    init(_ server: TestServer, _ transport: String) async throws {
        let data = "connectionData=%5B%7B%22name%22%3A%22roomhub%22%7D%5D&clientProtocol=2.1"
        let reply = try await server.request("GET", "/signalr/negotiate?\(data)")
        guard case .string(let token)? = try JSON.value(from: reply.body)["ConnectionToken"] else {
            throw UnexpectedReply(reply: reply)
        }
        self.server = server
        self.query = "\(data)&transport=\(transport)&connectionToken=\(token)"
    }

    func start() async throws {
        let reply = try await server.request("GET", "/signalr/start?\(query)")
        guard reply.text == "{ \"Response\": \"started\" }" else { throw UnexpectedReply(reply: reply) }
    }

    static func texts(_ frame: HubValue) -> [String] {
        guard case .array(let messages)? = frame["M"] else { return [] }
        return messages.compactMap { message in
            guard case .array(let values)? = message["A"], case .string(let text)? = values.first else { return nil }
            return text
        }
    }
}

private struct ClassicSocketGuest: Guest {
    let socket: WebSocketClient

    init(_ server: TestServer) async throws {
        let access = try await ClassicAccess(server, "webSockets")
        self.socket = try await WebSocketClient(server, "/signalr/connect?\(access.query)")
        guard let first = try await socket.receive(), try JSON.value(from: first)["S"] == 1 else { throw TimedOut() }
        try await access.start()
    }

    func enter() async throws {
        try await socket.send(ByteBuffer(string: #"{"H":"roomhub","M":"Enter","I":0}"#), isText: true)
        while let text = try await socket.receive(), try JSON.value(from: text)["I"] == nil {}
    }

    func say(_ text: String) async throws {
        try await socket.send(ByteBuffer(string: #"{"H":"roomhub","M":"Say","A":["\#(text)"],"I":1}"#), isText: true)
    }

    func hear(_ count: Int) async throws -> [String] {
        var heard: [String] = []
        while heard.count < count, let text = try await socket.receive() {
            heard += ClassicAccess.texts(try JSON.value(from: text))
        }
        return heard
    }
}

private final class ClassicPollingGuest: Guest {
    let access: ClassicAccess
    let polls: Socket
    let sends: Socket
    let cursor: CursorBox

    init(_ server: TestServer) async throws {
        self.access = try await ClassicAccess(server, "longPolling")
        self.polls = try await server.connect()
        self.sends = try await server.connect()
        self.cursor = CursorBox()
        let reply = try await polls.request(
            "POST", "/signalr/connect?\(access.query)", body: ByteBuffer())
        try await cursor.keep(reply)
        try await access.start()
    }

    private func send(_ json: String) async throws {
        let reply = try await sends.request(
            "POST", "/signalr/send?\(access.query)", body: ByteBuffer(string: "data=\(json)"))
        guard reply.text == #"{"I":"0"}"# else { throw UnexpectedReply(reply: reply) }
    }

    func enter() async throws { try await send(#"{"H":"roomhub","M":"enter","A":[],"I":0}"#) }
    func say(_ text: String) async throws { try await send(#"{"H":"roomhub","M":"say","A":["\#(text)"],"I":0}"#) }

    func hear(_ count: Int) async throws -> [String] {
        var heard: [String] = []
        while heard.count < count {
            let reply = try await polls.request(
                "POST", "/signalr/poll?\(access.query)", body: ByteBuffer(string: "messageId=\(await cursor.text)"))
            heard += ClassicAccess.texts(try await cursor.keep(reply))
        }
        return heard
    }
}

private actor CursorBox {
    private(set) var text = ""

    @discardableResult
    func keep(_ reply: Reply) throws -> HubValue {
        let frame = try JSON.value(from: reply.body)
        guard case .string(let cursor)? = frame["C"] else { throw UnexpectedReply(reply: reply) }
        text = cursor
        return frame
    }
}

@Suite struct ClassicRoomTests {
    private let room = NIOLockedValueBox<HubServer?>(nil)

    private func withRoom(
        sendBuffer: Int? = nil, _ body: @Sendable (TestServer) async throws -> Void
    ) async throws {
        var app = TestApp()
        app.sendBuffer = sendBuffer
        app.routes = { [room = self.room] router in
            do {
                let hub = try router.signalR("/room", hub: RoomHub(), eventLoopGroup: TestServer.loops)
                room.withLockedValue { $0 = hub }
                try router.classicSignalR("/signalr", hubs: [hub], eventLoopGroup: TestServer.loops)
            } catch {
                Issue.record(error)
            }
        }
        try await app.run(body)
    }

    @Test func `Everybody hears everybody, in order`() async throws {
        try await withRoom { server in
            let guests: [any Guest] = [
                try await CoreGuest(server, .json), try await CoreGuest(server, .messagepack),
                try await ClassicSocketGuest(server), try await ClassicPollingGuest(server),
            ]
            for guest in guests { try await guest.enter() }
            for round in 0..<25 {
                for (place, guest) in guests.enumerated() { try await guest.say("\(place) \(round)") }
            }
            for guest in guests {
                let heard = try await guest.hear(100)
                for place in 0..<4 {
                    #expect(heard.filter { $0.hasPrefix("\(place) ") } == (0..<25).map { "\(place) \($0)" })
                }
            }
        }
    }

    /// Twice what a client of ASP.NET Core may leave unread before it is closed.
    @Test func `A slow classic client is served from what is kept`() async throws {
        try await withRoom(sendBuffer: 8_192) { server in
            let slow = try await ClassicSocketGuest(server)
            let room = try #require(self.room.withLockedValue { $0 })
            try await slow.socket.socket.stopReading()
            let padding = String(repeating: "x", count: 10_000)
            for number in 0..<200 { try await room.context.clients.all.send("heard", "\(number) \(padding)") }
            try await slow.socket.socket.resumeReading()
            let heard = try await slow.hear(200)
            #expect(heard.map { String($0.prefix { $0 != " " }) } == (0..<200).map { "\($0)" })
        }
    }

    @Test func `A client that comes back on another event loop loses nothing`() async throws {
        try await withRoom { server in
            let room = try #require(self.room.withLockedValue { $0 })
            var access: ClassicAccess?
            var cursor = ""
            // As many sockets as there are event loops, and one more, one after the other.
            for round in 0..<4 {
                if access == nil { access = try await ClassicAccess(server, "webSockets") }
                let query = access?.query ?? ""
                let socket =
                    round == 0
                    ? try await WebSocketClient(server, "/signalr/connect?\(query)")
                    : try await WebSocketClient(server, "/signalr/reconnect?\(query)&messageId=\(cursor)")
                if round == 0 { _ = try await socket.receive() }
                let numbers = round * 10..<round * 10 + 10
                for number in numbers { try await room.context.clients.all.send("heard", "\(number)") }
                var heard: [String] = []
                while heard.count < 10, let text = try await socket.receive() {
                    let frame = try JSON.value(from: text)
                    heard += ClassicAccess.texts(frame)
                    if case .string(let newest)? = frame["C"] { cursor = newest }
                }
                #expect(heard == numbers.map { "\($0)" })
                socket.drop()
            }
        }
    }

    @Test func `The generated script is served, and mount points match by segment`() async throws {
        try await withRoom { server in
            let script = try await server.request("GET", "/signalr/hubs")
            #expect(script.text.contains("\"roomHub\""))
            let other = try await server.request("GET", "/signalr2/hubs")
            #expect(other.status == 404)
            let doubled = try await server.request("GET", "/signalr//negotiate")
            #expect(doubled.status == 200)
        }
    }

    @Test func `A server that shuts down asks polls to reconnect`() async throws {
        try await withRoom { server in
            let guest = try await ClassicPollingGuest(server)
            let other = try await ClassicSocketGuest(server)
            let cursor = await guest.cursor.text
            try await guest.polls.write(
                Socket.request(
                    "POST", "/signalr/poll?\(guest.access.query)&messageId=\(cursor)", body: ByteBuffer()))
            // Its head tells that the server has the poll.
            let head = try await guest.polls.head()
            #expect(head.status == 200)
            await server.shutDown()
            let frame = try await guest.polls.chunk()
            #expect(frame.map { String(buffer: $0) }?.contains("\"T\":1") == true)
            let end = try await other.socket.receive()
            #expect(end == nil)
        }
    }
}
