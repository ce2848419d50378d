// SignalBox: streams from the server, on every transport with every protocol
// SPDX-License-Identifier: Apache-2.0

import SignalR
import SignalRWire
import Testing

@Suite struct StreamingTests {
    @Test(arguments: Wire.all)
    func `Items come in order and end with a bare completion`(wire: Wire) async throws {
        try await withServer { server in
            let client = try await server.client(wire)
            try await client.send(.stream("Stream", id: "1"))
            for item: HubValue in ["a", "b", "c"] { #expect(try await client.next() == .item("1", item)) }
            #expect(try await client.next() == .end("1"))
        }
    }

    @Test(arguments: Wire.all)
    func `A cancelled stream ends without an error`(wire: Wire) async throws {
        try await withServer { server in
            let client = try await server.client(wire)
            try await client.send(.stream("InfiniteStream", id: "1"))
            try await server.bulletin.wait(for: "streaming")
            try await client.send(.cancel("1"))
            #expect(try await client.next() == .end("1"))
            try await server.bulletin.wait(for: "stream over")
            // The id is free again, and cancelling what is over does nothing.
            try await client.send(.cancel("1"))
            try await client.send(.stream("Stream", id: "1"))
            #expect(try await client.next() == .item("1", "a"))
        }
    }

    @Test(arguments: Wire.all)
    func `Losing the client cancels its streams`(wire: Wire) async throws {
        try await withServer {
            $0.disconnectTimeout = .seconds(5)
        } _: { server in
            let client = try await server.client(wire)
            try await client.send(.stream("InfiniteStream", id: "1"))
            try await server.bulletin.wait(for: "streaming")
            client.transport.drop()
            try await server.bulletin.wait(for: "stream over")
        }
    }

    @Test(arguments: Wire.all, [false, true])
    func `A stream that breaks tells so after its items`(wire: Wire, isHubError: Bool) async throws {
        try await withServer { server in
            let client = try await server.client(wire)
            let text = "An error occurred on the server while streaming results."
            try await client.send(.stream("FailingStream", [.bool(isHubError)], id: "1"))
            #expect(try await client.next() == .item("1", "a"))
            #expect(try await client.next() == .failure("1", isHubError ? text + " HubException: broken" : text))
        }
    }

    @Test func `With detailed errors a broken stream tells why`() async throws {
        try await withServer {
            $0.detailedErrors = true
        } _: { server in
            let client = try await server.client()
            try await client.send(.stream("FailingStream", [false], id: "1"))
            _ = try await client.next()
            #expect(
                try await client.next()
                    == .failure(
                        "1",
                        "An error occurred on the server while streaming results. InvalidOperationException: broken"))
        }
    }

    @Test func `Plain and streaming calls are not to be mixed up`() async throws {
        try await withServer { server in
            let client = try await server.client()
            #expect(
                try await client.invoke("Stream")
                    == .failure(
                        "1",
                        "The client attempted to invoke the streaming 'Stream' method with a non-streaming invocation.")
            )
            try await client.send(.stream("Echo", ["x"], id: "2"))
            #expect(
                try await client.next()
                    == .failure(
                        "2",
                        "The client attempted to invoke the non-streaming 'Echo' method with a streaming invocation."))
            try await client.send(.stream("NoStream", id: "3"))
            #expect(
                try await client.next()
                    == .failure(
                        "3",
                        "The value returned by the streaming method 'NoStream' is not a ChannelReader<> or IAsyncEnumerable<>."
                    ))
        }
    }

    @Test func `An id in use is refused, and free after the end`() async throws {
        try await withServer { server in
            let client = try await server.client()
            try await client.send(.stream("InfiniteStream", id: "123"))
            try await client.send(.stream("InfiniteStream", id: "123"))
            #expect(try await client.next() == .failure("123", "Invocation ID '123' is already in use."))
            try await client.send(.cancel("123"))
            #expect(try await client.next() == .end("123"))
        }
    }

    @Test func `Streams run side by side`() async throws {
        try await withServer { server in
            let client = try await server.client()
            try await client.send(.stream("InfiniteStream", id: "1"))
            try await client.send(.stream("InfiniteStream", id: "2"))
            try await client.send(.stream("Stream", id: "3"))
            for item: HubValue in ["a", "b", "c"] { #expect(try await client.next() == .item("3", item)) }
            #expect(try await client.next() == .end("3"))
            #expect(try await client.invoke("AddTwo", 1, 1, id: "4") == .result("4", 2))
        }
    }

    @Test(arguments: [TransportKind.webSockets, .serverSentEvents])
    func `A stream waits for a slow client instead of filling its queue`(kind: TransportKind) async throws {
        try await withServer {
            $0.sendTimeout = .seconds(1)
        } _: { server in
            let client = try await server.client(Wire(transport: kind, hubProtocol: .json))
            // 100 MB: more than sockets and queue hold together.
            try await client.send(.stream("Numbers", [100_000, 1000], id: "1"))
            #expect(try await client.next() != nil)
            let socket =
                (client.transport as? WebSocketClient)?.socket ?? (client.transport as? EventStreamClient)?.stream
            try await socket?.stopReading()
            // Without waiting, the queue would overflow first: slow_consumer_bytes.
            try await server.bulletin.wait(for: "disconnected slow_consumer_time")
        }
    }

    @Test(arguments: Wire.all)
    func `Two thousand items stay in order`(wire: Wire) async throws {
        try await withServer { server in
            let client = try await server.client(wire)
            try await client.send(.stream("Numbers", [2000, 0], id: "1"))
            for number in 0..<2000 { #expect(try await client.next() == .item("1", .string("\(number)"))) }
            #expect(try await client.next() == .end("1"))
        }
    }
}
