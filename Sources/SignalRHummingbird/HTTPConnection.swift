// SignalBox: HTTP/1.1 on one channel: requests in, responses out, one at a time, and the end when a response takes the channel over
// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import HummingbirdCore
import NIOCore
import NIOHTTP1
import NIOHTTPTypesHTTP1
import SignalR

/// Answers the requests of one client connection in order. A request runs in a task of its own, which is cancelled when the client
/// goes away; bodies are passed on as they arrive, with back-pressure both ways.
final class HTTPConnection: ChannelDuplexHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundIn = Never
    typealias OutboundOut = HTTPServerResponsePart
    typealias Respond = @Sendable (Request, any Channel) async -> Response

    private enum State {
        /// Between requests; can go to `receiving`.
        case idle
        /// A head came, its body not yet as a whole; can go to `answering`.
        case receiving(HTTPRequestHead, ByteBuffer)
        /// A response is on its way; `body` takes what is still to come of the request. Can go to `idle` or `over`.
        case answering(body: BodySource?)
        /// Closing, or handed over.
        case over
    }

    private let requestLine: RequestLineWatch
    private let decoder: ByteToMessageHandler<HTTPRequestDecoder>
    private let encoder: HTTPResponseEncoder
    private let configuration: HTTPConnectionConfiguration
    private let reachesSocket: Bool
    private let respond: Respond
    private var context: ChannelHandlerContext?
    private var state = State.idle
    /// Parts of requests that came before the response to the one before them was finished.
    private var pipelined = CircularBuffer<HTTPServerRequestPart>()
    private var request: Task<Void, Never>?
    private var handOff: HandOff?
    /// Added once the client polls on this channel.
    private var repeater: PollRepeater?
    /// The head of the last response.
    private var lastHead: HTTPResponseHead?
    private var closesAfterResponse = false
    private var readIsHeld = false
    private var watchdog: Scheduled<Void>?
    private var lastProgress = NIODeadline.now()
    /// Whether a first request came.
    private var hasBeenUsed = false

    init(
        requestLine: RequestLineWatch, decoder: ByteToMessageHandler<HTTPRequestDecoder>, encoder: HTTPResponseEncoder,
        configuration: HTTPConnectionConfiguration, reachesSocket: Bool, respond: @escaping Respond
    ) {
        self.requestLine = requestLine
        self.decoder = decoder
        self.encoder = encoder
        self.configuration = configuration
        self.reachesSocket = reachesSocket
        self.respond = respond
    }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        watch(configuration.requestTimeout)
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        watchdog?.cancel()
        self.context = nil
    }

    // MARK: Requests

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let part = unwrapInboundIn(data)
        lastProgress = .now()
        if case .end = part { requestLine.requestEnded() }
        if case .answering(nil) = state {
            pipelined.append(part)
        } else {
            receive(part, context)
        }
    }

    private func receive(_ part: HTTPServerRequestPart, _ context: ChannelHandlerContext) {
        switch (state, part) {
        case (.idle, .head(let head)):
            state = .receiving(head, ByteBuffer())
            hasBeenUsed = true
            if head.headers[canonicalForm: "expect"].contains(where: { $0.lowercased() == "100-continue" }) {
                context.writeAndFlush(wrapOutboundOut(.head(.init(version: .http1_1, status: .continue))), promise: nil)
            }
        case (.receiving(let head, var body), .body(let piece)):
            state = .idle  // so that `body` is not copied
            body.writeImmutableBuffer(piece)
            state = .receiving(head, body)
        case (.receiving(let head, let body), .end):
            answer(head, RequestBody(buffer: body), rest: nil, context)
        case (.answering(let body?), .body(let piece)): readIsHeld = !body.yield(piece)
        case (.answering(let body?), .end):
            body.finish()
            state = .answering(body: nil)
        default: break
        }
    }

    /// A body that is not there as a whole after one read is streamed.
    func channelReadComplete(context: ChannelHandlerContext) {
        guard case .receiving(let head, let body) = state else { return }
        let (me, loop) = (NIOLoopBound(Weak(self), eventLoop: context.eventLoop), context.eventLoop)
        let source = BodySource { loop.execute { me.value.connection?.resumeReading() } }
        answer(head, RequestBody(asyncSequence: source.sequence), rest: source, context)
        if body.readableBytes > 0 { readIsHeld = !source.yield(body) }
    }

    func read(context: ChannelHandlerContext) {
        if readIsHeld || pipelined.count > 64 { readIsHeld = true } else { context.read() }
    }

    private func resumeReading() {
        guard readIsHeld, let context else { return }
        readIsHeld = false
        context.read()
    }

    private func answer(
        _ head: HTTPRequestHead, _ body: RequestBody, rest: BodySource?, _ context: ChannelHandlerContext
    ) {
        guard let converted = try? HTTPRequest(head, secure: configuration.isSecure, splitCookie: false) else {
            return refuse(.badRequest, context)
        }
        state = .answering(body: rest)
        if !head.isKeepAlive { closesAfterResponse = true }
        let request = Request(head: converted, body: body)
        let handOff = HandOff(HostChannel(context.channel, reachesSocket: reachesSocket))
        self.handOff = handOff
        let me = NIOLoopBound(self, eventLoop: context.eventLoop)
        let (channel, respond) = (context.channel, respond)
        self.request = Task.startingHere {
            let response = await HandOff.$current.withValue(handOff) { await respond(request, channel) }
            if let takeOver = handOff.takeOver(after: response.status) {
                Self.onLoop(channel) { me.value.handOver(response, handOff.hostChannel, takeOver) }
            } else {
                let sink = ResponseSink(
                    me, channel, omitsBody: converted.method == .head, poll: handOff.hostChannel.repeatedPoll)
                await sink.write(response)
            }
        }
    }

    static func onLoop(_ channel: any Channel, _ work: @escaping @Sendable () -> Void) {
        channel.eventLoop.inEventLoop ? work() : channel.eventLoop.execute(work)
    }

    // MARK: Responses

    /// Writes and flushes; the promise is kept when a fast client would have taken it.
    func write(_ parts: [HTTPServerResponsePart], _ promise: EventLoopPromise<Void>?) {
        guard let context, case .answering = state, let last = parts.last else {
            promise?.fail(ChannelError.ioOnClosedChannel)
            return
        }
        for part in parts.dropLast() { context.write(wrapOutboundOut(part), promise: nil) }
        context.writeAndFlush(wrapOutboundOut(last), promise: promise)
    }

    func head(_ response: HTTPResponse) -> HTTPServerResponsePart {
        var head = HTTPResponseHead(
            version: .http1_1,
            status: .init(statusCode: response.status.code, reasonPhrase: response.status.reasonPhrase))
        for field in response.headerFields { head.headers.add(name: field.name.rawName, value: field.value) }
        if head.headers[canonicalForm: "connection"].contains("close") { closesAfterResponse = true }
        if closesAfterResponse { head.headers.replaceOrAdd(name: "connection", value: "close") }
        if !head.headers.contains(name: "date") { head.headers.add(name: "date", value: HTTPDate.now()) }
        lastHead = head
        return .head(head)
    }

    /// - Parameter poll: set when the same request may be answered without asking again.
    func finishResponse(repeating poll: RepeatedPoll? = nil) {
        guard let context, case .answering(let rest) = state else { return }
        request = nil
        handOff = nil
        if closesAfterResponse || rest != nil {
            // What is left of a body that nobody read is not worth reading.
            rest?.fail()
            return close(context)
        }
        state = .idle
        lastProgress = .now()
        while case .idle = state, let part = pipelined.popFirst() { receive(part, context) }
        while case .receiving = state, let part = pipelined.popFirst() { receive(part, context) }
        if case .idle = state { tellRepeater(poll, context) }
        resumeReading()
    }

    /// The first poll makes the repeater; from the second on it knows what to repeat.
    private func tellRepeater(_ poll: RepeatedPoll?, _ context: ChannelHandlerContext) {
        if let repeater {
            repeater.answered(poll.flatMap { poll in lastHead.map { ($0, poll) } })
        } else if poll != nil {
            let repeater = PollRepeater()
            guard (try? context.pipeline.syncOperations.addHandler(repeater, position: .before(decoder))) != nil else {
                return
            }
            self.repeater = repeater
        }
    }

    private func refuse(_ status: HTTPResponseStatus, _ context: ChannelHandlerContext) {
        guard case .over = state else {
            request?.cancel()
            let head = HTTPResponseHead(
                version: .http1_1, status: status, headers: ["connection": "close", "content-length": "0"])
            context.write(wrapOutboundOut(.head(head)), promise: nil)
            context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
            return close(context)
        }
    }

    private func close(_ context: ChannelHandlerContext) {
        state = .over
        repeater?.stop()
        watchdog?.cancel()
        context.close(mode: .output, promise: nil)
        let channel = context.channel
        context.eventLoop.scheduleTask(in: .milliseconds(500)) { channel.close(promise: nil) }
    }

    // MARK: Hand-over

    /// Sends the head and leaves the channel to whoever `takeOver` installs.
    private func handOver(
        _ response: Response, _ host: HostChannel, _ takeOver: (HostChannel) throws -> Void
    ) {
        guard let context, case .answering = state else { return }
        var head = response.head
        head.headerFields[.contentLength] = nil
        closesAfterResponse = false
        write([self.head(head)], nil)
        state = .over
        let (channel, pipeline) = (context.channel, context.pipeline.syncOperations)
        pipeline.removeHandler(requestLine, promise: nil)
        pipeline.removeHandler(encoder, promise: nil)
        if let repeater { pipeline.removeHandler(repeater, promise: nil) }
        pipeline.removeHandler(context: context, promise: nil)
        do {
            try takeOver(host)
        } catch {
            channel.close(promise: nil)
        }
        // Last, since it passes on what it has read beyond the request.
        pipeline.removeHandler(decoder, promise: nil)
    }

    // MARK: The end

    func channelInactive(context: ChannelHandlerContext) {
        gone()
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        switch error {
        case HTTPParserError.headerOverflow:
            refuse(requestLine.isPast ? .requestHeaderFieldsTooLarge : .uriTooLong, context)
        case is HTTPParserError: refuse(.badRequest, context)
        default:
            gone()
            context.close(promise: nil)
        }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        switch event {
        case ChannelEvent.inputClosed:
            // The client is done sending; for requests in progress that means it left (a poll, a download).
            gone()
            context.close(promise: nil)
        case is ChannelShouldQuiesceEvent:
            closesAfterResponse = true
            handOff?.hostChannel.shutDown()
            if case .idle = state { close(context) }
        default: context.fireUserInboundEventTriggered(event)
        }
    }

    private func gone() {
        if case .answering(let body?) = state { body.fail() }
        state = .over
        request?.cancel()
        request = nil
    }

    // MARK: Time

    private func watch(_ time: Duration) {
        guard let context else { return }
        let me = NIOLoopBound(self, eventLoop: context.eventLoop)
        watchdog = context.eventLoop.scheduleTask(in: TimeAmount(time)) { me.value.checkProgress() }
    }

    private func checkProgress() {
        guard let context else { return }
        let waited = NIODeadline.now() - lastProgress
        switch state {
        case .idle where repeater?.isPolling == true:
            lastProgress = .now()
            watch(configuration.requestTimeout)
        case .idle where waited >= TimeAmount(configuration.idleTimeout): close(context)
        case .idle where !hasBeenUsed: refuse(.requestTimeout, context)
        case .receiving where waited >= TimeAmount(configuration.requestTimeout),
            .answering(.some) where waited >= TimeAmount(configuration.requestTimeout):
            refuse(.requestTimeout, context)
        case .over: break
        default: watch(configuration.requestTimeout)
        }
    }

}

/// A body's reader may outlive the connection.
private final class Weak {
    weak var connection: HTTPConnection?
    init(_ connection: HTTPConnection) { self.connection = connection }
}
