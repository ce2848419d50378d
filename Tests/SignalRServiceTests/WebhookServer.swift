// SignalBox: an HTTP server for upstream events that answers, or misbehaves, byte by byte as a test wants
// SPDX-License-Identifier: Apache-2.0

import NIOConcurrencyHelpers
import NIOCore
import NIOPosix

/// A receiver of events on a free port of the loopback.
final class WebhookServer: Sendable {
    struct Request: Sendable {
        let path: String
        /// By lower-case name.
        let headers: [String: String]
        let body: ByteBuffer

        var event: String { headers["x-asrs-event"] ?? "" }
        var text: String { String(buffer: body) }
    }

    enum Reply: Sendable {
        case answer(Int, ByteBuffer = ByteBuffer(), headers: String = "")
        /// These bytes, and then the end of the connection.
        case raw(String)
        case hangUp
        /// Nothing at all until the other side gives up.
        case silence

        static func text(_ text: String) -> Reply { .answer(200, ByteBuffer(string: text)) }
    }

    let port: Int
    /// Every request in the order of arrival.
    let requests: AsyncStream<Request>

    private init(port: Int, requests: AsyncStream<Request>) {
        self.port = port
        self.requests = requests
    }

    var url: String { "http://127.0.0.1:\(port)" }

    /// The next request whose event is `event`, or any.
    func next(_ event: String? = nil) async -> Request? {
        for await request in requests where event == nil || request.event == event { return request }
        return nil
    }

    /// Serves while `body` runs.
    static func run<R: Sendable>(
        answering answer: @escaping @Sendable (Request) async -> Reply = { _ in .answer(204) },
        _ body: @Sendable (WebhookServer) async throws -> R
    ) async throws -> R {
        let listener = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .bind(host: "127.0.0.1", port: 0) { channel in
                channel.eventLoop.makeCompletedFuture {
                    try NIOAsyncChannel<ByteBuffer, ByteBuffer>(wrappingChannelSynchronously: channel)
                }
            }
        let (requests, arrived) = AsyncStream.makeStream(of: Request.self)
        let server = WebhookServer(port: listener.channel.localAddress?.port ?? 0, requests: requests)
        return try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask {
                try await withThrowingDiscardingTaskGroup { connections in
                    try await listener.executeThenClose { accepted in
                        for try await connection in accepted {
                            connections.addTask { try? await serve(connection, arrived, answer) }
                        }
                    }
                }
            }
            defer { tasks.cancelAll() }
            return try await body(server)
        }
    }

    private static func serve(
        _ connection: NIOAsyncChannel<ByteBuffer, ByteBuffer>, _ arrived: AsyncStream<Request>.Continuation,
        _ answer: @Sendable (Request) async -> Reply
    ) async throws {
        try await connection.executeThenClose { inbound, outbound in
            var received = ByteBuffer()
            for try await bytes in inbound {
                received.writeImmutableBuffer(bytes)
                while let request = Self.request(from: &received) {
                    arrived.yield(request)
                    switch await answer(request) {
                    case .answer(let status, let body, let headers):
                        try await outbound.write(
                            ByteBuffer(
                                string:
                                    "HTTP/1.1 \(status) X\r\ncontent-length: \(body.readableBytes)\r\n\(headers)\r\n"))
                        if body.readableBytes > 0 { try await outbound.write(body) }
                    case .raw(let text):
                        try await outbound.write(ByteBuffer(string: text))
                        return
                    case .hangUp: return
                    case .silence: break
                    }
                }
            }
        }
    }

    private static func request(from buffer: inout ByteBuffer) -> Request? {
        let view = buffer.readableBytesView
        guard let end = view.firstRange(of: Array("\r\n\r\n".utf8)) else { return nil }
        let lines = String(decoding: view[..<end.lowerBound], as: UTF8.self).split(separator: "\r\n")
        var headers: [String: String] = [:]
        for line in lines.dropFirst() {
            guard let colon = line.firstIndex(of: ":") else { continue }
            headers[line[..<colon].lowercased()] = String(line[line.index(after: colon)...].drop { $0 == " " })
        }
        let length = headers["content-length"].flatMap { Int($0) } ?? 0
        guard view.endIndex - end.upperBound >= length else { return nil }
        buffer.moveReaderIndex(to: end.upperBound)
        let body = buffer.readSlice(length: length) ?? ByteBuffer()
        return Request(path: String(lines[0].split(separator: " ")[1]), headers: headers, body: body)
    }
}

/// A lock that tests open: what waits for it goes on then.
final class Latch: Sendable {
    private let state = NIOLockedValueBox<(isOpen: Bool, waiters: [CheckedContinuation<Void, Never>])>((false, []))

    func open() {
        let waiters = state.withLockedValue { state in
            state.isOpen = true
            defer { state.waiters = [] }
            return state.waiters
        }
        for waiter in waiters { waiter.resume() }
    }

    func wait() async {
        await withCheckedContinuation { waiter in
            let isOpen = state.withLockedValue { state in
                if !state.isOpen { state.waiters.append(waiter) }
                return state.isOpen
            }
            if isOpen { waiter.resume() }
        }
    }
}
