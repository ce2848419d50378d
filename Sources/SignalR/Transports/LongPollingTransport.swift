// SignalBox: one poll: a request that waits for messages and answers with all of them
// SPDX-License-Identifier: Apache-2.0

import NIOCore
import SignalRWire

/// The transport of a connection for the time of one poll. A newer poll replaces it; between polls the connection has none.
///
/// Safety: everything but the constants happens on the connection's event loop.
final class LongPollingTransport: Transport, @unchecked Sendable {
    enum Answer: Sendable {
        case data(ByteBuffer)
        case timeout
        /// The connection is over, or a newer poll took over.
        case ended
    }

    private let connection: Connection
    private let answer: EventLoopPromise<Answer>
    private var timeout: Scheduled<Void>?
    private var isWaiting = true

    init(_ connection: Connection) {
        self.connection = connection
        self.answer = connection.eventLoop.makePromise()
    }

    /// Waits for messages, the end, a newer poll, `limit`, or the cancellation of the calling task, which is the client going away.
    func wait(_ limit: Duration) async -> Answer {
        await withTaskCancellationHandler {
            connection.onLoop { [self] in
                guard isWaiting else { return }
                timeout = connection.eventLoop.scheduleTask(in: TimeAmount(limit)) { self.finish(.timeout) }
                connection.poll(self)
            }
            return (try? await answer.futureResult.get()) ?? .ended
        } onCancel: {
            connection.onLoop { self.finish(.ended) }
        }
    }

    private func finish(_ result: Answer) {
        guard isWaiting else { return }
        isWaiting = false
        timeout?.cancel()
        connection.detach(self)
        answer.succeed(result)
    }

    // MARK: Transport

    let kind = TransportKind.longPolling
    var canWrite: Bool { isWaiting }
    func packaging(for format: TransferFormat) -> Packaging { .bare }
    func write(_ bytes: ByteBuffer) { finish(.data(bytes)) }
    func resumeReading() {}
    func close(_ reason: CloseReason) { finish(.ended) }
}
