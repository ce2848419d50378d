// SignalBox: persistent connections: messages without hubs
// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import NIOCore
import NIOPosix
import SignalR
import SignalRClassic
import SignalRWire
import Testing

private struct Room: PersistentConnection {
    let diary: Diary

    func onConnected(_ client: PersistentClient) async throws {
        self.diary.write("connected")
        try await client.send("welcome")
    }
    func onReceived(_ data: String, from client: PersistentClient) async throws {
        switch data {
        case "join": try await client.join("room")
        case "room": try await client.peers.send(["to": "room"], to: .groups(["room"]))
        case "others": try await client.peers.send("others", excluding: [client.connectionID])
        case "raw": try await client.peers.send(json: ByteBuffer(string: "[1,{\"a\":null}]"))
        case "fail": throw ChannelError.eof
        default: try await client.send(data)
        }
    }
    func onReconnected(_ client: PersistentClient) async throws { self.diary.write("reconnected") }
    func onDisconnected(_ client: PersistentClient, stopCalled: Bool) async throws {
        self.diary.write("disconnected \(stopCalled)")
    }
}

@Suite(.timeLimit(.minutes(1))) struct PersistentConnectionTests {
    private let diary = Diary()

    private func client(user: String? = nil) async throws -> MemoryClient {
        var options = ClassicOptions()
        options.keys = try ClassicKeys(secrets: [Stage.secret])
        let server = try ClassicServer(
            Room(diary: diary), options: options, eventLoopGroup: MultiThreadedEventLoopGroup.singleton, logger: quiet)
        return try await MemoryClient(server.endpoint, path: "/echo", data: nil, user: user)
    }

    @Test func `Messages travel as they are`() async throws {
        let client = try await client()
        let socket = try await client.connected()
        #expect(await diary.next() == "connected")
        #expect(try await socket.messages() == ["welcome"])
        for text in ["hello", #"{"a":1}"#, "ä\n\"", "null"] {
            try await socket.send(text)
            #expect(try await socket.messages() == [.string(text)])
        }
        try await socket.send("raw")
        #expect(try await socket.messages() == [[1, ["a": nil]]])
        _ = await client.request("abort", "webSockets")
        #expect(await diary.next() == "disconnected true")
    }

    @Test func `Sends by request are answered with nothing, failures with 500`() async throws {
        let client = try await client()
        let stream = try await client.connected("serverSentEvents")
        #expect(try await stream.messages() == ["welcome"])
        let sent = await client.request("send", "serverSentEvents", post: "data=a+b")
        #expect(sent.status == .ok)
        #expect(sent.body.readableBytes == 0)
        #expect(sent.headers[.contentType] == nil)
        #expect(try await stream.messages() == ["a b"])
        #expect(await client.request("send", "serverSentEvents", post: "data=fail").status == .internalServerError)
        #expect(await client.request("send", "serverSentEvents", post: "data=").status == .ok)
        #expect(try await stream.messages() == [""])
        #expect(await client.request("send", "serverSentEvents", post: "").status == .ok)
    }

    @Test func `Groups, replay and reconnecting`() async throws {
        let client = try await client()
        let socket = try await client.connected()
        #expect(try await socket.messages() == ["welcome"])
        try await socket.send("join")
        while socket.groups == nil { _ = try await socket.frame() }
        try await socket.send("others")
        try await socket.send("room")
        #expect(try await socket.messages() == [["to": "room"]])
        try await socket.lose()
        _ = await client.request("send", "webSockets", post: "data=room")
        let again = try await client.stream("webSockets", "reconnect", [("messageId", socket.cursor)])
        #expect(try await again.messages() == [["to": "room"]])
        #expect(await diary.next() == "connected")
        #expect(await diary.next() == "reconnected")
    }

    @Test func `There are no hubs and no scripts here`() async throws {
        let client = try await client()
        #expect(await client.endpoint.request("/echo/hubs").status == .badRequest)
    }
}
