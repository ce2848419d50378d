// SignalBox: one poll: a request that waits for messages and answers with all of them
// SPDX-License-Identifier: Apache-2.0

package import NIOCore
package import SignalRWire

/// The transport of a connection for the time of one poll. A newer poll replaces it; between polls the connection has none.
///
/// Safety: everything but the constants happens on the connection's event loop.
package final class LongPollingTransport: Transport, @unchecked Sendable {
    package enum Answer: Sendable {
        case data(ByteBuffer)
        case timeout
        /// The connection is over, or a newer poll took over.
        case ended
    }

    private enum State {
        /// Can go to `waiting` or `answered`.
        case new
        /// Whom to tell.
        case waiting((Answer) -> Void)
        case answered
    }

    private let connection: Connection
    private var state = State.new
    private var timeout: Scheduled<Void>?
    /// The connection's clock when the poll is over; 0 when `timeout` tells.
    private var deadline: UInt32 = 0

    init(_ connection: Connection) { self.connection = connection }

    /// Waits for messages, the end, a newer poll, `limit`, or the cancellation of the calling task, which is the client going away.
    func wait(_ limit: Duration) async -> Answer {
        let answer = connection.eventLoop.makePromise(of: Answer.self)
        return await withTaskCancellationHandler {
            connection.onLoop { [self] in
                // Cancelled before it began, it needs no timer.
                guard case .new = state else { return answer.succeed(.ended) }
                timeout = connection.eventLoop.scheduleTask(in: TimeAmount(limit)) { self.finish(.timeout) }
                start { answer.succeed($0) }
            }
            return (try? await answer.futureResult.get()) ?? .ended
        } onCancel: {
            connection.onLoop { self.cancel() }
        }
    }

    /// The same with a callback, which is called once: maybe before this returns, and with `ended` by ``cancel()``.
    /// - Parameter limit: in seconds of the connection's clock, since a timer for each of ten thousand polls is a noticeable part of them.
    func start(_ limit: UInt32, _ answer: @escaping (Answer) -> Void) {
        deadline = connection.now &+ limit
        start(answer)
    }

    private func start(_ answer: @escaping (Answer) -> Void) {
        guard case .new = state else { return answer(.ended) }
        state = .waiting(answer)
        connection.poll(self)
    }

    /// The client does not want the answer any more.
    package func cancel() {
        finish(.ended)
        state = .answered
    }

    private func finish(_ result: Answer) {
        guard case .waiting(let answer) = state else { return }
        state = .answered
        timeout?.cancel()
        timeout = nil
        connection.detach(self)
        answer(result)
    }

    // MARK: Transport

    package let kind = TransportKind.longPolling
    package var canWrite: Bool { if case .waiting = state { true } else { false } }
    package func packaging(for format: TransferFormat) -> Packaging { .bare }
    package func write(_ bytes: ByteBuffer) { finish(.data(bytes)) }
    package func resumeReading() {}
    package func close(_ reason: CloseReason) { finish(.ended) }

    package func heartbeat() {
        if deadline != 0, connection.now >= deadline { finish(.timeout) }
    }
}

/// What a host may do when a request is the same, byte for byte, as the poll that it answered before on the same channel: poll without
/// asking the app's middleware, router and endpoint again, as frames on a WebSocket do not ask them either.
package final class RepeatedPoll: Sendable {
    private let connection: Connection
    private let limit: UInt32

    init(_ connection: Connection, limit: Duration) {
        self.connection = connection
        self.limit = limit.wholeSeconds
    }

    /// Begins a poll; `answer` may be called at once. On the channel's event loop.
    /// - Returns: nil when the request must be looked at after all: the connection is over, or its token expired.
    package func begin(_ answer: @escaping (LongPollingTransport.Answer) -> Void) -> LongPollingTransport? {
        guard connection.canPoll else { return nil }
        let transport = LongPollingTransport(connection)
        transport.start(limit, answer)
        return transport
    }

    /// Whether a poll that ended was the last, rather than one that a newer poll replaced.
    package var isOver: Bool { connection.state == .closing || connection.state == .closed }

    /// The host shuts down while a poll waits.
    package func shutDown() { connection.close(.shutdown) }
}
