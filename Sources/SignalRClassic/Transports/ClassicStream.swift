// SignalBox: a classic client whose server-to-client half is one endless response: Server-Sent Events or a forever frame
// SPDX-License-Identifier: Apache-2.0

import NIOCore
import SignalR
import SignalRWire

/// Takes a channel over after the response head. What a frame looks like is the packaging's business, so that both kinds are one writer.
/// What the client sends comes by POST.
final class ClassicStream: ChannelInboundHandler, SocketTransport {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let connection: Connection
    private let packaging: Packaging
    /// The first chunk, which shows that the stream is there.
    private let opening: ByteBuffer
    private let willAttach: @Sendable () -> Void
    /// What the connection knows as its transport: this handler, or its relay. Forms a cycle until the handler is removed.
    private var transport: (any Transport)?
    private var context: ChannelHandlerContext?
    private var isOpen = true
    /// The connection may live on another event loop, and then hears nothing of it.
    private var isLocal = false
    var output: SocketOutput { didSet { if self.isLocal { self.connection.updateLane() } } }
    /// What the channel said last.
    private var isWritable = true

    /// - Parameter opening: the beginning of the body.
    init(
        _ connection: Connection, _ packaging: Packaging, opening: ByteBuffer, output: SocketOutput,
        willAttach: @escaping @Sendable () -> Void
    ) {
        self.connection = connection
        self.packaging = packaging
        self.opening = opening
        self.output = output
        self.willAttach = willAttach
    }

    // MARK: Transport

    let kind = TransportKind.serverSentEvents
    var canWrite: Bool { self.isOpen && self.isWritable }
    func packaging(for format: TransferFormat) -> Packaging { self.packaging }
    func resumeReading() {}

    func write(_ bytes: ByteBuffer) {
        guard self.isOpen, let context else { return }
        self.put(bytes, context)
    }

    func close(_ reason: CloseReason) {
        guard self.isOpen, let context else { return }
        self.isOpen = false
        self.output = .channel
        guard reason != .slowConsumerBytes, reason != .slowConsumerTime else { return context.close(promise: nil) }
        let channel = context.channel
        context.writeAndFlush(self.wrapOutboundOut(ByteBuffer(staticString: "0\r\n\r\n"))).whenComplete { _ in
            channel.close(promise: nil)
        }
    }

    // MARK: Channel

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        var chunk = ByteBuffer(string: String(self.opening.readableBytes, radix: 16) + "\r\n")
        chunk.writeImmutableBuffer(self.opening)
        chunk.writeStaticString("\r\n")
        self.isWritable = context.channel.isWritable
        self.isLocal = self.connection.eventLoop === context.eventLoop
        self.put(chunk, context)
        let transport: any Transport = self.isLocal ? self : RemoteTransport(self, on: context.channel)
        self.transport = transport
        self.willAttach()
        self.withConnection { $0.resume(transport) }
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.context = nil
        self.transport = nil
    }

    /// Runs `work` where the connection lives.
    private func withConnection(_ work: @escaping (Connection) -> Void) {
        // Safety: what it captures, a relay or this handler on its own event loop, is used on that event loop only.
        nonisolated(unsafe) let work = work
        self.connection.onLoop { [connection] in work(connection) }
    }

    /// Nothing may follow the request; pipelined bytes are dropped.
    func channelRead(context: ChannelHandlerContext, data: NIOAny) {}

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        guard let transport else { return }
        let canWrite = context.channel.isWritable
        self.isWritable = canWrite
        self.withConnection { $0.writabilityChanged(canWrite, of: transport) }
    }

    func channelInactive(context: ChannelHandlerContext) { self.lost("connection lost") }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        self.lost("\(error)")
        context.close(promise: nil)
    }

    private func lost(_ detail: String) {
        self.output = .channel
        guard self.isOpen else { return }
        self.isOpen = false
        guard let transport else { return }
        self.withConnection { $0.lost(transport, .transportFailed(detail)) }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        switch event {
        case ChannelEvent.inputClosed:
            self.lost("end of input")
            context.close(promise: nil)
        case is ChannelShouldQuiesceEvent: self.withConnection { $0.close(.shutdown) }
        default: context.fireUserInboundEventTriggered(event)
        }
    }
}
