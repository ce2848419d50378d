// SignalBox: polls, and the POSTs that go with them and with Server-Sent Events
// SPDX-License-Identifier: Apache-2.0

import NIOCore
import SignalR
import SignalRWire
import Testing

@Suite struct LongPollingTests {
    private static let handshake = ByteBuffer(string: "{\"protocol\":\"json\",\"version\":1}\u{1E}")

    private func target(_ server: TestServer) async throws -> String { "/hub?id=\(try await server.negotiate().token)" }

    @Test func `A poll's life`() async throws {
        try await withServer { server in
            let target = try await target(server)
            let polls = try await server.connect()
            let first = try await polls.request("GET", target)
            #expect(first.status == 200)
            #expect(first["content-type"] == "application/octet-stream")
            #expect(first["content-length"] == "0")
            let sent = try await server.request("POST", target, body: String(buffer: Self.handshake))
            #expect(sent.status == 200)
            #expect(sent["content-type"] == "text/plain")
            #expect(sent["content-length"] == "0")
            let data = try await polls.request("GET", target + "&_=1700000000")
            #expect(data.status == 200)
            #expect(data.text == "{}\u{1E}")
            #expect(data["content-length"] == "3")
            #expect(data["cache-control"] == "no-cache, no-store")
            let over = try await server.request("DELETE", target)
            #expect(over.status == 202)
            #expect(over.text.isEmpty)
            let last = try await polls.request("GET", target)
            #expect(last.status == 204)
            #expect(last["content-type"] == "text/plain")
            #expect(try await polls.request("GET", target).status == 404)
        }
    }

    @Test func `A poll without data ends after the poll timeout`() async throws {
        try await withServer {
            $0.pollTimeout = .seconds(1)
        } _: { server in
            let target = try await target(server)
            let polls = try await server.connect()
            _ = try await polls.request("GET", target)
            let reply = try await polls.request("GET", target)
            #expect(reply.status == 200)
            #expect(reply["content-type"] == "text/plain")
            #expect(reply["content-length"] == "0")
        }
    }

    @Test func `A newer poll takes over from the one that waits`() async throws {
        try await withServer { server in
            let client = try await server.client(Wire(transport: .longPolling, hubProtocol: .json))
            let transport = try #require(client.transport as? LongPollingClient)
            let target = transport.target
            let (old, new) = (try await server.connect(), try await server.connect())
            try await old.write(Socket.request("GET", target))
            try await untilPolling(server)
            try await new.write(Socket.request("GET", target))
            #expect(try await old.reply().status == 204)
            try await client.send(.call("AddTwo", [1, 2], id: "1"))
            #expect(try await new.reply().text == "{\"type\":3,\"invocationId\":\"1\",\"result\":3}\u{1E}")
        }
    }

    /// Until the only connection has an open poll.
    private func untilPolling(_ server: TestServer) async throws {
        let connection = try #require(await server.hub.registry.connections(in: .all).first)
        try await until { await connection.hasTransport() }
    }

    @Test func `DELETE ends the poll that waits`() async throws {
        try await withServer { server in
            let client = try await server.client(Wire(transport: .longPolling, hubProtocol: .json))
            async let end = client.next()
            try await untilPolling(server)
            try await client.transport.close()
            #expect(try await end == nil)
            try await server.bulletin.wait(for: "disconnected in order")
        }
    }

    @Test func `The last words wait for the next poll`() async throws {
        try await withServer { server in
            let client = try await server.client(Wire(transport: .longPolling, hubProtocol: .json))
            try await client.send(.call("Echo", ["x"], id: "1"))
            try await client.send(.call("Abort"))
            try await server.bulletin.wait(for: "disconnected in order")
            #expect(try await client.next() == .result("1", "x"))
            #expect(try await client.next() == .close())
            #expect(try await client.next() == nil)
        }
    }

    @Test func `A client that goes away during a poll may come back for the data`() async throws {
        try await withServer { server in
            let client = try await server.client(Wire(transport: .longPolling, hubProtocol: .json))
            let transport = try #require(client.transport as? LongPollingClient)
            let lost = try await server.connect()
            try await lost.write(Socket.request("GET", transport.target))
            try await untilPolling(server)
            lost.close()
            let connection = try #require(await server.hub.registry.connections(in: .all).first)
            try await until { await !connection.hasTransport() }
            #expect(try await client.invoke("AddTwo", 1, 2) == .result("1", 3))
        }
    }

    @Test(arguments: [TransportKind.serverSentEvents, .longPolling])
    func `Parallel POSTs are all taken`(kind: TransportKind) async throws {
        try await withServer { server in
            let client = try await server.client(Wire(transport: kind, hubProtocol: .json))
            let target = try #require(
                (client.transport as? LongPollingClient)?.target ?? (client.transport as? EventStreamClient)?.target)
            try await withThrowingTaskGroup(of: Reply.self) { posts in
                for number in 0..<20 {
                    posts.addTask {
                        let text =
                            "{\"type\":1,\"invocationId\":\"\(number)\",\"target\":\"Echo\",\"arguments\":[\(number)]}\u{1E}"
                        return try await server.request("POST", target, body: text)
                    }
                }
                for try await reply in posts { #expect(reply.status == 200) }
            }
            var answers: Set<HubMessage> = []
            for _ in 0..<20 { answers.insert(try #require(try await client.next())) }
            #expect(answers == Set((0..<20).map { .result("\($0)", .int($0)) }))
        }
    }

    @Test(arguments: [TransportKind.serverSentEvents, .longPolling])
    func `What is posted before the transport comes is kept for it`(kind: TransportKind) async throws {
        try await withServer { server in
            let target = try await target(server)
            #expect(try await server.request("POST", target, body: String(buffer: Self.handshake)).status == 200)
            let transport: any ClientTransport =
                kind == .longPolling
                ? try await LongPollingClient(server, target, headers: [])
                : try await EventStreamClient(server, target, headers: [])
            #expect(try await transport.receive() == ByteBuffer(string: "{}\u{1E}"))
        }
    }

    @Test func `A POST before the transport waits when it is too much to keep`() async throws {
        try await withServer {
            $0.transportMaximumBufferSize = 1000
        } _: { server in
            let target = try await target(server)
            #expect(try await server.request("POST", target, body: String(buffer: Self.handshake)).status == 200)
            let long = String(repeating: "x", count: 2000)
            let call = "{\"type\":1,\"invocationId\":\"1\",\"target\":\"Echo\",\"arguments\":[\"\(long)\"]}\u{1E}"
            async let reply = server.request("POST", target, body: call)
            let client = try await LongPollingClient(server, target, headers: [])
            var received = ""
            while !received.contains(long) { received += String(buffer: try #require(try await client.receive())) }
            #expect(received == "{}\u{1E}{\"type\":3,\"invocationId\":\"1\",\"result\":\"\(long)\"}\u{1E}")
            #expect(try await reply.status == 200)
        }
    }

    @Test func `A POST that waits for a transport which never comes`() async throws {
        try await withServer {
            $0.transportMaximumBufferSize = 1000
            $0.negotiateTimeout = .seconds(1)
        } _: { server in
            let target = try await target(server)
            let reply = try await server.request("POST", target, body: String(repeating: "x", count: 70_000))
            #expect(reply.status == 404)
            // On a slow machine the connection is gone before the POST comes.
            #expect(reply.text.isEmpty || reply.text == "No Connection with that ID")
        }
    }

    @Test func `A POST to a connection that is over`() async throws {
        try await withServer { server in
            let client = try await server.client(Wire(transport: .longPolling, hubProtocol: .json))
            let target = try #require(client.transport as? LongPollingClient).target
            try await client.send(.call("Abort"))
            try await server.bulletin.wait(for: "disconnected in order")
            let reply = try await server.request("POST", target, body: "x")
            #expect(reply.status == 404)
            #expect(reply["content-type"] == "text/plain")
        }
    }

    @Test func `A POST waits while the hub does not take its bytes`() async throws {
        try await withServer {
            $0.transportMaximumBufferSize = 1000
        } _: { server in
            let client = try await server.client(Wire(transport: .longPolling, hubProtocol: .json))
            try await client.send(.call("Hold", ["a"], id: "1"))
            try await server.bulletin.wait(for: "holding a")
            try await client.send(.call("Hold", ["b"], id: "2"))
            let send = Task {
                try await client.send(.call("Echo", [.string(String(repeating: "x", count: 2000))], id: "3"))
                server.bulletin.post("sent")
            }
            for _ in 0..<20 { _ = try await server.negotiate() }
            #expect(server.bulletin.count("sent") == 0)
            server.bulletin.post("a")
            server.bulletin.post("b")
            try await send.value
        }
    }
}

extension Connection {
    fileprivate func hasTransport() async -> Bool {
        await withCheckedContinuation { answer in onLoop { answer.resume(returning: self.transport != nil) } }
    }
}
