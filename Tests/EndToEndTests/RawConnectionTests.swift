// SignalBox: connections without hubs, on every transport
// SPDX-License-Identifier: Apache-2.0

import Hummingbird
import NIOCore
import SignalR
import SignalRHummingbird
import Testing
import _SignalRWebSocket

@Suite struct RawConnectionTests {
    private func withRaw(
        options: HubOptions = HubOptions(), _ handler: @escaping @Sendable (RawConnection) async throws -> Void,
        body: @Sendable (TestServer) async throws -> Void
    ) async throws {
        var app = TestApp()
        app.routes = { router in
            router.connection("/raw", options: options, eventLoopGroup: TestServer.loops, handler: handler)
        }
        try await app.run(body)
    }

    private static let echo: @Sendable (RawConnection) async throws -> Void = { connection in
        for await message in connection.messages { connection.send(message) }
    }

    @Test(arguments: TransportKind.allCases)
    func `Echo`(kind: TransportKind) async throws {
        try await withRaw(Self.echo) { server in
            let client = try await server.open(kind, "/raw")
            for text in ["one", "two\nlines", "ä"] {
                try await client.send(ByteBuffer(string: text), isText: true)
                if kind == .serverSentEvents, text.contains("\n") {
                    _ = try? await client.receive()
                    return
                }
                #expect(try await client.receive() == ByteBuffer(string: text))
            }
        }
    }

    @Test func `Kind and boundaries of WebSocket messages are kept`() async throws {
        try await withRaw(Self.echo) { server in
            let socket = try await WebSocketClient(server, "/raw")
            let binary = ByteBuffer(bytes: [0, 255, 30])
            try await socket.send(binary, isText: false)
            #expect(try await socket.message() == .init(bytes: binary, isText: false))
            try await socket.send(ByteBuffer(), isText: true)
            try await socket.frame(.text, ByteBuffer(string: "in "), final: false)
            try await socket.frame(.continuation, ByteBuffer(string: "three "), final: false)
            try await socket.frame(.continuation, ByteBuffer(string: "frames"))
            try await socket.send(ByteBuffer(string: "next"), isText: true)
            for text in ["", "in three frames", "next"] {
                #expect(try await socket.message() == .init(bytes: ByteBuffer(string: text), isText: true))
            }
        }
    }

    @Test func `A message over the limit closes with 1009`() async throws {
        var options = HubOptions()
        options.maximumReceiveMessageSize = 1000
        try await withRaw(options: options, Self.echo) { server in
            let socket = try await WebSocketClient(server, "/raw")
            let longest = ByteBuffer(repeating: 0x61, count: 1000)
            try await socket.send(longest, isText: true)
            #expect(try await socket.receive() == longest)
            try await socket.send(ByteBuffer(repeating: 0x61, count: 1001), isText: true)
            #expect(try await socket.receive() == nil)
            #expect(socket.closeCode == 1009)
        }
    }

    @Test(arguments: TransportKind.allCases)
    func `Groups and broadcasts`(kind: TransportKind) async throws {
        try await withRaw { connection in
            for await message in connection.messages {
                switch message {
                case .text("join"):
                    await connection.join("room")
                    connection.send(.text("joined"))
                case .text("leave"):
                    await connection.leave("room")
                    connection.send(.text("left"))
                default: connection.peers.send(message, to: .groups(["room"]), excluding: [connection.connectionID])
                }
            }
        } body: { server in
            let (ann, bob) = (try await server.open(kind, "/raw"), try await server.open(.webSockets, "/raw"))
            for client in [ann, bob] {
                try await client.send(ByteBuffer(string: "join"), isText: true)
                #expect(try await client.receive() == ByteBuffer(string: "joined"))
            }
            try await bob.send(ByteBuffer(string: "hello"), isText: true)
            #expect(try await ann.receive() == ByteBuffer(string: "hello"))
            try await ann.send(ByteBuffer(string: "leave"), isText: true)
            #expect(try await ann.receive() == ByteBuffer(string: "left"))
            try await bob.send(ByteBuffer(string: "nobody hears"), isText: true)
            try await ann.send(ByteBuffer(string: "hi bob"), isText: true)
            #expect(try await bob.receive() == ByteBuffer(string: "hi bob"))
        }
    }

    @Test(arguments: TransportKind.allCases)
    func `The connection ends with its handler, and the handler's messages with the connection`(
        kind: TransportKind
    ) async throws {
        let bulletin = Bulletin()
        try await withRaw { connection in
            for await message in connection.messages {
                if message == .text("quit") { return }
            }
            bulletin.post("over")
        } body: { server in
            let quitter = try await server.open(kind, "/raw")
            try await quitter.send(ByteBuffer(string: "quit"), isText: true)
            #expect(try await quitter.receive() == nil)
            let leaver = try await server.open(kind, "/raw")
            try await leaver.close()
            try await bulletin.wait(for: "over")
        }
    }
}
