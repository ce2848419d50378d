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
        let (requests, arrived) = AsyncStream.makeStream(of: Request.self)
        let connections = NIOLockedValueBox<[any Channel]>([])
        let listener = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelInitializer { channel in
                connections.withLockedValue { $0.append(channel) }
                return channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(Connection(arrived, answer))
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        let server = WebhookServer(port: listener.localAddress?.port ?? 0, requests: requests)
        let result: Result<R, any Error>
        do { result = .success(try await body(server)) } catch { result = .failure(error) }
        // Nobody listens on the port when this returns.
        try? await listener.close()
        for connection in connections.withLockedValue({ $0 }) { try? await connection.close() }
        return try result.get()
    }

    /// Answers the requests of one client, which sends the next one after the answer.
    private final class Connection: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        private let arrived: AsyncStream<Request>.Continuation
        private let answer: @Sendable (Request) async -> Reply
        private var received = ByteBuffer()

        init(_ arrived: AsyncStream<Request>.Continuation, _ answer: @escaping @Sendable (Request) async -> Reply) {
            self.arrived = arrived
            self.answer = answer
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            received.writeImmutableBuffer(unwrapInboundIn(data))
            while let request = WebhookServer.request(from: &received) {
                arrived.yield(request)
                Self.reply(to: request, answer, on: context.channel)
            }
        }

        func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

        private static func reply(
            to request: Request, _ answer: @escaping @Sendable (Request) async -> Reply, on channel: any Channel
        ) {
            Task {
                let reply = await answer(request)
                send(reply, on: channel)
            }
        }

        private static func send(_ reply: Reply, on channel: any Channel) {
            switch reply {
            case .answer(let status, let body, let headers):
                var out = ByteBuffer(
                    string: "HTTP/1.1 \(status) X\r\ncontent-length: \(body.readableBytes)\r\n\(headers)\r\n")
                out.writeImmutableBuffer(body)
                channel.writeAndFlush(out, promise: nil)
            case .raw(let text):
                channel.writeAndFlush(ByteBuffer(string: text)).whenComplete { _ in channel.close(promise: nil) }
            case .hangUp: channel.close(promise: nil)
            case .silence: break
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
