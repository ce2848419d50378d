// SignalBox: the three ways of a test client's bytes, seen as units out and units in
// SPDX-License-Identifier: Apache-2.0

import NIOCore
import SignalR

/// The client's end of a connection.
protocol ClientTransport: Sendable {
    /// Returns when the server has the bytes, as far as the transport can tell.
    func send(_ bytes: ByteBuffer, isText: Bool) async throws
    /// The next WebSocket message, event or poll body with something in it; nil after the end.
    func receive() async throws -> ByteBuffer?
    /// Leaves as a well-behaved client does.
    func close() async throws
    /// Vanishes.
    func drop()
}

/// Server-Sent Events: one endless response; sends go by POST on a connection of their own.
final class EventStreamClient: ClientTransport {
    let stream: Socket
    let target: String
    private let sends: Sends

    init(_ server: TestServer, _ target: String, headers: [(String, String)]) async throws {
        self.stream = try await server.connect()
        self.target = target
        self.sends = try await Sends(server.connect(), target, headers)
        try await stream.write(Socket.request("GET", target, headers: headers + [("Accept", "text/event-stream")]))
        let head = try await stream.head()
        guard head.status == 200 else { throw UnexpectedReply(reply: head) }
        guard try await stream.chunk() == ByteBuffer(string: ":\r\n") else {
            throw BadHTTP(bytes: "no opening comment")
        }
    }

    func send(_ bytes: ByteBuffer, isText: Bool) async throws { try await sends.post(bytes) }

    func receive() async throws -> ByteBuffer? {
        guard let event = try await stream.chunk() else { return nil }
        // One event per chunk, one data line per event: hub messages hold no line feed.
        let text = String(buffer: event)
        guard text.hasPrefix("data: "), text.hasSuffix("\r\n\r\n") else { throw BadHTTP(bytes: text) }
        return ByteBuffer(string: String(text.utf8.dropFirst(6).dropLast(4)) ?? "")
    }

    func close() async throws { stream.close() }
    func drop() { stream.close() }
}

/// Long polling: every receive is a request.
final class LongPollingClient: ClientTransport {
    let polls: Socket
    let target: String
    private let headers: [(String, String)]
    private let sends: Sends

    init(_ server: TestServer, _ target: String, headers: [(String, String)]) async throws {
        self.polls = try await server.connect()
        self.sends = try await Sends(server.connect(), target, headers)
        self.target = target
        self.headers = headers
        let first = try await polls.request("GET", target, headers: headers)
        guard first.status == 200, first.body.readableBytes == 0 else { throw UnexpectedReply(reply: first) }
    }

    func send(_ bytes: ByteBuffer, isText: Bool) async throws { try await sends.post(bytes) }

    func receive() async throws -> ByteBuffer? {
        while true {
            let reply = try await polls.request("GET", target, headers: headers)
            if reply.status == 204 { return nil }
            guard reply.status == 200 else { throw UnexpectedReply(reply: reply) }
            if reply.body.readableBytes > 0 { return reply.body }
        }
    }

    func close() async throws {
        let reply = try await sends.socket.request("DELETE", target, headers: headers)
        guard reply.status == 202 else { throw UnexpectedReply(reply: reply) }
    }

    func drop() { polls.close() }
}

/// POSTs one after the other, as clients do.
private struct Sends: Sendable {
    let socket: Socket
    let target: String
    let headers: [(String, String)]

    init(_ socket: Socket, _ target: String, _ headers: [(String, String)]) {
        self.socket = socket
        self.target = target
        self.headers = headers
    }

    func post(_ bytes: ByteBuffer) async throws {
        let reply = try await socket.request("POST", target, headers: headers, body: bytes)
        guard reply.status == 200 else { throw UnexpectedReply(reply: reply) }
    }
}

struct UnexpectedReply: Error { let reply: Reply }
