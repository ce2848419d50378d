// SignalBox: classic clients that an app server owns: what it hears of them, and what it may do
// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import NIOConcurrencyHelpers
import NIOCore
import NIOEmbedded
import SignalR
import SignalRClassic
import SignalRWire
import Testing

/// Everything on one event loop, as the protocol promises.
private final class TestOwner: ClassicOwner, @unchecked Sendable {
    let diary: Diary
    var client: ClassicClient?
    var ready: (() -> Void)?

    init(_ diary: Diary) { self.diary = diary }

    func opened(_ client: ClassicClient, ready: @escaping () -> Void) {
        self.client = client
        self.ready = ready
        self.diary.write("opened in \(client.places.count)")
    }
    func receive(_ text: ByteBuffer) { self.diary.write(String(buffer: text)) }
    func reconnected() { self.diary.write("reconnected") }
    func closed(_ reason: CloseReason) {
        self.diary.write("closed \(reason.name)")
        self.client = nil
        self.ready = nil
    }

    func send(_ values: String) {
        self.client?.send(Outgoing(.encoded([ClassicHubCodec.messagesName: ByteBuffer(string: values)])))
    }
}

/// One hub that clients list, and one where their app server knows them.
private struct OwnedStage: ClassicDirectory {
    let diary = Diary()
    let chat: HubServer
    let home: HubServer
    let owners = NIOLockedValueBox<[TestOwner]>([])

    struct Silent: Hub { static let methods: [HubMethodDefinition<Silent>] = [] }

    init() throws {
        let group = NIOAsyncTestingEventLoop()
        self.chat = try HubServer(Silent(), eventLoopGroup: group, logger: quiet)
        self.home = try HubServer(Silent(), eventLoopGroup: group, logger: quiet)
    }

    func entry(of user: HubUser?, to names: [String]?, for request: HubRequest) async throws -> ClassicEntry {
        func admission(_ name: String, _ server: HubServer, isListed: Bool) -> ClassicAdmission {
            ClassicAdmission(
                application: ClassicApplication(name: name, server: server, isListed: isListed) { _, _ in .void },
                userID: nil)
        }
        var entry = ClassicEntry(hubs: [admission("chathub", self.chat, isListed: true)])
        entry.mayResume = false
        entry.transports = [.webSockets, .serverSentEvents, .longPolling]
        entry.route = ClassicRoute(home: admission("shop", self.home, isListed: false)) { [diary, owners] in
            let owner = TestOwner(diary)
            owners.withLockedValue { $0.append(owner) }
            return owner
        }
        return entry
    }

    var owner: TestOwner {
        get throws { try #require(self.owners.withLockedValue { $0.last }) }
    }

    func endpoint() -> ClassicEndpoint {
        ClassicEndpoint(self, options: ClassicOptions(), eventLoopGroup: NIOAsyncTestingEventLoop(), logger: quiet)
    }

    /// A client that its owner lets in.
    func client(_ transport: String = "webSockets") async throws -> (client: MemoryClient, stream: MemoryStream) {
        let client = try await MemoryClient(self.endpoint())
        let stream = try await client.stream(transport)
        #expect(await self.diary.next() == "opened in 2")
        let owner = try self.owner
        try await client.loop.executeInContext { owner.ready?() }
        #expect(try await stream.initial()?["S"] == 1)
        return (client, stream)
    }
}

@Suite(.timeLimit(.minutes(1))) struct ClassicOwnerTests {
    @Test func `A client hears nothing before its owner is ready`() async throws {
        let stage = try OwnedStage()
        let client = try await MemoryClient(stage.endpoint())
        let socket = try await client.stream("webSockets")
        #expect(await stage.diary.next() == "opened in 2")
        let owner = try stage.owner
        try await client.loop.executeInContext { owner.send("\"early\"") }
        await client.loop.run()
        #expect(try await socket.channel.readOutbound(as: ByteBuffer.self) == nil)
        try await client.loop.executeInContext { owner.ready?() }
        let first = try #require(try await socket.initial())
        #expect(first["S"] == 1)
        #expect(first["M"] == ["early"])
    }

    @Test func `Texts pass as they are, in order`() async throws {
        let stage = try OwnedStage()
        let (_, socket) = try await stage.client()
        for text in [#"{"H":"chathub","M":"a","I":0}"#, "no JSON at all", ""] {
            try await socket.send(text)
            #expect(await stage.diary.next() == text)
        }
    }

    @Test func `Answers find the request that waits, else the socket`() async throws {
        let stage = try OwnedStage()
        let (client, stream) = try await stage.client("serverSentEvents")
        let owner = try stage.owner
        async let response = client.send(#"{"H":"chathub","M":"a","A":[],"I":4}"#)
        #expect(await stage.diary.next() == #"{"H":"chathub","M":"a","A":[],"I":4}"#)
        try await client.loop.executeInContext {
            owner.client?.answer(ByteBuffer(string: #"{"I":"5"}"#), to: "5")
            owner.client?.answer(ByteBuffer(string: #"{"R":1,"I":"4"}"#), to: "4")
            owner.send("1,2")
        }
        #expect(await response.text == #"{"R":1,"I":"4"}"#)
        // The other answer is nobody's.
        #expect(try await stream.messages() == [1, 2])
    }

    @Test func `One request waits for an answer at a time`() async throws {
        let stage = try OwnedStage()
        let (client, _) = try await stage.client("serverSentEvents")
        async let first = client.send(#"{"H":"chathub","M":"a","I":4}"#)
        _ = await stage.diary.next()
        #expect(
            await client.send(#"{"H":"chathub","M":"b","I":4}"#).text
                == #"{"I":"4","E":"Too many calls at a time."}"#)
        #expect(await client.send(#"{"H":"chathub","M":"c"}"#).text == #"{"I":""}"#)
        #expect(await stage.diary.next() == #"{"H":"chathub","M":"c"}"#)
        #expect(await client.send("{").status == .internalServerError)
        _ = await client.request("abort", "serverSentEvents", post: "")
        #expect(await first.text == #"{"I":"4","E":"The connection ended before the call did."}"#)
        #expect(await stage.diary.next() == "closed client_closed")
    }

    @Test func `A client that comes back is the same, and has missed nothing`() async throws {
        let stage = try OwnedStage()
        let (client, socket) = try await stage.client()
        let owner = try stage.owner
        try await socket.lose()
        try await client.loop.executeInContext { owner.send("1") }
        let again = try await client.stream("webSockets", "reconnect", [("messageId", socket.cursor)])
        #expect(await stage.diary.next() == "reconnected")
        #expect(try await again.messages() == [1])
    }

    @Test func `A transport that fails before the owner is ready makes no second client`() async throws {
        let stage = try OwnedStage()
        let client = try await MemoryClient(stage.endpoint())
        _ = try await client.stream("webSockets")
        #expect(await stage.diary.next() == "opened in 2")
        let events = try await client.stream("serverSentEvents")
        let owner = try stage.owner
        try await client.loop.executeInContext { owner.ready?() }
        #expect(try await events.initial()?["S"] == 1)
        #expect(stage.owners.withLockedValue { $0.count } == 1)
    }

    @Test func `An owner may end its client, which does not come back`() async throws {
        let stage = try OwnedStage()
        let (client, socket) = try await stage.client()
        let owner = try stage.owner
        try await client.loop.executeInContext { owner.client?.end(.serverLost) }
        await client.loop.run()
        #expect(try await socket.next() == #"{"E":"Connection closed with an error."}"#)
        #expect(await stage.diary.next() == "closed app_server_lost")
        #expect(await client.request("reconnect", "serverSentEvents").status == .notFound)
        #expect(await client.request("poll", "longPolling", post: "").status == .notFound)
        #expect(await client.request("start", "longPolling").status == .notFound)
    }

    @Test func `A client that stays away too long is given up`() async throws {
        let stage = try OwnedStage()
        let (client, socket) = try await stage.client()
        try await socket.lose()
        await client.pass(seconds: 40)
        #expect(await stage.diary.next() == "closed transport_failed")
    }

    @Test func `Transports may depend on the client`() async throws {
        let stage = try OwnedStage()
        let client = try await MemoryClient(stage.endpoint())
        #expect(await client.request("connect", "foreverFrame", [("frameId", "1")]).status == .badRequest)
    }

    @Test func `Calls in a hub that is not listed stay away`() async throws {
        let stage = try OwnedStage()
        let (_, socket) = try await stage.client()
        try await stage.home.context.clients.all.send("unheard")
        try await stage.chat.context.clients.all.send("heard")
        #expect(try await socket.messages() == [call("chathub", "heard")])
    }

    @Test func `Groups are the owner's business`() async throws {
        let stage = try OwnedStage()
        let (client, socket) = try await stage.client()
        let owner = try stage.owner
        try await client.loop.executeInContext {
            for place in owner.client?.places ?? [] { place.join("room") }
        }
        try await stage.chat.context.clients.group("room").send("both")
        #expect(try await socket.messages() == [call("chathub", "both")])
        #expect(socket.groups == nil)
    }
}
