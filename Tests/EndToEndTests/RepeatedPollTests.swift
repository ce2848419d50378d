// SignalBox: polls that repeat each other are answered without the router, and everything else is as it was
// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import Hummingbird
import NIOConcurrencyHelpers
import NIOCore
import SignalR
import SignalRWire
import Testing

/// Counts the polls that get as far as middleware, and marks responses.
private struct PollCounter: RouterMiddleware {
    typealias Context = BasicRequestContext
    let count: NIOLockedValueBox<Int>

    func handle(
        _ request: Request, context: Context, next: (Request, Context) async throws -> Response
    ) async throws -> Response {
        if request.method == .get { count.withLockedValue { $0 += 1 } }
        var response = try await next(request, context)
        response.headers[.server] = "counted"
        return response
    }
}

@Suite struct RepeatedPollTests {
    private let count = NIOLockedValueBox(0)

    /// A client past its handshake, whose polls are repeated from here on.
    private func withPoller(
        _ change: (inout HubOptions) -> Void = { _ in },
        _ body: @Sendable (TestServer, LongPollingClient, _ poll: ByteBuffer) async throws -> Void
    ) async throws {
        var app = TestApp(change)
        app.middleware = { [count] in $0.add(middleware: PollCounter(count: count)) }
        try await app.run { server in
            let client = try await server.client(Wire(transport: .longPolling, hubProtocol: .json))
            let polls = try #require(client.transport as? LongPollingClient)
            for number in 0..<3 { try await self.expect("before \(number)", on: polls.polls, polls.target, server) }
            self.count.withLockedValue { $0 = 0 }
            try await body(server, polls, Socket.request("GET", polls.target))
        }
    }

    private func message(_ text: String) -> String {
        "{\"type\":1,\"target\":\"Message\",\"arguments\":[\"\(text)\"]}\u{1E}"
    }

    private func expect(_ text: String, on socket: Socket, _ target: String, _ server: TestServer) async throws {
        try await server.hub.context.clients.all.send("Message", text)
        let reply = try await socket.request("GET", target)
        #expect(reply.status == 200)
        #expect(reply.text == message(text))
        #expect(reply["server"] == "counted")
        #expect(reply["content-type"] == "application/octet-stream")
        #expect(reply["cache-control"] == "no-cache, no-store")
        #expect(reply["date"] != nil)
    }

    private func untilPolling(_ server: TestServer, _ isPolling: Bool = true) async throws {
        let connection = try #require(await server.hub.registry.connections(in: .all).first)
        try await until { await connection.isPolled() == isPolling }
    }

    @Test func `The same poll passes middleware no more`() async throws {
        try await withPoller { server, client, poll in
            for number in 0..<20 { try await expect("\(number)", on: client.polls, client.target, server) }
            // A poll that waits for its message.
            try await client.polls.write(poll)
            try await untilPolling(server)
            try await server.hub.context.clients.all.send("Message", "late")
            #expect(try await client.polls.reply().text == message("late"))
            #expect(count.withLockedValue { $0 } == 0)
        }
    }

    @Test func `A request that differs in a byte does, and so does one in pieces`() async throws {
        try await withPoller { server, client, poll in
            try await expect("1", on: client.polls, client.target + "&x=1", server)
            #expect(count.withLockedValue { $0 } == 1)
            try await server.hub.context.clients.all.send("Message", "2")
            let half = poll.readableBytes / 2
            try await client.polls.write(#require(poll.getSlice(at: 0, length: half)))
            // The server has read the first half when it answers somebody else on the same event loop later on.
            for _ in 0..<6 { try await server.request("POST", "/hub/negotiate?negotiateVersion=1", body: "") }
            try await client.polls.write(#require(poll.getSlice(at: half, length: poll.readableBytes - half)))
            #expect(try await client.polls.reply().text == message("2"))
            #expect(count.withLockedValue { $0 } == 2)
            for number in 3..<6 { try await expect("\(number)", on: client.polls, client.target, server) }
        }
    }

    @Test func `What follows a poll waits for it`() async throws {
        try await withPoller { server, client, poll in
            let negotiate = Socket.request("POST", "/hub/negotiate?negotiateVersion=1", body: ByteBuffer())
            var both = poll
            both.writeImmutableBuffer(negotiate)
            try await client.polls.write(poll)
            try await untilPolling(server)
            try await client.polls.write(negotiate)
            try await server.hub.context.clients.all.send("Message", "first")
            #expect(try await client.polls.reply().text == message("first"))
            #expect(try await client.polls.reply().text.contains("connectionToken"))
            // In one piece it is no repetition.
            try await server.hub.context.clients.all.send("Message", "second")
            try await client.polls.write(both)
            #expect(try await client.polls.reply().text == message("second"))
            #expect(try await client.polls.reply().text.contains("connectionToken"))
        }
    }

    @Test func `A newer poll takes over`() async throws {
        try await withPoller { server, client, poll in
            try await client.polls.write(poll)
            try await untilPolling(server)
            let newer = try await server.connect()
            try await newer.write(poll)
            #expect(try await client.polls.reply().status == 204)
            try await server.hub.context.clients.all.send("Message", "new")
            #expect(try await newer.reply().text == message("new"))
        }
    }

    @Test func `A client that leaves during a poll loses nothing`() async throws {
        try await withPoller { server, client, poll in
            try await client.polls.write(poll)
            try await untilPolling(server)
            client.polls.close()
            try await untilPolling(server, false)
            try await server.hub.context.clients.all.send("Message", "kept")
            let other = try await server.connect()
            #expect(try await other.request("GET", client.target).text == message("kept"))
        }
    }

    @Test func `The end of the connection is told`() async throws {
        try await withPoller { server, client, poll in
            try await client.polls.write(poll)
            try await untilPolling(server)
            let id = try #require(await server.hub.registry.connections(in: .all).first).id.description
            _ = await server.hub.context.presence.disconnect(.connections([id]))
            #expect(try await client.polls.reply().text.hasPrefix("{\"type\":7"))
            #expect(try await client.polls.request("GET", client.target).status == 204)
            #expect(try await client.polls.request("GET", client.target).status == 404)
        }
    }

    @Test func `A shutdown is told to a poll that waits`() async throws {
        try await withPoller { server, client, poll in
            try await client.polls.write(poll)
            try await untilPolling(server)
            await server.shutDown()
            #expect(try await client.polls.reply().text == "{\"type\":7,\"allowReconnect\":true}\u{1E}")
        }
    }

    @Test func `A poll without data ends after the poll timeout`() async throws {
        try await withPoller({ $0.pollTimeout = .seconds(1) }) { server, client, poll in
            try await client.polls.write(poll)
            let reply = try await client.polls.reply()
            #expect(reply.status == 200)
            #expect(reply["content-length"] == "0")
            try await expect("after", on: client.polls, client.target, server)
        }
    }
}

extension Connection {
    fileprivate func isPolled() async -> Bool {
        await withCheckedContinuation { answer in onLoop { answer.resume(returning: self.transport != nil) } }
    }
}
