// SignalBox: a TCP or TLS connection as a test sees it: bytes out, bytes in, and a bound on every wait
// SPDX-License-Identifier: Apache-2.0

import NIOConcurrencyHelpers
import NIOCore
import NIOPosix
import NIOSSL

/// Longer than any answer takes on a busy machine; a test that waits longer fails instead of hanging.
let patience = TimeAmount.seconds(30)

struct TimedOut: Error {}

/// One connection to a server. One reader at a time.
final class Socket: Sendable {
    let channel: any Channel
    private let inbox: Inbox

    private init(_ channel: any Channel, _ inbox: Inbox) {
        self.channel = channel
        self.inbox = inbox
    }

    static func connect(
        port: Int, tls: NIOSSLContext? = nil, receiveBuffer: Int? = nil, on loop: (any EventLoop)? = nil
    ) async throws -> Socket {
        let inbox = Inbox()
        let group: any EventLoopGroup = loop ?? MultiThreadedEventLoopGroup.singleton
        var bootstrap = ClientBootstrap(group: group).channelOption(.socketOption(.tcp_nodelay), value: 1)
        if let receiveBuffer {
            bootstrap = bootstrap.channelOption(.socketOption(.so_rcvbuf), value: .init(clamping: receiveBuffer))
        }
        let channel =
            try await bootstrap
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let pipeline = channel.pipeline.syncOperations
                    if let tls { try pipeline.addHandler(NIOSSLClientHandler(context: tls, serverHostname: nil)) }
                    try pipeline.addHandler(InboxHandler(inbox))
                }
            }
            .connect(host: "127.0.0.1", port: port).get()
        return Socket(channel, inbox)
    }

    /// Returns when the bytes are on their way.
    func write(_ bytes: ByteBuffer) async throws { try await channel.writeAndFlush(bytes) }
    func write(_ text: String) async throws { try await write(ByteBuffer(string: text)) }

    /// What `parse` makes of the received bytes, as soon as it makes something; nil at the end of the input.
    func next<T: Sendable>(_ parse: (inout ByteBuffer) throws -> T?) async throws -> T? {
        while true {
            switch try inbox.take(parse, channel.eventLoop) {
            case .value(let value): return value
            case .end: return nil
            case .wait(let arrival): try await arrival.get()
            }
        }
    }

    /// All that comes until the server closes.
    func untilEnd() async throws -> ByteBuffer {
        var all = ByteBuffer()
        while var bytes = try await next({ $0.readableBytes > 0 ? $0.readSlice(length: $0.readableBytes) : nil }) {
            all.writeBuffer(&bytes)
        }
        return all
    }

    func close() { channel.close(promise: nil) }

    /// Ends the connection with a TCP reset.
    func reset() async throws {
        let linger = linger(l_onoff: 1, l_linger: 0)
        try await (channel as? any SocketOptionProvider)?.setSoLinger(linger).get()
        try? await channel.close()
    }

    /// Stops taking bytes from the kernel, so that the server's writes pile up.
    func stopReading() async throws { try await channel.setOption(.autoRead, value: false).get() }
    func resumeReading() async throws { try await channel.setOption(.autoRead, value: true).get() }
}

/// Received bytes that nobody took yet.
private final class Inbox: Sendable {
    enum Taken<T> {
        case value(T)
        case end
        case wait(EventLoopFuture<Void>)
    }
    private struct State {
        var bytes = ByteBuffer()
        var isOver = false
        var reader: EventLoopPromise<Void>?
    }
    private let state = NIOLockedValueBox(State())

    func take<T>(_ parse: (inout ByteBuffer) throws -> T?, _ loop: any EventLoop) throws -> Taken<T> {
        try state.withLockedValue { state in
            if let value = try parse(&state.bytes) { return .value(value) }
            if state.isOver { return .end }
            let promise = loop.makePromise(of: Void.self)
            let timeout = loop.scheduleTask(in: patience) { promise.fail(TimedOut()) }
            promise.futureResult.whenComplete { _ in timeout.cancel() }
            state.reader = promise
            return .wait(promise.futureResult)
        }
    }

    func receive(_ bytes: ByteBuffer) { wake { $0.bytes.writeImmutableBuffer(bytes) } }
    func finish() { wake { $0.isOver = true } }

    private func wake(_ change: (inout State) -> Void) {
        let reader = state.withLockedValue { state in
            change(&state)
            defer { state.reader = nil }
            return state.reader
        }
        reader?.succeed()
    }
}

private final class InboxHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    private let inbox: Inbox

    init(_ inbox: Inbox) { self.inbox = inbox }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) { inbox.receive(unwrapInboundIn(data)) }
    func channelInactive(context: ChannelHandlerContext) { inbox.finish() }
    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}
