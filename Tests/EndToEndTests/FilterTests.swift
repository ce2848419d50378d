// SignalBox: filters around calls and connection events
// SPDX-License-Identifier: Apache-2.0

import SignalR
import SignalRWire
import Testing

/// Posts when it is entered and left.
private struct Trace: HubFilter {
    let name: String
    let bulletin: Bulletin

    func invoke(_ invocation: HubInvocation, next: (HubInvocation) async throws -> HubReply) async throws -> HubReply {
        bulletin.post("\(name) in \(invocation.method)")
        defer { bulletin.post("\(name) out") }
        return try await next(invocation)
    }

    func connected(_ context: HubCallerContext, next: (HubCallerContext) async throws -> Void) async throws {
        bulletin.post("\(name) connecting")
        try await next(context)
    }

    func disconnected(
        _ context: HubCallerContext, reason: (any Error)?, next: (HubCallerContext, (any Error)?) async throws -> Void
    ) async throws {
        try await next(context, reason)
        bulletin.post("\(name) disconnected")
    }
}

/// Changes what passes, depending on the argument.
private struct Meddler: HubFilter {
    func invoke(_ invocation: HubInvocation, next: (HubInvocation) async throws -> HubReply) async throws -> HubReply {
        guard invocation.method == "Echo" else { return try await next(invocation) }
        var invocation = invocation
        switch try invocation.argument(0, as: String.self) {
        case "skip": return try .value("skipped")
        case "change":
            invocation.arguments = .values(["changed"])
            return try await next(invocation)
        case "misfit":
            invocation.arguments = .values([])
            return try await next(invocation)
        case "refuse": throw HubError("refused")
        default: return try await next(invocation)
        }
    }

    func connected(_ context: HubCallerContext, next: (HubCallerContext) async throws -> Void) async throws {
        // Swallowing the hub's error lets the client in all the same.
        try? await next(context)
    }
}

@Suite struct FilterTests {
    @Test func `The first filter is the outermost`() async throws {
        let bulletin = Bulletin()
        var app = TestApp {
            $0.filters = [Trace(name: "a", bulletin: bulletin), Trace(name: "b", bulletin: bulletin)]
        }
        app.bulletin = bulletin
        try await app.run { server in
            let client = try await server.client()
            #expect(try await client.invoke("echo", "x") == .result("1", "x"))
            try await client.send(.close())
            try await bulletin.wait(for: "a disconnected")
            #expect(
                bulletin.all == [
                    "a connecting", "b connecting", "connected", "a in Echo", "b in Echo", "echo", "b out", "a out",
                    "disconnected in order", "b disconnected", "a disconnected",
                ])
        }
    }

    @Test func `Filters see streams, and calls that fail, but not those that do not bind`() async throws {
        let bulletin = Bulletin()
        try await withServer {
            $0.filters = [Trace(name: "a", bulletin: bulletin)]
        } _: { server in
            let client = try await server.client()
            try await client.send(.stream("Stream", id: "1"))
            while try await client.next() != .end("1") {}
            _ = try await client.invoke("ThrowException", "boom")
            _ = try await client.invoke("Echo")
            _ = try await client.invoke("Nope")
            #expect(bulletin.all == ["a connecting", "a in Stream", "a out", "a in ThrowException", "a out"])
        }
    }

    @Test func `A filter may skip, change, refuse and forgive`() async throws {
        try await withServer {
            $0.filters = [Meddler()]
        } _: { server in
            let client = try await server.client(query: "refuse=yes")
            #expect(try await client.invoke("Echo", "pass") == .result("1", "pass"))
            #expect(try await client.invoke("Echo", "skip") == .result("1", "skipped"))
            #expect(try await client.invoke("Echo", "change") == .result("1", "changed"))
            #expect(
                try await client.invoke("Echo", "refuse")
                    == .failure(
                        "1",
                        "An unexpected error occurred invoking 'Echo' on the server. HubException: refused"))
            guard case .completion(let end)? = try await client.invoke("Echo", "misfit"), case .failure = end.outcome
            else {
                Issue.record("bound without an argument")
                return
            }
            #expect(server.bulletin.count("echo") == 2)
        }
    }
}
