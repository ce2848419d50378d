// SignalBox: four transports, byte by byte: openings, frames, keep-alives, ends
// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import NIOCore
import NIOEmbedded
import SignalR
import SignalRClassic
import SignalRWire
import Testing

@Suite(.timeLimit(.minutes(1))) struct TransportTests {
    private static let streams = ["webSockets", "serverSentEvents", "foreverFrame"]

    private func frameID(_ transport: String) -> [(String, String)] {
        transport == "foreverFrame" ? [("frameId", "7")] : []
    }

    @Test func `Server-Sent Events begin with a word, and frames are one line each`() async throws {
        let client = try await MemoryClient(Stage().endpoint)
        let stream = try await client.stream("serverSentEvents")
        #expect(stream.response.headers[.contentType] == "text/event-stream")
        #expect(try await stream.next() == "data: initialized\n\n")
        let first = try #require(try await stream.next())
        #expect(first.wholeMatch(of: /data: \{"C":"d-[0-9A-F]+-\w+,[0-9A-F]+","S":1,"M":\[\]\}\r\n\r\n/) != nil)
        await client.pass(seconds: 10)
        #expect(try await stream.next() == "data: {}\r\n\r\n")
    }

    @Test func `A forever frame is a page of scripts`() async throws {
        let client = try await MemoryClient(Stage().endpoint)
        let stream = try await client.stream("foreverFrame", "connect", [("frameId", "7")])
        #expect(stream.response.headers[.contentType] == "text/html; charset=UTF-8")
        let opening = try #require(try await stream.next())
        #expect(opening.contains("getConnection(\"7\")"))
        let first = try #require(try await stream.next())
        #expect(first.hasPrefix("<script>f({\"C\":\"d-"))
        #expect(first.hasSuffix("\"S\":1,\"M\":[]});</script>\r\n"))
        _ = await client.send(#"{"H":"chathub","M":"send","A":["</script>"],"I":0}"#, over: "foreverFrame")
        let message = try #require(try await stream.next())
        #expect(message.contains(#"["\u003c/script\u003e"]"#))
        await client.pass(seconds: 10)
        #expect(try await stream.next() == "<script>f({});</script>\r\n")
    }

    @Test func `Results of a forever frame's sends are escaped as well`() async throws {
        let client = try await MemoryClient(Stage().endpoint)
        let response = await client.send(#"{"H":"x<y","M":"m","A":[],"I":0}"#, over: "foreverFrame")
        #expect(response.text.contains(#"x\u003cy"#))
    }

    @Test func `A WebSocket speaks text, and keeps alive with text`() async throws {
        let client = try await MemoryClient(Stage().endpoint)
        let socket = try await client.stream("webSockets")
        let first = try #require(try await socket.next())
        #expect(first.wholeMatch(of: /\{"C":"d-[0-9A-F]+-\w+,[0-9A-F]+","S":1,"M":\[\]\}/) != nil)
        await client.pass(seconds: 10)
        #expect(try await socket.next() == "{}")
    }

    @Test(arguments: streams)
    func `Only the first frame of a connect says that the transport works`(transport: String) async throws {
        let client = try await MemoryClient(Stage().endpoint)
        let first = try await client.stream(transport, "connect", frameID(transport))
        #expect(try await first.initial()?["S"] == 1)
        let again = try await client.stream(
            transport, "reconnect", frameID(transport) + [("messageId", first.cursor)])
        if transport != "webSockets" { _ = try await again.next() }
        _ = await client.send(#"{"H":"chathub","M":"send","A":["x"],"I":0}"#, over: transport)
        let frame = try #require(try await again.frame())
        #expect(frame["S"] == nil)
        #expect(frame["M"] == [call("ChatHub", "receive", "x")])
    }

    @Test(arguments: streams)
    func `A newer receive request ends the older`(transport: String) async throws {
        let client = try await MemoryClient(Stage().endpoint)
        let first = try await client.stream(transport, "connect", frameID(transport))
        _ = try await first.initial()
        let second = try await client.stream(transport, "connect", frameID(transport))
        #expect(try await first.next() == nil)
        #expect(try await second.initial()?["S"] == 1)
    }

    @Test(arguments: streams)
    func `Abort ends the response at once`(transport: String) async throws {
        let stage = try Stage()
        let client = try await MemoryClient(stage.endpoint)
        let stream = try await client.stream(transport, "connect", frameID(transport))
        _ = try await stream.initial()
        try await client.start(transport)
        let response = await client.request("abort", transport, post: "")
        #expect(response.status == .ok)
        #expect(response.headers[.contentType] == "text/plain")
        #expect(response.body.readableBytes == 0)
        #expect(try await stream.next() == nil)
        #expect(await stage.diary.next() == "connected -")
        #expect(await stage.diary.next() == "disconnected cleanly")
    }

    @Test func `Fallback: a second connect on another transport`() async throws {
        let stage = try Stage()
        let client = try await MemoryClient(stage.endpoint)
        let socket = try await client.stream("webSockets")
        _ = try await socket.initial()
        let events = try await client.stream("serverSentEvents")
        #expect(try await socket.next() == nil)
        #expect(try await events.initial()?["S"] == 1)
        let known = try #require(await stage.server.clients().first)
        #expect(
            known.transports.description == "serverSentEvents, after webSockets (given up by the client)")
        #expect(known.transport == .serverSentEvents)
        #expect(known.hubs == ["ChatHub"])
    }

    @Test func `A message over the limit drops the socket without a word`() async throws {
        let client = try await MemoryClient(Stage { $0.maximumWebSocketMessageSize = 100 }.endpoint)
        let socket = try await client.connected()
        try await socket.send(String(repeating: "x", count: 101))
        await client.loop.run()
        #expect(!socket.channel.isActive)
        // The connection is still there.
        let again = try await client.stream("webSockets", "reconnect", [("messageId", socket.cursor)])
        try await again.send(#"{"H":"chathub","M":"add","A":[1,2],"I":0}"#)
        #expect(try await again.frame() == ["R": 3, "I": "0"])
    }

    @Test func `Without keep-alives every response ends after the connection timeout`() async throws {
        let client = try await MemoryClient(Stage { $0.keepAlive = nil }.endpoint)
        let stream = try await client.stream("serverSentEvents")
        _ = try await stream.initial()
        await client.pass(seconds: 111)
        #expect(try await stream.next() == nil)
    }
}

@Suite(.timeLimit(.minutes(1))) struct ClassicPollTests {
    private func cursor(_ body: String) throws -> String {
        guard case .string(let cursor)? = try JSON.value(from: ByteBuffer(string: body))["C"] else {
            throw ChannelError.eof
        }
        return cursor
    }

    @Test func `Connect answers at once, a poll when there is something`() async throws {
        let client = try await MemoryClient(Stage().endpoint)
        let first = try await client.poll("connect")
        #expect(first.response.headers[.contentType] == "application/json; charset=UTF-8")
        let opening = await first.body()
        #expect(opening.hasSuffix("\"S\":1,\"M\":[]}"))
        let form = "messageId=\(escape(try cursor(opening)))&groupsToken="
        let poll = try await client.poll(form: form)
        try await poll.begun()
        try await client.start("longPolling")
        _ = await client.send(#"{"H":"chathub","M":"send","A":["x"],"I":0}"#, over: "longPolling")
        let body = try JSON.value(from: ByteBuffer(string: await poll.body()))
        #expect(body["M"] == [call("ChatHub", "receive", "x")])
        #expect(body["S"] == nil)
    }

    @Test func `Spaces, then an empty frame after the connection timeout`() async throws {
        let client = try await MemoryClient(Stage().endpoint)
        let opening = await (try await client.poll("connect")).body()
        let poll = try await client.poll("poll", [("messageId", try cursor(opening))])
        try await poll.begun()
        await client.loop.run()
        await client.pass(seconds: 111)
        let body = await poll.body()
        #expect(body.prefix { $0 == " " }.count == 11)
        #expect(body.hasSuffix(",\"M\":[]}"))
        #expect(body.drop { $0 == " " }.hasPrefix("{\"C\":"))
    }

    @Test func `A newer poll ends the older with a frame`() async throws {
        let client = try await MemoryClient(Stage().endpoint)
        let opening = await (try await client.poll("connect")).body()
        let first = try await client.poll("poll", [("messageId", try cursor(opening))])
        try await first.begun()
        let second = try await client.poll("poll", [("messageId", try cursor(opening))])
        try await second.begun()
        #expect(await first.body().hasSuffix(",\"M\":[]}"))
        let abort = await client.request("abort", "longPolling", post: "")
        #expect(abort.status == .ok)
        #expect(await second.body().hasSuffix(",\"M\":[]}"))
    }

    @Test func `Shutdown asks polling clients to reconnect`() async throws {
        let stage = try Stage()
        let client = try await MemoryClient(stage.endpoint)
        let opening = await (try await client.poll("connect")).body()
        let poll = try await client.poll("poll", [("messageId", try cursor(opening))])
        try await poll.begun()
        await client.loop.run()
        async let drained = stage.chat.registry.drain(timeout: .seconds(20))
        #expect(await poll.body().contains("\",\"T\":1,\"M\":[]}"))
        #expect(await drained == 0)
    }

    @Test func `Between polls nothing is lost, and the delay is told`() async throws {
        let client = try await MemoryClient(Stage { $0.longPollDelay = .seconds(2) }.endpoint)
        let opening = await (try await client.poll("connect")).body()
        #expect(opening.contains("\"S\":1,\"L\":2000,\"M\":[]}"))
        for text in ["a", "b", "c"] {
            _ = await client.send(#"{"H":"chathub","M":"send","A":["\#(text)"],"I":0}"#, over: "longPolling")
        }
        let poll = try await client.poll(form: "messageId=\(escape(try cursor(opening)))")
        let body = try JSON.value(from: ByteBuffer(string: await poll.body()))
        #expect(body["M"] == .array(["a", "b", "c"].map { call("ChatHub", "receive", .string($0)) }))
    }

    @Test func `A poll that its client abandons leaves the messages to the next`() async throws {
        let client = try await MemoryClient(Stage().endpoint)
        let opening = await (try await client.poll("connect")).body()
        let poll = try await client.poll(form: "messageId=\(escape(try cursor(opening)))")
        try await poll.begun()
        poll.abandon()
        _ = await poll.body()
        _ = await client.send(#"{"H":"chathub","M":"send","A":["x"],"I":0}"#, over: "longPolling")
        let next = try await client.poll(form: "messageId=\(escape(try cursor(opening)))")
        #expect(await next.body().contains("\"A\":[\"x\"]"))
    }
}
