// SignalBox: polls that repeat the one before them, answered without HTTP
// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import NIOCore
import NIOHTTP1
import SignalR

/// Stands before the HTTP decoder of a channel on which a client polls. It remembers the bytes of a poll and the head of its response;
/// when the same bytes come again, it polls and answers on the event loop. Everything else passes as if it were not there.
///
/// Decoding a request, running it through middleware and routes in a task, and encoding a response cost several times what the message
/// itself costs; of a thousand polls they say the same a thousand times.
final class PollRepeater: ChannelDuplexHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private enum State {
        /// No request is on its way; can go to `passing` or `polling`.
        case idle
        /// A request went to HTTP. Its bytes, while they are one piece; can go to `idle`.
        case passing(ByteBuffer?)
        /// A repeated poll waits; nil while it begins. Can go to `idle` or `passing`.
        case polling(LongPollingTransport?)
    }

    /// What can be repeated.
    private struct Repetition {
        var request: ByteBuffer
        /// The fields of the response's head, without date and length.
        var fields: ByteBuffer
        var poll: RepeatedPoll
    }

    private static let longestRequest = 8 << 10
    /// Bytes that may follow a poll before it is answered.
    private static let longestBacklog = 64 << 10

    private var state = State.idle
    private var repetition: Repetition?
    /// What came while a poll waits.
    private var backlog = ByteBuffer()

    var isPolling: Bool { if case .polling = state { true } else { false } }

    // MARK: What HTTP tells

    /// The request that was passed on is answered, and nothing of another one has come.
    /// - Parameter response: the answer's head and how it may be repeated, if it may.
    func answered(_ response: (head: HTTPResponseHead, poll: RepeatedPoll)?) {
        guard case .passing(let request) = state else { return }
        state = .idle
        repetition = nil
        guard let response, let request, Self.isWholePoll(request) else { return }
        var fields = ByteBuffer()
        for (name, value) in response.head.headers {
            switch name.lowercased() {
            case "content-length", "date": continue
            case "connection", "transfer-encoding", "content-encoding", "set-cookie": return
            default: fields.writeString("\(name): \(value)\r\n")
            }
        }
        repetition = Repetition(
            request: ByteBuffer(bytes: request.readableBytesView), fields: fields, poll: response.poll)
    }

    /// HTTP closes the channel.
    func stop() {
        state = .passing(nil)
        repetition = nil
    }

    /// One request, from its first byte to its last: the decoder is between two requests when it has taken these bytes.
    private static func isWholePoll(_ bytes: ByteBuffer) -> Bool {
        let view = bytes.readableBytesView
        guard view.count <= longestRequest, view.starts(with: "GET ".utf8) else { return false }
        let end = "\r\n\r\n".utf8
        return view.indices.first { view[$0...].starts(with: end) } == view.endIndex - end.count
    }

    // MARK: Channel

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var bytes = unwrapInboundIn(data)
        switch state {
        case .polling:
            guard backlog.readableBytes + bytes.readableBytes <= Self.longestBacklog else {
                return context.close(promise: nil)
            }
            backlog.writeBuffer(&bytes)
        case .idle:
            if let repetition, repetition.request == bytes, poll(repetition, context) { return }
            state = .passing(bytes)
            context.fireChannelRead(data)
        case .passing:
            state = .passing(nil)
            context.fireChannelRead(data)
        }
    }

    private func poll(_ repetition: Repetition, _ context: ChannelHandlerContext) -> Bool {
        state = .polling(nil)
        let transport = repetition.poll.begin { [self] answer in
            guard case .polling = state else { return }
            switch answer {
            case .data(let bytes): respond(bytes, repetition, context)
            case .timeout: respond(ByteBuffer(), repetition, context)
            // What to say at the end is the endpoint's business.
            case .ended where repetition.poll.isOver: pass(repetition.request, context)
            // Asking the endpoint would replace the newer poll in turn.
            case .ended: respond(nil, repetition, context)
            }
        }
        guard let transport else {
            state = .idle
            return false
        }
        // The answer may have come at once.
        if case .polling = state { state = .polling(transport) }
        return true
    }

    /// - Parameter body: nil when a newer poll took over.
    private func respond(_ body: ByteBuffer?, _ repetition: Repetition, _ context: ChannelHandlerContext) {
        let length = body?.readableBytes ?? 0
        var out = context.channel.allocator.buffer(
            capacity: repetition.fields.readableBytes + length + 128)
        out.writeStaticString(body == nil ? "HTTP/1.1 204 No Content\r\n" : "HTTP/1.1 200 OK\r\n")
        out.writeImmutableBuffer(repetition.fields)
        out.writeString("date: \(HTTPDate.now())\r\n")
        if let body {
            out.writeString("content-length: \(length)\r\n\r\n")
            out.writeImmutableBuffer(body)
        } else {
            out.writeStaticString("\r\n")
        }
        state = .idle
        context.writeAndFlush(wrapOutboundOut(out), promise: nil)
        takeBacklog(context)
    }

    private func pass(_ request: ByteBuffer, _ context: ChannelHandlerContext) {
        state = .passing(nil)
        context.fireChannelRead(wrapInboundOut(request))
        context.fireChannelReadComplete()
        takeBacklog(context)
    }

    private func takeBacklog(_ context: ChannelHandlerContext) {
        guard backlog.readableBytes > 0 else { return }
        let bytes = backlog
        backlog = ByteBuffer()
        channelRead(context: context, data: NIOAny(bytes))
        context.fireChannelReadComplete()
    }

    func channelInactive(context: ChannelHandlerContext) {
        leave()
        context.fireChannelInactive()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        switch event {
        case ChannelEvent.inputClosed: leave()
        // The connection's end ends the poll, which goes to HTTP, which then learns that this was the last request.
        case is ChannelShouldQuiesceEvent: if isPolling { repetition?.poll.shutDown() }
        default: break
        }
        context.fireUserInboundEventTriggered(event)
    }

    /// The client is gone.
    private func leave() {
        guard case .polling(let transport) = state else { return }
        state = .passing(nil)
        backlog = ByteBuffer()
        transport?.cancel()
    }
}
