// SignalBox: hubs, tested as their authors do it
// SPDX-License-Identifier: Apache-2.0

#if HubMacro
import NIOPosix
import SignalR
import SignalRTesting
import SignalRWire
import Testing

@Hub
private struct Room {
    func send(user: String, text: String, context: HubCallerContext) async throws {
        try await context.clients.all.send("receive", user, text)
    }

    func echo(text: String) -> String { text }
    func find(text: String) -> Int? { text.isEmpty ? nil : text.count }
    func fail() throws { throw HubError("on purpose") }
    func whoAmI(context: HubCallerContext) -> [String?] { [context.connectionID, context.userID] }
    func countdown(from start: Int) -> AsyncStream<Int> { AsyncStream((0..<start).reversed()) }

    func endless(context: HubCallerContext) -> AsyncStream<Int> {
        AsyncStream { items in
            items.yield(1)
            items.onTermination = { _ in Task { try await context.clients.others.send("cancelled") } }
        }
    }

    func sum(numbers: HubStream<Int>) async throws -> Int {
        var sum = 0
        for try await number in numbers { sum += number }
        return sum
    }

    func ask(context: HubCallerContext) async throws -> Int {
        try await context.clients.caller.invoke("question", 20, returning: Int.self)
    }

    func leave(context: HubCallerContext) { context.abort() }

    func onDisconnected(_ context: HubCallerContext, reason: (any Error)?) async throws {
        try await context.clients.others.send("left", context.connectionID, reason == nil)
    }
}

extension AsyncStream where Element == Int {
    fileprivate init(_ numbers: ReversedCollection<Range<Int>>) {
        self.init { items in
            for number in numbers { items.yield(number) }
            items.finish()
        }
    }
}

@Suite(.timeLimit(.minutes(1))) struct TestClientTests {
    private func server(_ change: (inout HubOptions) -> Void = { _ in }) throws -> HubServer {
        var options = HubOptions()
        options.detailedErrors = true
        change(&options)
        return try HubServer(Room(), options: options, eventLoopGroup: MultiThreadedEventLoopGroup.singleton)
    }

    @Test(arguments: ["json", "messagepack"])
    func `Calls, their results and their errors`(hubProtocol: String) async throws {
        let server = try server()
        let client = try await TestClient.connect(to: server, user: HubUser(id: "ada"), hubProtocol: hubProtocol)
        #expect(try await client.invoke("Echo", "Zoë", returning: String.self) == "Zoë")
        #expect(try await client.invoke("find", "abc", returning: Int?.self) == 3)
        #expect(try await client.invoke("find", "", returning: Int?.self) == nil)
        #expect(try await client.invoke("whoAmI", returning: [String].self) == [client.connectionID, "ada"])
        let error = await #expect(throws: TestClientError.self) { try await client.invoke("fail") }
        #expect(error?.code == .callFailed)
        #expect(error?.message.hasSuffix("HubException: on purpose") == true)
        await #expect(throws: DecodingError.self) { try await client.invoke("echo", "x", returning: Int.self) }
    }

    @Test func `Clients hear what is sent to them, in order`() async throws {
        let server = try server()
        let (ada, bob) = (try await TestClient.connect(to: server), try await TestClient.connect(to: server))
        for number in 0..<100 { try ada.send("send", "Ada", "\(number)") }
        for number in 0..<100 {
            #expect(try await bob.next("RECEIVE", as: String.self, String.self) == ("Ada", "\(number)"))
        }
        try await server.context.clients.all.send("other")
        let error = await #expect(throws: TestClientError.self) {
            try await bob.next("missing", within: .milliseconds(1))
        }
        #expect(error?.code == .nothingCame)
        try await bob.next("other")
        #expect(bob.unread.isEmpty)
        try await ada.next("other")
        #expect(ada.unread == Array(repeating: "receive", count: 100))
        await #expect(throws: DecodingError.self) { try await ada.next("receive", as: String.self) }
    }

    @Test func `Streams both ways`() async throws {
        let server = try server()
        let (client, other) = (try await TestClient.connect(to: server), try await TestClient.connect(to: server))
        var items: [Int] = []
        for try await item in try client.stream("countdown", 3, of: Int.self) { items.append(item) }
        #expect(items == [2, 1, 0])
        let sum = try await client.invoke("sum", uploading: [TestUpload([1, 2, 3])], returning: Int.self)
        #expect(sum == 6)
        for try await _ in try client.stream("endless", of: Int.self) { break }
        try await other.next("cancelled")
        await #expect(throws: TestClientError.self) {
            for try await _ in try client.stream("nothing", of: Int.self) {}
        }
    }

    @Test func `The hub asks, the client answers`() async throws {
        let client = try await TestClient.connect(to: server())
        let unanswered = await #expect(throws: TestClientError.self) { try await client.invoke("ask") }
        #expect(unanswered?.message.contains("Client didn't provide a result.") == true)
        client.answer("Question") { (number: Int) in number + 1 }
        #expect(try await client.invoke("ask", returning: Int.self) == 21)
        client.answer("question") { (_: Int) -> Int in throw HubError("no") }
        await #expect(throws: TestClientError.self) { try await client.invoke("ask") }
    }

    @Test func `A connection's end, by either side`() async throws {
        let server = try server()
        let watcher = try await TestClient.connect(to: server)
        let polite = try await TestClient.connect(to: server)
        await polite.disconnect()
        #expect(try await watcher.next("left", as: String.self, Bool.self) == (polite.connectionID, true))
        let rude = try await TestClient.connect(to: server)
        rude.drop()
        #expect(try await watcher.next("left", as: String.self, Bool.self) == (rude.connectionID, false))
        let aborted = try await TestClient.connect(to: server)
        await #expect(throws: TestClientError.self) { try await aborted.invoke("leave") }
        #expect(await aborted.untilClosed() == nil)
        let error = await #expect(throws: TestClientError.self) { try await aborted.next("receive") }
        #expect(error?.code == .closed)
        for client in [rude, aborted] { await client.disconnect() }
        #expect(await server.context.presence.count() == 1)
    }

    @Test func `Who is forgotten vanishes`() async throws {
        let server = try server()
        let watcher = try await TestClient.connect(to: server)
        var forgotten: TestClient? = try await TestClient.connect(to: server)
        let id = try #require(forgotten?.connectionID)
        forgotten = nil
        #expect(try await watcher.next("left", as: String.self, Bool.self) == (id, false))
    }

    @Test func `A hub that refuses`() async throws {
        let plain = try server { $0.codecs = [JSONHubCodec()] }
        let error = await #expect(throws: TestClientError.self) {
            try await TestClient.connect(to: plain, hubProtocol: "messagepack")
        }
        #expect(error?.code == .refused)
    }

    @Test func `Whoever stops waiting is let go`() async throws {
        let client = try await TestClient.connect(to: server())
        let waiting = Task { try await client.next("never", within: .seconds(600)) }
        waiting.cancel()
        await #expect(throws: CancellationError.self) { try await waiting.value }
        client.answer("question") { (_: Int) -> Int in
            // Until it is cancelled.
            let (nothing, end) = AsyncStream.makeStream(of: Never.self)
            for await _ in nothing {}
            end.finish()
            throw CancellationError()
        }
        let calling = Task { try await client.invoke("ask") }
        calling.cancel()
        await #expect(throws: CancellationError.self) { try await calling.value }
    }
}
#endif
