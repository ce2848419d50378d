// SignalBox: a classic client for the time of one long poll
// SPDX-License-Identifier: Apache-2.0

import NIOCore
import SignalR
import SignalRWire

/// A poll is answered with exactly one frame, whatever ends it; before that, spaces keep proxies and clients patient
/// (classic protocol reference, §8.4).
///
/// Safety: the constants may be used anywhere; `isWaiting` belongs to the connection's event loop.
final class ClassicPoll: Transport, @unchecked Sendable {
    private let session: ClassicSession
    private let callback: ScriptCallback?
    /// The body as it comes. At most a space for each keep-alive, and the frame.
    let body: AsyncStream<ByteBuffer>
    private let pieces: AsyncStream<ByteBuffer>.Continuation
    private var isWaiting = true

    /// - Parameter callback: the function that a JSONP response calls.
    init(_ session: ClassicSession, callback: ScriptCallback?) {
        self.session = session
        self.callback = callback
        (self.body, self.pieces) = AsyncStream.makeStream(of: ByteBuffer.self)
    }

    /// Waits for what the client gets, and hands it on.
    func answer(_ request: ReceiveRequest, _ write: (ByteBuffer) async throws -> Void) async throws {
        let (session, carrier) = (self.session, self.session.carrier)
        carrier.onLoop { [self] in
            session.expect(request)
            carrier.resume(self)
        }
        // Also when the client goes away, which cancels this task.
        defer { carrier.onLoop { self.abandon() } }
        try await write(ByteBuffer())
        for await piece in self.body { try await write(piece) }
    }

    private func abandon() {
        guard self.isWaiting else { return }
        self.isWaiting = false
        self.session.carrier.history.interrupt(.lost("the client gave a poll up"))
        self.session.carrier.detach(self)
    }

    /// A script has no room for spaces that clients could see.
    func keepAlive() { if self.callback == nil { self.pieces.yield(ByteBuffer(staticString: " ")) } }

    // MARK: Transport

    let kind = TransportKind.longPolling
    var canWrite: Bool { self.isWaiting }
    func packaging(for format: TransferFormat) -> Packaging { .bare }
    func resumeReading() {}

    func write(_ bytes: ByteBuffer) {
        guard self.isWaiting else { return }
        self.isWaiting = false
        if let callback {
            var script = ByteBuffer()
            callback.write(bytes, into: &script)
            self.pieces.yield(script)
        } else {
            self.pieces.yield(bytes)
        }
        self.pieces.finish()
        self.session.carrier.detach(self)
    }

    func close(_ reason: CloseReason) {
        if self.isWaiting { self.write(self.session.lastFrame(reason)) }
    }
}

/// Stands for a client that has no transport yet, and sends nevertheless.
final class NoTransport: Transport {
    let kind = TransportKind.longPolling
    let canWrite = false
    func packaging(for format: TransferFormat) -> Packaging { .bare }
    func write(_ bytes: ByteBuffer) {}
    func resumeReading() {}
    func close(_ reason: CloseReason) {}
}
