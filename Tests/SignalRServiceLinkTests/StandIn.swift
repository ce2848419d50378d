// SignalBox: a service that the test plays: it takes server connections, and says what the test wants
// SPDX-License-Identifier: Apache-2.0

import NIOCore
import NIOPosix
import SignalRWire
import _SignalRWebSocket

/// Accepts WebSockets, whatever they ask for.
final class StandIn: Sendable {
    let port: Int
    private let listener: any Channel
    private let arrivals: Mailbox<Peer>

    init() async throws {
        let arrivals = Mailbox<Peer>()
        self.arrivals = arrivals
        self.listener = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .serverChannelOption(.backlog, value: 64)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(PeerHandler(Peer(channel), arrivals))
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        self.port = listener.localAddress?.port ?? 0
    }

    /// The next server connection, before its handshake.
    func arrival() async throws -> Peer { try await arrivals.next() }

    var isNobodyThere: Bool { arrivals.isEmpty }

    /// The same, welcomed.
    func connection() async throws -> Peer {
        let peer = try await arrival()
        guard case .handshakeRequest = try await peer.anyMessage() else { throw Unexpected(what: "no handshake") }
        try await peer.send(hex: welcome)
        return peer
    }

    func close() { listener.close(promise: nil) }
}

/// The handshake response of the vectors.
let welcome = "059402a080c0"

/// The service's end of one server connection.
final class Peer: Sendable {
    let channel: any Channel
    /// nil is the end.
    let inbox = Mailbox<(message: ServiceMessage, hex: String)?>()
    fileprivate let request: EventLoopPromise<String>

    fileprivate init(_ channel: any Channel) {
        self.channel = channel
        self.request = channel.eventLoop.makePromise()
    }

    /// The lines of the upgrade request.
    var head: [String] {
        get async throws { try await request.futureResult.get().split(separator: "\r\n").map(String.init) }
    }

    func send(_ messages: ServiceMessage...) async throws {
        var bytes = ByteBuffer()
        for message in messages { try ServiceCodec.write(message, into: &bytes) }
        try await send(bytes)
    }

    func send(hex: String) async throws { try await send(ByteBuffer(bytes: bytes(hex))) }

    func send(_ bytes: ByteBuffer, opcode: WebSocketOpcode = .binary) async throws {
        var frame = ByteBuffer()
        WebSocketFrame.write(opcode: opcode, payload: bytes, into: &frame)
        try await channel.writeAndFlush(frame)
    }

    func drop() { channel.close(promise: nil) }

    // MARK: What comes

    /// nil after the end.
    func anyMessage() async throws -> ServiceMessage? { try await inbox.next()?.message }

    /// The next one that is no ping, except such as have to be looked at.
    func next() async throws -> (message: ServiceMessage, hex: String) {
        while let next = try await inbox.next() {
            if case .ping(let pairs) = next.message, ["status", "#clientInHub", nil].contains(pairs.first) { continue }
            return next
        }
        throw Unexpected(what: "the end")
    }

    func message() async throws -> ServiceMessage { try await next().message }

    func untilEnd() async throws { while try await inbox.next() != nil {} }

    // MARK: Clients

    /// Introduces a client and sends its handshake request; returns when the hub has answered.
    func introduce(
        _ id: String, protocol name: String = "json", claims: [ServiceMessage.Claim] = [],
        headers: [ServiceMessage.Header] = [], query: String = "?hub=desk", version: Int = 1
    ) async throws {
        try await send(
            .openConnection(.init(id: id, claims: claims, headers: headers, query: query, extension: .protocol(name))),
            .connectionData(
                id: id, ByteBuffer(string: "{\"protocol\":\"\(name)\",\"version\":\(version)}\u{1E}"), []))
    }

    /// The same, and takes the hub's answer.
    func welcome(
        _ id: String, protocol name: String = "json", claims: [ServiceMessage.Claim] = [],
        headers: [ServiceMessage.Header] = [], query: String = "?hub=desk", version: Int = 1
    ) async throws {
        try await introduce(id, protocol: name, claims: claims, headers: headers, query: query, version: version)
        try await expect(id, "{}\u{1E}")
    }

    /// A client's bytes.
    func say(_ id: String, _ text: String) async throws {
        try await send(.connectionData(id: id, ByteBuffer(string: text + "\u{1E}"), []))
    }

    func call(_ id: String, _ target: String, _ arguments: String = "", invocation: String = "0") async throws {
        try await say(
            id, #"{"type":1,"invocationId":"\#(invocation)","target":"\#(target)","arguments":[\#(arguments)]}"#)
    }

    /// What the hub sends the client next.
    func text(for id: String) async throws -> String {
        let message = try await message()
        guard case .connectionData(id, let bytes, []) = message else { throw Unexpected(what: "\(message)") }
        return String(buffer: bytes)
    }

    func expect(_ id: String, _ text: String) async throws {
        let got = try await self.text(for: id)
        guard got == text else { throw Unexpected(what: got) }
    }
}

func bytes(_ hex: String) -> [UInt8] {
    var bytes: [UInt8] = []
    var rest = hex[...]
    while !rest.isEmpty {
        bytes.append(UInt8(rest.prefix(2), radix: 16) ?? 0)
        rest = rest.dropFirst(2)
    }
    return bytes
}

func hex(_ bytes: ByteBuffer) -> String {
    bytes.readableBytesView.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
}

private final class PeerHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let peer: Peer
    private let arrivals: Mailbox<Peer>
    private var inbound = ByteBuffer()
    private var stream = ByteBuffer()
    private var isOpen = false
    private var reader = WebSocketReader(role: .server, maximumFrameSize: 1 << 26, maximumInflatedSize: 0)

    init(_ peer: Peer, _ arrivals: Mailbox<Peer>) {
        self.peer = peer
        self.arrivals = arrivals
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        inbound.writeImmutableBuffer(unwrapInboundIn(data))
        if !isOpen { upgrade(context) }
        guard isOpen else { return }
        do {
            while let event = try reader.next(from: &inbound) { try receive(event, context) }
        } catch {
            context.close(promise: nil)
        }
    }

    private func upgrade(_ context: ChannelHandlerContext) {
        let text = String(buffer: inbound)
        guard text.hasSuffix("\r\n\r\n") else { return }
        inbound.clear()
        isOpen = true
        let key = text.split(separator: "\r\n").first { $0.lowercased().hasPrefix("sec-websocket-key: ") }?.dropFirst(
            19)
        let accept = WebSocketHandshake.acceptValue(forKey: String(key ?? ""))
        let answer =
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            + "Sec-WebSocket-Accept: \(accept)\r\n\r\n"
        context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: answer)), promise: nil)
        peer.request.succeed(text)
        arrivals.put(peer)
    }

    private func receive(_ event: WebSocketEvent, _ context: ChannelHandlerContext) throws {
        switch event {
        case .data(let bytes, .binary, _): stream.writeImmutableBuffer(bytes)
        case .pong(let bytes): peer.inbox.put((.ping(["pong", String(buffer: bytes)]), ""))
        case .close(let code, _):
            context.writeAndFlush(wrapOutboundOut(WebSocketFrame.close(code: code)), promise: nil)
            context.close(promise: nil)
        default: context.close(promise: nil)
        }
        var before = stream
        while let message = try ServiceCodec.read(from: &stream) {
            let frame = before.readSlice(length: before.readableBytes - stream.readableBytes) ?? ByteBuffer()
            peer.inbox.put((message, hex(frame)))
            before = stream
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        peer.request.fail(ChannelError.eof)
        peer.inbox.put(nil)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}
