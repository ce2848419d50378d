// SignalBox: the client's end of a WebSocket to the service
// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import NIOCore
import SignalRWire
import _SignalRWebSocket

/// Who uses a ``ServiceSocket``. Everything on the channel's event loop.
protocol ServiceSocketUser: AnyObject {
    /// The service accepted the WebSocket.
    func opened()
    /// Bytes of the stream that binary messages make up; their boundaries mean nothing (service reference, "HTTP upgrade").
    func received(_ bytes: ByteBuffer)
    /// All of what one read brought was given.
    func readComplete()
    /// How many bytes wait for the socket has changed.
    func queueChanged()
    /// The last call.
    func ended(_ reason: String)
}

/// Upgrades, joins what a tick sends into one frame, masks, answers pings, closes.
///
/// Safety: on the channel's event loop only.
final class ServiceSocket: ChannelInboundHandler, RemovableChannelHandler, @unchecked Sendable {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let handshake = WebSocketClientHandshake()
    private let request: (target: String, host: String, headers: HTTPFields)
    private weak var user: (any ServiceSocketUser)?
    private var phase = Phase.opening
    private var context: ChannelHandlerContext?
    private var inbound = ByteBuffer()
    private var reader = WebSocketReader(
        role: .client, maximumFrameSize: ServiceCodec.maximumSize, maximumInflatedSize: 0)
    /// Of this tick.
    private var outbox = ByteBuffer()
    /// Given to the channel and not on its way yet.
    private var bytesInChannel = 0

    private enum Phase {
        /// Can go to `open` or `over`.
        case opening
        /// Can go to `closing` or `over`.
        case open
        /// Our Close frame is on its way; can go to `over`.
        case closing
        case over
    }

    /// A tick's bytes are cut here; the peer may refuse larger frames.
    private static let frameSize = 1 << 17
    private static let closeTimeout = TimeAmount.seconds(5)

    init(target: String, host: String, headers: HTTPFields, user: any ServiceSocketUser) {
        self.request = (target, host, headers)
        self.user = user
    }

    /// Bytes that wait.
    var queuedBytes: Int { outbox.readableBytes + bytesInChannel }

    // MARK: Input

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        if phase == .over { return context.close(promise: nil) }
        if context.channel.isActive { ask(context) }
    }

    func handlerRemoved(context: ChannelHandlerContext) { self.context = nil }

    func channelActive(context: ChannelHandlerContext) {
        if phase == .opening { ask(context) }
        context.fireChannelActive()
    }

    private func ask(_ context: ChannelHandlerContext) {
        let bytes = handshake.request(target: request.target, host: request.host, headers: request.headers)
        context.writeAndFlush(wrapOutboundOut(bytes), promise: nil)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        inbound.append(unwrapInboundIn(data))
        do throws(WebSocketError) {
            if phase == .opening {
                switch try handshake.answer(from: &inbound) {
                case nil: return
                case .accepted:
                    phase = .open
                    user?.opened()
                case .refused(let status): return end("the service answered \(status)")
                }
            }
            while phase == .open || phase == .closing, let event = try reader.next(from: &inbound) { receive(event) }
        } catch {
            close(error.code, "\(error)")
        }
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        if phase == .open { user?.readComplete() }
        context.fireChannelReadComplete()
    }

    private func receive(_ event: WebSocketEvent) {
        switch event {
        case .data(_, .text, _): close(.unsupportedData, "the service sent text")
        case .data(let bytes, .binary, _): if bytes.readableBytes > 0 { user?.received(bytes) }
        case .ping(let payload):
            flush()
            write(opcode: .pong, payload)
            context?.flush()
        case .pong: break
        case .close(let code, let reason):
            if phase == .open { sendClose(code) }
            end("the service closed: \(code?.rawValue ?? 1005) \(reason)")
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        end("the connection ended")
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { end("\(error)") }

    // MARK: Output

    /// Queues bytes of the stream. They leave at the end of the tick, with all others.
    func send(_ bytes: ByteBuffer) {
        guard phase == .open else { return }
        if outbox.readableBytes == 0 { context?.eventLoop.execute { self.flush() } }
        outbox.writeImmutableBuffer(bytes)
        user?.queueChanged()
    }

    private func flush() {
        guard phase == .open, outbox.readableBytes > 0 else { return }
        var bytes = outbox
        outbox = ByteBuffer()
        while let piece = bytes.readSlice(length: min(bytes.readableBytes, Self.frameSize)), piece.readableBytes > 0 {
            write(opcode: .binary, piece)
        }
        context?.flush()
    }

    private func write(opcode: WebSocketOpcode, _ payload: ByteBuffer) {
        guard let context else { return }
        var frame = ByteBuffer()
        WebSocketFrame.write(opcode: opcode, payload: payload, mask: .random(in: 0...UInt32.max), into: &frame)
        let count = frame.readableBytes
        bytesInChannel += count
        context.write(wrapOutboundOut(frame)).whenComplete { _ in
            self.bytesInChannel -= count
            self.user?.queueChanged()
        }
    }

    // MARK: End

    /// Says goodbye after what was sent, and gives the peer a moment to answer.
    func close(_ code: WebSocketCloseCode = .normal, _ reason: String) {
        guard phase == .open else { return phase == .closing ? () : end(reason) }
        flush()
        sendClose(code)
        phase = .closing
        context?.eventLoop.scheduleTask(in: Self.closeTimeout) { self.end(reason) }
    }

    private func sendClose(_ code: WebSocketCloseCode?) {
        guard let context else { return }
        let frame = WebSocketFrame.close(code: code, mask: .random(in: 0...UInt32.max))
        context.writeAndFlush(wrapOutboundOut(frame), promise: nil)
    }

    private func end(_ reason: String) {
        guard phase != .over else { return }
        phase = .over
        outbox = ByteBuffer()
        inbound = ByteBuffer()
        context?.close(promise: nil)
        user?.ended(reason)
    }
}

extension ByteBuffer {
    /// Puts bytes behind those not read yet, and lets go of those that were.
    mutating func append(_ bytes: ByteBuffer) {
        guard readableBytes > 0 else { return self = bytes }
        self = slice()
        writeImmutableBuffer(bytes)
    }
}
