// SignalBox: rules of the classic protocol that no other suite looks at; docs/specs/classic-rules.md lists them all
// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import NIOCore
import NIOEmbedded
import SignalR
import SignalRClassic
import SignalRWire
import Testing

@Suite(.timeLimit(.minutes(1))) struct RuleTests {
    // MARK: §2

    @Test(arguments: ["/signalr", "/signalr/anything"])
    func `Any other path is a receive request: a reconnect on streams`(path: String) async throws {
        let stage = try Stage()
        let client = try await MemoryClient(stage.endpoint)
        let channel = NIOAsyncTestingChannel(loop: client.loop)
        let response = await stage.endpoint.request(path, client.query("serverSentEvents"), on: channel)
        #expect(response.status == .ok)
        let takeOver = try #require(response.takeOver)
        try await channel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 1))
        try await client.loop.executeInContext { try takeOver(HostChannel(channel, reachesSocket: false)) }
        await client.loop.run()
        #expect(await stage.diary.next() == "reconnected")
    }

    @Test func `Any other path is a plain poll where polls are`() async throws {
        let stage = try Stage()
        let client = try await MemoryClient(stage.endpoint)
        let response = await stage.endpoint.request(
            "/signalr", client.query("longPolling"), on: NIOAsyncTestingChannel(loop: client.loop))
        let poll = MemoryPoll(response, try #require(response.stream))
        try await poll.begun()
        // The poll may have begun before its client is in the hub.
        while await !stage.chat.context.presence.isConnected(.all) { await Task.yield() }
        try await stage.chat.context.clients.all.send("receive", 1)
        let body = await poll.body()
        #expect(body.hasSuffix(#""M":[{"H":"ChatHub","M":"receive","A":[1]}]}"#))
        #expect(!body.contains("\"S\""))
    }

    @Test func `Parameters and transports are named in any case`() async throws {
        let stage = try Stage()
        let client = try await MemoryClient(stage.endpoint)
        let query = client.query("LONGPOLLING").map { ($0.0.uppercased(), $0.1) }
        let response = await stage.endpoint.request(
            "/signalr/connect", query, post: "", on: NIOAsyncTestingChannel(loop: client.loop))
        let poll = MemoryPoll(response, try #require(response.stream))
        #expect(await poll.body().contains("\"S\":1"))
    }

    @Test(arguments: ["/signalr/hubs/", "/signalr/js//", "/signalr/HUBS"])
    func `Scripts may have slashes behind them`(path: String) async throws {
        let response = await (try Stage()).endpoint.request(path)
        #expect(response.headers[.contentType] == "application/javascript; charset=UTF-8")
        #expect(response.text.contains("hubConnection"))
    }

    @Test(arguments: ["negotiate", "ping", "hubs", "connect", "start", "send", "abort"])
    func `Every answer says that its type is meant`(action: String) async throws {
        let response = await (try Stage()).endpoint.request("/signalr/\(action)")
        #expect(response.headers[.xContentTypeOptions] == "nosniff")
        #expect(response.headers[.cacheControl] == "no-cache")
    }

    // MARK: §7

    @Test func `What hubs send while they hear of a client flows before start is answered`() async throws {
        let stage = try Stage()
        let client = try await MemoryClient(stage.endpoint, version: "2.0")
        let socket = try await client.stream("webSockets")
        _ = try await socket.initial()
        async let started: Void = client.start()
        #expect(try await socket.messages() == [call("ChatHub", "welcome")])
        try await started
    }

    // MARK: §8

    @Test func `A message may come in pieces, and binary ones are passed over`() async throws {
        let client = try await MemoryClient(Stage().endpoint)
        let socket = try await client.connected()
        let json = #"{"H":"chathub","M":"add","A":[1,2],"I":0}"#
        try await socket.send(pieces: [json], binary: true)
        try await socket.send(pieces: [String(json.prefix(7)), "", String(json.dropFirst(7))])
        #expect(try await socket.next() == #"{"R":3,"I":"0"}"#)
    }

    @Test func `Calls of one client overlap`() async throws {
        let client = try await MemoryClient(Stage().endpoint)
        let socket = try await client.connected()
        try await socket.send(#"{"H":"chathub","M":"hold","A":[],"I":0}"#)
        try await socket.send(#"{"H":"chathub","M":"release","A":[],"I":1}"#)
        let answers = [try await socket.next(), try await socket.next()]
        #expect(Set(answers) == [#"{"I":"0"}"#, #"{"I":"1"}"#])
    }

    @Test func `A poll does not tell hubs of a return, a reconnect does`() async throws {
        let stage = try Stage()
        let client = try await MemoryClient(stage.endpoint)
        _ = await (try await client.poll("connect")).body()
        try await client.start("longPolling")
        let poll = try await client.poll()
        try await poll.begun()
        let again = try await client.poll("reconnect")
        try await again.begun()
        #expect(await stage.diary.next() == "connected -")
        #expect(await stage.diary.next() == "reconnected")
        _ = await client.request("abort", "longPolling", post: "")
        #expect(await stage.diary.next() == "disconnected cleanly")
    }

    @Test func `A script has no spaces in front of it`() async throws {
        let client = try await MemoryClient(Stage { $0.enableJSONP = true }.endpoint)
        _ = await (try await client.poll("connect")).body()
        let poll = try await client.poll("poll", [("callback", "f")])
        try await poll.begun()
        await client.loop.run()
        await client.pass(seconds: 111)
        #expect(await poll.body().hasPrefix("f({\"C\":"))
    }

    // MARK: §10

    @Test func `A polling client has less time, but the delay that it was told`() async throws {
        let stage = try Stage { $0.longPollDelay = .seconds(3) }
        let client = try await MemoryClient(stage.endpoint)
        _ = await (try await client.poll("connect")).body()
        try await client.start("longPolling")
        #expect(await stage.diary.next() == "connected -")
        await client.pass(seconds: 32)
        #expect(await stage.chat.context.presence.count() == 1)
        await client.pass(seconds: 3)
        #expect(await stage.diary.next() == "disconnected uncleanly")
    }

    @Test func `A client that was forgotten hears what its topics still hold, and that more may be lost`() async throws
    {
        let stage = try Stage()
        let client = try await MemoryClient(stage.endpoint)
        let first = try await client.connected()
        #expect(await stage.diary.next() == "connected -")
        try await first.lose()
        await client.pass(seconds: 40)
        #expect(await stage.diary.next() == "disconnected uncleanly")
        try await stage.chat.context.clients.all.send("receive", 1)
        let again = try await client.stream("webSockets", "reconnect", [("messageId", first.cursor)])
        // What was for this client alone went with it.
        #expect(try await again.messages() == [call("ChatHub", "messagesMissed"), call("ChatHub", "receive", 1)])
    }

    @Test func `Topics without subscribers are forgotten in time, and that is admitted`() async throws {
        let stage = try Stage { $0.topicLifetime = .zero }
        let client = try await MemoryClient(stage.endpoint)
        let first = try await client.connected()
        #expect(await stage.diary.next() == "connected -")
        try await first.lose()
        await client.pass(seconds: 50)
        #expect(await stage.diary.next() == "disconnected uncleanly")
        try await stage.chat.context.clients.all.send("receive", 1)
        let again = try await client.stream("webSockets", "reconnect", [("messageId", first.cursor)])
        #expect(try await again.messages() == [call("ChatHub", "messagesMissed")])
    }

    // MARK: §12

    @Test func `A member of two groups hears twice what goes to both, now and later`() async throws {
        let stage = try Stage()
        let client = try await MemoryClient(stage.endpoint)
        let socket = try await client.connected()
        for group in ["a", "b"] { try await stage.chat.context.groups.add(client.id, to: group) }
        while socket.groups == nil { _ = try await socket.frame() }
        try await stage.chat.context.clients.groups(["a", "b"]).send("receive", 1)
        var heard: [HubValue] = []
        while heard.count < 2 { heard += try await socket.messages() }
        #expect(heard == [call("ChatHub", "receive", 1), call("ChatHub", "receive", 1)])
        try await socket.lose()
        try await stage.chat.context.clients.groups(["a", "b"]).send("receive", 2)
        let again = try await client.stream("webSockets", "reconnect", [("messageId", socket.cursor)])
        #expect(try await again.messages() == [call("ChatHub", "receive", 2), call("ChatHub", "receive", 2)])
    }

    @Test func `Joining a group is effective when it returns, and twice is once`() async throws {
        let client = try await MemoryClient(Stage().endpoint)
        let socket = try await client.connected()
        for call in 0..<2 {
            try await socket.send(#"{"H":"chathub","M":"enterAndGreet","A":[],"I":\#(call)}"#)
            var heard: [HubValue] = []
            while let frame = try await socket.frame(), frame["I"] == nil {
                if case .array(let messages)? = frame["M"] { heard += messages }
            }
            #expect(heard == [SignalRClassicTests.call("ChatHub", "receive", "hello")])
        }
    }

    // MARK: §19

    @Test func `Further requests do not add hubs beyond the bound`() async throws {
        let stage = try Stage { $0.maximumHubs = 1 }
        let client = try await MemoryClient(stage.endpoint)
        let socket = try await client.connected()
        let other = client.query("webSockets").map {
            ($0.0, $0.0 == "connectionData" ? #"[{"name":"newshub"}]"# : $0.1)
        }
        let response = await stage.endpoint.request("/signalr/start", other)
        #expect(response.text == "{ \"Response\": \"started\" }")
        #expect(await stage.news.context.presence.count() == 0)
        try await stage.news.context.clients.all.send("news", 1)
        try await stage.chat.context.clients.all.send("receive", 2)
        #expect(try await socket.messages() == [call("ChatHub", "receive", 2)])
    }

    // MARK: §17

    @Test func `A number that nobody has given is answered with all that is kept`() async throws {
        let stage = try Stage()
        let client = try await MemoryClient(stage.endpoint)
        let first = try await client.connected()
        try await stage.chat.context.clients.all.send("receive", 1)
        #expect(try await first.messages() == [call("ChatHub", "receive", 1)])
        let prefix = try #require(first.cursor.split(separator: ",").first)
        let again = try await client.stream(
            "webSockets", "reconnect", [("messageId", "\(prefix),FFFFFFFFFFFFFFFF")])
        #expect(try await again.messages().contains(call("ChatHub", "receive", 1)))
    }

    @Test func `Without a cursor the client begins here and now, and nothing is missing`() async throws {
        let stage = try Stage()
        let client = try await MemoryClient(stage.endpoint)
        let first = try await client.connected()
        try await first.lose()
        try await stage.chat.context.clients.all.send("receive", 1)
        let again = try await client.stream("webSockets", "reconnect", [("messageId", "")])
        try await stage.chat.context.clients.all.send("receive", 2)
        #expect(try await again.messages() == [call("ChatHub", "receive", 2)])
    }

    // MARK: §20

    @Test func `Defaults are those of the original`() {
        let options = ClassicOptions()
        #expect(options.keepAlive == .seconds(10))
        #expect(options.disconnectTimeout == .seconds(30))
        #expect(options.connectionTimeout == .seconds(110))
        #expect(options.transportConnectTimeout == .seconds(5))
        #expect(options.longPollDelay == .zero)
        #expect(options.messageBufferSize == 1_000)
        #expect(options.maximumWebSocketMessageSize == 65_536)
        #expect(options.maximumStateSize == 4_096)
        #expect(options.topicLifetime == .seconds(100))
        #expect(!options.enableJSONP)
        #expect(options.enableJavaScriptProxies)
    }
}
