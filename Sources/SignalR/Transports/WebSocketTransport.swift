// SignalBox: a connection over a WebSocket: the only handler left in the channel after the upgrade
// SPDX-License-Identifier: Apache-2.0

import NIOCore
import SignalRWire
import _SignalRWebSocket

/// RFC 6455 on a channel. Opcodes and boundaries of what the client sends do not matter to the connection, which sees a byte stream.
final class WebSocketTransport: ChannelDuplexHandler, SocketTransport {
    typealias InboundIn = ByteBuffer
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private enum Closing {
        /// Can go to `sent` or `received`.
        case open
        /// Our Close frame is out; waiting for the client's.
        case sent
        /// The client's Close frame came; ours follows with the same code.
        case received(WebSocketCloseCode?)
        /// The client broke the protocol: our Close frame is out, and input is dropped until the client hangs up or the time is over.
        /// Closing at once would reset the connection, and the client might never see the code.
        case failed
        case done
    }

    private let connection: Connection
    private var reader: WebSocketReader
    /// Bytes of an incomplete frame header.
    private var partial: ByteBuffer?
    private var context: ChannelHandlerContext?
    /// What the connection knows as its transport: this handler, or its relay. Forms a cycle until the handler is removed.
    private var transport: (any Transport)?
    private var closing = Closing.open
    var output: SocketOutput { didSet { if isLocal { connection.updateLane() } } }
    private let isDeflated: Bool
    private var readIsHeld = false
    /// What the channel said last; asking it again for every message is a noticeable part of a broadcast.
    private var isWritable = true
    /// What `connection.isOverfull` said last, when it lives on another event loop.
    private var remoteIsFull = false
    private let resumes: Bool
    /// A stateful client's new socket may land on another event loop than its connection; then every call hops.
    private let isLocal: Bool
    /// What the pong to come must carry, while the client does not read. Of several pings only the last needs an answer (RFC 6455 §5.5.3).
    private var owedPong: [UInt8]?

    init(
        _ connection: Connection, deflate: PerMessageDeflate.Parameters?, resumes: Bool,
        isLocal: Bool, output: SocketOutput
    ) {
        self.connection = connection
        self.isLocal = isLocal
        self.isDeflated = deflate != nil
        self.resumes = resumes
        self.output = output
        self.reader = WebSocketReader(
            role: .server, maximumFrameSize: connection.limits.maximumWebSocketFrameSize,
            inflater: deflate == nil ? nil : Inflater(),
            maximumInflatedSize: connection.limits.maximumWebSocketFrameSize)
    }

    // MARK: Transport

    var kind: TransportKind { .webSockets }

    var canWrite: Bool {
        guard case .open = closing else { return false }
        return isWritable
    }

    func packaging(for format: TransferFormat) -> Packaging {
        Packaging(rawValue: (isDeflated ? Packaging.deflatedText : .webSocketText).rawValue)?.carrying(format)
            ?? .webSocketText
    }

    func write(_ bytes: ByteBuffer) {
        guard let context else { return }
        switch closing {
        case .open, .received: put(bytes, context)
        case .sent, .failed, .done: break
        }
    }

    func resumeReading() {
        remoteIsFull = false
        guard readIsHeld, let context else { return }
        readIsHeld = false
        context.read()
    }

    func close(_ reason: CloseReason) {
        guard let context else { return }
        switch closing {
        case .open where reason == .slowConsumerBytes || reason == .slowConsumerTime:
            // The Close frame would only queue up behind what the client does not read.
            finish(context)
        case .open: sendClose(reason.webSocketCode, context)
        case .received(let code): answerClose(code, context)
        case .sent, .failed, .done: break
        }
    }

    private func sendClose(_ code: WebSocketCloseCode, _ context: ChannelHandlerContext) {
        let isFailure = code != .normal
        closing = isFailure ? .failed : .sent
        output = .channel
        context.writeAndFlush(wrapOutboundOut(WebSocketFrame.close(code: code, reason: "")), promise: nil)
        if isFailure { context.close(mode: .output, promise: nil) }
        resumeReading()
        let channel = context.channel
        let timeout = context.eventLoop.scheduleTask(in: TimeAmount(connection.limits.webSocketCloseTimeout)) {
            channel.close(promise: nil)
        }
        channel.closeFuture.whenComplete { _ in timeout.cancel() }
    }

    private func answerClose(_ code: WebSocketCloseCode?, _ context: ChannelHandlerContext) {
        closing = .done
        output = .channel
        let channel = context.channel
        context.writeAndFlush(wrapOutboundOut(WebSocketFrame.close(code: code, reason: ""))).whenComplete { _ in
            channel.close(promise: nil)
        }
    }

    private func finish(_ context: ChannelHandlerContext) {
        closing = .done
        output = .channel
        context.close(promise: nil)
    }

    // MARK: Channel

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        isWritable = context.channel.isWritable
        let transport: any Transport = isLocal ? self : RemoteTransport(self, on: context.channel)
        let (connection, resumes) = (connection, resumes)
        self.transport = transport
        withConnection { resumes ? connection.resume(transport) : connection.attach(transport) }
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.context = nil
        transport = nil
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        if case .failed = closing { return }
        var bytes = unwrapInboundIn(data)
        if var held = partial {
            held.writeImmutableBuffer(bytes)
            bytes = held
            partial = nil
        }
        do {
            while let event = try reader.next(from: &bytes) { handle(event, context) }
            if bytes.readableBytes > 0 { partial = ByteBuffer(bytes: bytes.readableBytesView) }
        } catch {
            fail(error, context)
        }
    }

    private func handle(_ event: WebSocketEvent, _ context: ChannelHandlerContext) {
        switch event {
        case .data(let payload, let kind, let isLast):
            if case .open = closing { receive(payload, isText: kind == .text, isLast: isLast, context) }
        case .ping(let payload):
            guard case .open = closing else { return }
            guard isWritable else { return owedPong = Array(payload.readableBytesView) }
            answerPing(payload, context)
        case .pong: break
        case .close(let code, _): closeReceived(code, context)
        }
    }

    private func answerPing(_ payload: ByteBuffer, _ context: ChannelHandlerContext) {
        var pong = ByteBuffer()
        WebSocketFrame.write(opcode: .pong, payload: payload, into: &pong)
        put(pong, context)
    }

    private func receive(_ payload: ByteBuffer, isText: Bool, isLast: Bool, _ context: ChannelHandlerContext) {
        if isLocal { return connection.receive(payload, isText: isText, isLast: isLast) }
        let (me, loop) = (NIOLoopBound(self, eventLoop: context.eventLoop), context.eventLoop)
        asItsTransport { [connection] in
            connection.receive(payload, isText: isText, isLast: isLast)
            if connection.isOverfull { loop.execute { me.value.remoteIsFull = true } }
        }
    }

    /// Runs `work` where the connection lives.
    private func withConnection(_ work: @escaping () -> Void) {
        if isLocal { return work() }
        // Safety: what it captures, the connection and a relay, is used on that event loop only.
        nonisolated(unsafe) let work = work
        connection.eventLoop.execute { work() }
    }

    /// The same, unless another socket took this one's place in the meantime.
    private func asItsTransport(_ work: @escaping () -> Void) {
        if isLocal { return work() }
        guard let transport else { return }
        withConnection { [connection] in if connection.transport === transport { work() } }
    }

    private func closeReceived(_ code: WebSocketCloseCode?, _ context: ChannelHandlerContext) {
        switch closing {
        case .open:
            closing = .received(code)
            asItsTransport { [connection] in connection.inputEnded(code: code.map { Int($0.rawValue) }) }
            // The connection was over, or is on its way to be.
            if case .received = closing { answerClose(code, context) }
        case .sent: finish(context)
        case .received, .failed, .done: break
        }
    }

    private func fail(_ error: any Error, _ context: ChannelHandlerContext) {
        guard case .open = closing else {
            closing = .failed
            return
        }
        let code = (error as? WebSocketError)?.code ?? .internalError
        let reason = CloseReason.webSocket(code, "\(error)")
        asItsTransport { [connection] in connection.close(reason) }
        // A connection that lost this socket already does not close it.
        if case .open = closing { sendClose(code, context) }
    }

    func read(context: ChannelHandlerContext) {
        if isLocal ? connection.isOverfull : remoteIsFull {
            readIsHeld = true
        } else {
            context.read()
        }
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        guard let transport else { return }
        let canWrite = context.channel.isWritable
        isWritable = canWrite
        if canWrite, let payload = owedPong, case .open = closing {
            owedPong = nil
            answerPing(ByteBuffer(bytes: payload), context)
        }
        withConnection { [connection] in connection.writabilityChanged(canWrite, of: transport) }
    }

    func channelInactive(context: ChannelHandlerContext) { lost("connection lost") }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        lost("\(error)")
        context.close(promise: nil)
    }

    private func lost(_ detail: String) {
        output = .channel
        guard case .open = closing else {
            closing = .done
            return
        }
        closing = .done
        guard let transport else { return }
        withConnection { [connection] in connection.lost(transport, .transportFailed(detail)) }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        switch event {
        case ChannelEvent.inputClosed:
            // A half-closed socket cannot answer the close handshake.
            lost("end of input")
            context.close(promise: nil)
        case is ChannelShouldQuiesceEvent: withConnection { [connection] in connection.close(.shutdown) }
        default: context.fireUserInboundEventTriggered(event)
        }
    }
}
