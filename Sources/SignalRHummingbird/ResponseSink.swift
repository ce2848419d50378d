// SignalBox: writes a Hummingbird response to its connection, in one piece where it is one
// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import HummingbirdCore
import NIOCore
import NIOHTTP1
import SignalR

/// Takes the body of one response from the task that answers it. A body that comes as a whole leaves in one flush with its head;
/// a streamed one waits at each piece until a fast client would have taken it.
final class ResponseSink: ResponseBodyWriter {
    private let connection: NIOLoopBound<HTTPConnection>
    private let channel: any Channel
    private let omitsBody: Bool
    /// How the request may be repeated, if the response is still the endpoint's.
    private let poll: RepeatedPoll?
    private var head: HTTPResponse?
    /// The whole body, when its length says so.
    private var whole: ByteBuffer?
    private var isFinished = false

    init(_ connection: NIOLoopBound<HTTPConnection>, _ channel: any Channel, omitsBody: Bool, poll: RepeatedPoll?) {
        self.connection = connection
        self.channel = channel
        self.omitsBody = omitsBody
        self.poll = poll
    }

    func write(_ response: Response) async {
        head = response.head
        do {
            if omitsBody { try await finish(nil) } else { try await response.body.write(self) }
            if !isFinished { try await finish(nil) }
        } catch {
            // Half a response must not look like a whole one.
            channel.close(promise: nil)
        }
    }

    func write(_ buffer: ByteBuffer) async throws {
        if let head, whole == nil, head.headerFields[.contentLength] == String(buffer.readableBytes) {
            whole = buffer
            return
        }
        try await send([.body(.byteBuffer(buffer))], isLast: false)
    }

    func finish(_ trailers: HTTPFields?) async throws {
        isFinished = true
        let end = trailers.map { fields in HTTPHeaders(fields.map { ($0.name.rawName, $0.value) }) }
        try await send([.end(end)], isLast: true)
    }

    private func send(_ parts: [HTTPServerResponsePart], isLast: Bool) async throws {
        let (head, whole) = (head, whole)
        let poll = head?.status == .ok && whole != nil ? poll : nil
        self.head = nil
        self.whole = nil
        let promise = isLast ? nil : channel.eventLoop.makePromise(of: Void.self)
        let connection = connection
        HTTPConnection.onLoop(channel) {
            let http = connection.value
            let first = [head.map { http.head($0) }, whole.map { .body(.byteBuffer($0)) }].compactMap { $0 }
            http.write(first + parts, promise)
            if isLast { http.finishResponse(repeating: poll) }
        }
        try await promise?.futureResult.get()
    }
}
