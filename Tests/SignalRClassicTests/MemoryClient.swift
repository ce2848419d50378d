// SignalBox: a classic client in memory: what it asks for, and every byte that it gets
// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import NIOCore
import NIOEmbedded
import SignalR
import SignalRClassic
import SignalRWire
import Testing
import _SignalRWebSocket

struct UnexpectedResponse: Error { let response: HubResponse }

/// A negotiated client, which opens transports one after the other. All live on one event loop, whose time the test moves.
final class MemoryClient: Sendable {
    let endpoint: ClassicEndpoint
    let path: String
    let id: String
    let token: String
    let version: String?
    let data: String?
    let user: String?
    let loop: NIOAsyncTestingEventLoop

    init(
        _ endpoint: ClassicEndpoint, path: String = "/signalr", version: String? = "2.1",
        data: String? = Stage.chatData, user: String? = nil, on loop: NIOAsyncTestingEventLoop = .init()
    ) async throws {
        self.loop = loop
        self.endpoint = endpoint
        self.path = path
        self.version = version
        self.data = data
        self.user = user
        var query: [(String, String)] = []
        if let version { query.append(("clientProtocol", version)) }
        if let data { query.append(("connectionData", data)) }
        let response = await endpoint.request(
            "\(path)/negotiate", query, headers: Self.headers(user), on: NIOAsyncTestingChannel(loop: self.loop))
        guard response.status == .ok, case let answer = try JSON.value(from: response.body),
            case .string(let token)? = answer["ConnectionToken"], case .string(let id)? = answer["ConnectionId"]
        else { throw UnexpectedResponse(response: response) }
        (self.token, self.id) = (token, id)
    }

    static func headers(_ user: String?) -> HTTPFields { user.map { [.init("X-User")!: $0] } ?? [:] }

    func query(_ transport: String, _ more: [(String, String)] = []) -> [(String, String)] {
        var query = [("transport", transport), ("connectionToken", self.token)]
        if let version { query.append(("clientProtocol", version)) }
        if let data { query.append(("connectionData", data)) }
        return query + more
    }

    func request(
        _ action: String, _ transport: String, _ more: [(String, String)] = [], headers: HTTPFields = [:],
        post form: String? = nil, on channel: NIOAsyncTestingChannel? = nil, to endpoint: ClassicEndpoint? = nil
    ) async -> HubResponse {
        var fields = Self.headers(self.user)
        for field in headers { fields.append(field) }
        return await (endpoint ?? self.endpoint).request(
            "\(self.path)/\(action)", self.query(transport, more), headers: fields, post: form,
            on: channel ?? NIOAsyncTestingChannel(loop: self.loop))
    }

    // MARK: Transports

    private static let upgrade: HTTPFields = [
        .connection: "Upgrade", .upgrade: "websocket", .secWebSocketVersion: "13",
        .secWebSocketKey: "dGhlIHNhbXBsZSBub25jZQ==",
    ]

    func stream(
        _ transport: String, _ action: String = "connect", _ more: [(String, String)] = [],
        to endpoint: ClassicEndpoint? = nil
    ) async throws -> MemoryStream {
        let channel = NIOAsyncTestingChannel(loop: self.loop)
        let response = await self.request(
            action, transport, more, headers: transport == "webSockets" ? Self.upgrade : [:], on: channel,
            to: endpoint)
        guard let takeOver = response.takeOver else { throw UnexpectedResponse(response: response) }
        try await channel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 1))
        try await self.loop.executeInContext { try takeOver(HostChannel(channel, reachesSocket: false)) }
        await self.loop.run()
        return MemoryStream(channel, response, isWebSocket: transport == "webSockets")
    }

    /// A client past `/start`.
    func connected(_ transport: String = "webSockets") async throws -> MemoryStream {
        let stream = try await self.stream(transport)
        _ = try await stream.initial()
        try await self.start(transport)
        return stream
    }

    func start(_ transport: String = "webSockets") async throws {
        let response = await self.request("start", transport)
        guard response.text == "{ \"Response\": \"started\" }" else { throw UnexpectedResponse(response: response) }
    }

    /// The pieces of a poll's body, as they come.
    func poll(
        _ action: String = "poll", _ more: [(String, String)] = [], form: String? = ""
    ) async throws -> MemoryPoll {
        let response = await self.request(action, "longPolling", more, post: form)
        guard let stream = response.stream else { throw UnexpectedResponse(response: response) }
        return MemoryPoll(response, stream)
    }

    func send(_ json: String, over transport: String = "serverSentEvents") async -> HubResponse {
        await self.request("send", transport, post: "data=\(escape(json))")
    }

    /// Lets seconds pass.
    func pass(seconds: Int) async {
        for _ in 0..<seconds { await self.loop.advanceTime(by: .seconds(1)) }
    }
}

/// The body of one poll.
final class MemoryPoll: Sendable {
    let response: HubResponse
    private let pieces: AsyncStream<String>
    private let task: Task<Void, any Error>

    init(_ response: HubResponse, _ stream: @escaping HubResponse.Stream) {
        self.response = response
        let (pieces, writer) = AsyncStream.makeStream(of: String.self)
        self.pieces = pieces
        self.task = Task {
            defer { writer.finish() }
            try await stream { writer.yield(String(buffer: $0)) }
        }
    }

    /// The head has left, and the poll is known to its connection.
    func begun() async throws {
        let first = await self.next()
        #expect(first == "")
    }

    func next() async -> String? {
        var iterator = self.pieces.makeAsyncIterator()
        return await iterator.next()
    }

    /// All of the body.
    func body() async -> String {
        var body = ""
        for await piece in self.pieces { body += piece }
        return body
    }

    func abandon() { self.task.cancel() }
}

/// One endless response.
///
/// Safety: used by one test task.
final class MemoryStream: @unchecked Sendable {
    let channel: NIOAsyncTestingChannel
    let response: HubResponse
    private let isWebSocket: Bool
    private var bytes = ByteBuffer()
    private var reader = WebSocketReader(
        role: .client, maximumFrameSize: 1 << 24, inflater: nil, maximumInflatedSize: 1 << 24)
    /// The newest cursor.
    private(set) var cursor = ""
    private(set) var groups: String?

    init(_ channel: NIOAsyncTestingChannel, _ response: HubResponse, isWebSocket: Bool) {
        self.channel = channel
        self.response = response
        self.isWebSocket = isWebSocket
    }

    /// The next text of the socket, or the next chunk of the stream; nil after the end.
    func next() async throws -> String? {
        while true {
            if let text = try self.take() { return text.isEmpty ? nil : text }
            let more = try await self.channel.waitForOutboundWrite(as: ByteBuffer.self)
            self.bytes.writeImmutableBuffer(more)
        }
    }

    private func take() throws -> String? {
        guard !self.isWebSocket else {
            switch try self.reader.next(from: &self.bytes) {
            case .data(let payload, _, _): return String(buffer: payload)
            case .close(let code, _): return code == .normal ? "" : "closed \(code.map { "\($0.rawValue)" } ?? "")"
            default: return nil
            }
        }
        guard let end = self.bytes.readableBytesView.firstIndex(of: 0x0D) else { return nil }
        let size = Int(String(decoding: self.bytes.readableBytesView[..<end], as: UTF8.self), radix: 16) ?? 0
        guard self.bytes.readableBytes >= end - self.bytes.readerIndex + 4 + size else { return nil }
        self.bytes.moveReaderIndex(to: end + 2)
        defer { self.bytes.moveReaderIndex(forwardBy: 2) }
        return self.bytes.readString(length: size)
    }

    /// The next frame as JSON, without keep-alives; remembers the cursor.
    func frame() async throws -> HubValue? {
        while let text = try await self.next() {
            let json =
                text.hasPrefix("data: ")
                ? String(text.dropFirst(6).dropLast(2))
                : text.hasPrefix("<script>f(") ? String(text.dropFirst(10).dropLast(12)) : text
            if json == "{}" { continue }
            let value = try JSON.value(from: ByteBuffer(string: json))
            if case .string(let cursor)? = value["C"] { self.cursor = cursor }
            if case .string(let groups)? = value["G"] { self.groups = groups }
            return value
        }
        return nil
    }

    /// Reads up to the first frame.
    func initial() async throws -> HubValue? {
        if !self.isWebSocket { _ = try await self.next() }
        return try await self.frame()
    }

    /// The next frame's messages, from the first frame that has some.
    func messages() async throws -> [HubValue] {
        while let frame = try await self.frame() {
            if case .array(let messages)? = frame["M"], !messages.isEmpty { return messages }
        }
        return []
    }

    // MARK: WebSockets

    func send(_ text: String) async throws {
        var frame = ByteBuffer()
        WebSocketFrame.write(opcode: .text, payload: ByteBuffer(string: text), mask: 0x1234_5678, into: &frame)
        try await self.channel.writeInbound(frame)
        await self.channel.testingEventLoop.run()
    }

    /// One message in several frames.
    func send(pieces: [String], binary: Bool = false) async throws {
        var bytes = ByteBuffer()
        for (index, piece) in pieces.enumerated() {
            let opcode: WebSocketOpcode = index > 0 ? .continuation : binary ? .binary : .text
            WebSocketFrame.write(
                opcode: opcode, payload: ByteBuffer(string: piece), final: index == pieces.count - 1,
                mask: 0x1234_5678, into: &bytes)
        }
        try await self.channel.writeInbound(bytes)
        await self.channel.testingEventLoop.run()
    }

    /// What has left the channel and was not read here yet.
    func rest() async throws -> String {
        var text = ""
        while let more = try await self.channel.readOutbound(as: ByteBuffer.self) { text += String(buffer: more) }
        return text
    }

    /// Leaves as a browser does whose page goes away.
    func sendClose() async throws {
        var frame = ByteBuffer()
        WebSocketFrame.write(
            opcode: .close, payload: ByteBuffer(bytes: [0x03, 0xE9]), mask: 0x1234_5678, into: &frame)
        try await self.channel.writeInbound(frame)
        await self.channel.testingEventLoop.run()
    }

    /// The network takes no bytes, or takes them again.
    func setWritable(_ isWritable: Bool) async throws {
        self.channel.isWritable = isWritable
        let channel = self.channel
        try await channel.testingEventLoop.executeInContext { channel.pipeline.fireChannelWritabilityChanged() }
        await channel.testingEventLoop.run()
    }

    /// The network goes.
    func lose() async throws {
        try await self.channel.close()
        await self.channel.testingEventLoop.run()
    }
}

/// A hub message as it must be.
func call(_ hub: String, _ method: String, _ arguments: HubValue...) -> HubValue {
    .map([
        .init(key: "H", value: .string(hub)), .init(key: "M", value: .string(method)),
        .init(key: "A", value: .array(arguments)),
    ])
}
