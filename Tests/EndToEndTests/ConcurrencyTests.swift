// SignalBox: what may overtake a running call of the same client, and what may not
// SPDX-License-Identifier: Apache-2.0

import SignalR
import SignalRWire
import Testing

@Suite struct ConcurrencyTests {
    @Test(arguments: Wire.all)
    func `A second plain call waits, and everything behind it`(wire: Wire) async throws {
        try await withServer { server in
            let client = try await server.client(wire)
            try await client.send(.call("Hold", ["a"], id: "1"))
            try await client.send(.call("Hold", ["b"], id: "2"))
            try await client.send(.stream("Stream", id: "3"))
            try await server.bulletin.wait(for: "holding a")
            for _ in 0..<10 { _ = try await server.negotiate() }
            #expect(server.bulletin.count("holding b") == 0)
            server.bulletin.post("b")
            server.bulletin.post("a")
            #expect(try await client.next() == .result("1", "a"))
            var rest: [HubMessage] = []
            for _ in 0..<5 { rest.append(try #require(try await client.next())) }
            #expect(
                rest.filter { $0 != .result("2", "b") } == [
                    .item("3", "a"), .item("3", "b"), .item("3", "c"), .end("3"),
                ])
            #expect(rest.contains(.result("2", "b")))
        }
    }

    @Test(arguments: Wire.all)
    func `Streams, uploads, cancels and answers overtake a running call`(wire: Wire) async throws {
        try await withServer { server in
            let client = try await server.client(wire)
            try await client.send(.stream("InfiniteStream", id: "s"))
            try await client.send(.call("StreamingConcat", id: "u", streams: ["up"]))
            try await client.send(.call("Hold", ["a"], id: "1"))
            try await server.bulletin.wait(for: "holding a")

            try await client.send(.ping)
            try await client.send(.stream("Stream", id: "2"))
            for item: HubValue in ["a", "b", "c"] { #expect(try await client.next() == .item("2", item)) }
            #expect(try await client.next() == .end("2"))
            try await client.send(.item("up", "overtaken"))
            try await client.send(.end("up"))
            #expect(try await client.next() == .result("u", "overtaken"))
            try await client.send(.cancel("s"))
            #expect(try await client.next() == .end("s"))

            server.bulletin.post("a")
            #expect(try await client.next() == .result("1", "a"))
        }
    }

    @Test func `A stream ends with its client even when a call with the same id ended before`() async throws {
        try await withServer { server in
            let client = try await server.client()
            try await client.send(.call("Hold", ["a"], id: "1"))
            try await server.bulletin.wait(for: "holding a")
            try await client.send(.stream("InfiniteStream", id: "1"))
            try await server.bulletin.wait(for: "streaming")
            server.bulletin.post("a")
            #expect(try await client.next() == .result("1", "a"))
            client.transport.drop()
            try await server.bulletin.wait(for: "stream over")
        }
    }

    @Test func `A stream can be cancelled even when a call with the same id ended before`() async throws {
        try await withServer { server in
            let client = try await server.client()
            try await client.send(.stream("InfiniteStream", id: "1"))
            try await server.bulletin.wait(for: "streaming")
            #expect(try await client.invoke("AddTwo", 1, 2, id: "1") == .result("1", 3))
            try await client.send(.cancel("1"))
            #expect(try await client.next() == .end("1"))
        }
    }

    @Test(arguments: Wire.all)
    func `A client cannot have more calls running than the options say`(wire: Wire) async throws {
        try await withServer {
            $0.maximumRunningCalls = 3
        } _: { server in
            let client = try await server.client(wire)
            try await client.send(.stream("InfiniteStream", id: "1"))
            // It waits for an answer, and lets others run meanwhile.
            try await client.send(.call("Ask", [.null], id: "2"))
            guard case .invocation(let question) = try await client.next() else {
                throw UnexpectedMessage(message: nil)
            }
            try await client.send(.call("StreamingConcat", id: "3", streams: ["up"]))
            let text = "because 3 calls of this client are running already."
            for _ in 0..<2 {
                #expect(
                    try await client.invoke("DoNothing", id: "4")
                        == .failure("4", "Failed to invoke 'DoNothing' \(text)"))
                try await client.send(.stream("Stream", id: "5"))
                #expect(try await client.next() == .failure("5", "Failed to invoke 'Stream' \(text)"))
            }
            try await client.send(.result(question.id ?? "", 7))
            #expect(try await client.next() == .result("2", 7))
            #expect(try await client.invoke("DoNothing", id: "6") == .result("6", .null))
        }
    }

    @Test func `As many plain calls run at once as the options say`() async throws {
        try await withServer {
            $0.maximumParallelInvocations = 2
        } _: { server in
            let client = try await server.client()
            for name in ["a", "b", "c"] { try await client.send(.call("Hold", [.string(name)], id: name)) }
            try await server.bulletin.wait(for: "holding a")
            try await server.bulletin.wait(for: "holding b")
            for _ in 0..<10 { _ = try await server.negotiate() }
            #expect(server.bulletin.count("holding c") == 0)
            server.bulletin.post("b")
            #expect(try await client.next() == .result("b", "b"))
            try await server.bulletin.wait(for: "holding c")
            server.bulletin.post("c")
            #expect(try await client.next() == .result("c", "c"))
            server.bulletin.post("a")
            #expect(try await client.next() == .result("a", "a"))
        }
    }

    @Test func `Clients do not wait for each other`() async throws {
        try await withServer { server in
            let (busy, other) = (try await server.client(), try await server.client())
            try await busy.send(.call("Hold", ["a"], id: "1"))
            try await server.bulletin.wait(for: "holding a")
            #expect(try await other.invoke("AddTwo", 1, 2) == .result("1", 3))
            server.bulletin.post("a")
            #expect(try await busy.next() == .result("1", "a"))
        }
    }

    @Test(arguments: Wire.all)
    func `A plain call can be cancelled`(wire: Wire) async throws {
        try await withServer { server in
            let client = try await server.client(wire)
            try await client.send(.call("Hold", ["never"], id: "1"))
            try await server.bulletin.wait(for: "holding never")
            try await client.send(.cancel("1"))
            try await server.bulletin.wait(for: "cancelled never")
            #expect(
                try await client.next()
                    == .failure("1", "An unexpected error occurred invoking 'Hold' on the server."))
            #expect(try await client.invoke("AddTwo", 1, 2) == .result("1", 3))
        }
    }
}
