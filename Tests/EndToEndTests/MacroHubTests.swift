// SignalBox: a hub written with @Hub and @HubClient, called over the wire
// SPDX-License-Identifier: Apache-2.0

#if HubMacro
import Hummingbird
import SignalR
import SignalRHummingbird
import SignalRWire
import Testing

@HubClient
protocol Player: Sendable {
    func told(who: String, what: String) async throws
    func answer() async throws -> Int
}

@Hub
struct Game {
    func add(a: Int, b: Int) -> Int { a + b }

    @HubMethod("renamed") func original() -> String { "by another name" }

    func tell(what: String, context: HubCallerContext) async throws {
        try await context.clients(PlayerProxy.self).all.told(who: context.connectionID, what: what)
    }

    func ask(context: HubCallerContext) async throws -> Int {
        try await context.clients(PlayerProxy.self).caller.answer() * 2
    }

    func countdown(from start: Int) -> AsyncStream<Int> { AsyncStream((1...start).reversed()) }

    func sum(numbers: HubStream<Int>) async throws -> Int {
        var sum = 0
        for try await number in numbers { sum += number }
        return sum
    }

    private func hidden() {}
}

@Suite struct MacroHubTests {
    private func withGame(_ body: @Sendable (TestServer, HubClient) async throws -> Void) async throws {
        var app = TestApp()
        app.routes = { router in
            do {
                try router.signalR("/game", hub: Game(), eventLoopGroup: TestServer.loops)
            } catch {
                Issue.record("\(error)")
            }
        }
        try await app.run { server in
            let client = HubClient(try await WebSocketClient(server, "/game"), .json)
            _ = try await client.handshake(.json)
            try await body(server, client)
        }
    }

    @Test func `Functions are methods, by their name or another`() async throws {
        try await withGame { _, client in
            let sum = try await client.invoke("Add", 1, 2)
            #expect(sum == .result("1", 3))
            let renamed = try await client.invoke("renamed")
            #expect(renamed == .result("1", "by another name"))
            for name in ["original", "hidden"] {
                let answer = try await client.invoke(name)
                #expect(
                    answer
                        == .failure(
                            "1",
                            "Failed to invoke '\(name)' due to an error on the server. HubException: Method does not exist."
                        ))
            }
        }
    }

    @Test func `Clients are called by the methods of their protocol`() async throws {
        try await withGame { server, client in
            try await client.send(.call("tell", ["hello"]))
            guard case .invocation(let call)? = try await client.next() else {
                Issue.record("not told")
                return
            }
            #expect(call.target == "told")
            #expect(call.id == nil)
            try await client.send(.call("ask", id: "1"))
            guard case .invocation(let question)? = try await client.next(), let id = question.id else {
                Issue.record("not asked")
                return
            }
            #expect(question.target == "answer")
            try await client.send(.result(id, 21))
            #expect(try await client.next() == .result("1", 42))
        }
    }

    @Test func `Streams go both ways`() async throws {
        try await withGame { _, client in
            try await client.send(.stream("countdown", [3], id: "1"))
            for item: HubValue in [3, 2, 1] { #expect(try await client.next() == .item("1", item)) }
            #expect(try await client.next() == .end("1"))
            try await client.send(.call("sum", id: "3", streams: ["2"]))
            for number in 1...4 { try await client.send(.item("2", .int(Int64(number)))) }
            try await client.send(.end("2"))
            #expect(try await client.next() == .result("3", 10))
        }
    }
}
#endif
