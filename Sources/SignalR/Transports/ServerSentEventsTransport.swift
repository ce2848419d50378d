// SignalBox: a connection whose server-to-client half is one endless response of Server-Sent Events
// SPDX-License-Identifier: Apache-2.0

import NIOCore
import SignalRWire

/// Takes a channel over after the response head: every message is one event in one HTTP chunk, ready for all receivers.
/// What the client sends comes by POST.
final class ServerSentEventsTransport: ChannelInboundHandler, SocketTransport {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let connection: Connection
    private var context: ChannelHandlerContext?
    private var isOpen = true
    var output: SocketOutput { didSet { connection.updateLane() } }
    /// What the channel said last; asking it again for every message is a noticeable part of a broadcast.
    private var isWritable = true

    init(_ connection: Connection, output: SocketOutput) {
        self.connection = connection
        self.output = output
    }

    // MARK: Transport

    let kind = TransportKind.serverSentEvents
    var canWrite: Bool { isOpen && isWritable }
    func packaging(for format: TransferFormat) -> Packaging { .serverSentEvent }
    func resumeReading() {}

    func write(_ bytes: ByteBuffer) {
        guard isOpen, let context else { return }
        put(bytes, context)
    }

    func close(_ reason: CloseReason) {
        guard isOpen, let context else { return }
        isOpen = false
        output = .channel
        guard reason != .slowConsumerBytes, reason != .slowConsumerTime else { return context.close(promise: nil) }
        let channel = context.channel
        context.writeAndFlush(wrapOutboundOut(ByteBuffer(staticString: "0\r\n\r\n"))).whenComplete { _ in
            channel.close(promise: nil)
        }
    }

    // MARK: Channel

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        isWritable = context.channel.isWritable
        // A comment makes clients see an open stream before the first event.
        put(ByteBuffer(staticString: "3\r\n:\r\n\r\n"), context)
        connection.attach(self)
    }

    func handlerRemoved(context: ChannelHandlerContext) { self.context = nil }

    /// Nothing may follow the request; pipelined bytes are dropped.
    func channelRead(context: ChannelHandlerContext, data: NIOAny) {}

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        isWritable = context.channel.isWritable
        connection.writabilityChanged(isWritable, of: self)
    }

    func channelInactive(context: ChannelHandlerContext) { ended() }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        ended()
        context.close(promise: nil)
    }

    private func ended() {
        output = .channel
        guard isOpen else { return }
        isOpen = false
        connection.close(.streamClosed)
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        switch event {
        case ChannelEvent.inputClosed:
            ended()
            context.close(promise: nil)
        case is ChannelShouldQuiesceEvent: connection.close(.shutdown)
        default: context.fireUserInboundEventTriggered(event)
        }
    }
}
