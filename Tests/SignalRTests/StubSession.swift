// SignalBox: a session and a transport that only write down what happens to them
// SPDX-License-Identifier: Apache-2.0

import NIOCore
import SignalRWire

@testable import SignalR

/// Takes everything that it is offered while it is not busy. On one event loop.
final class StubSession: ConnectionSession {
    var isBusy = false
    private(set) var received = ""
    private(set) var end: CloseReason?

    func opened() {}
    func receive(_ bytes: inout ByteBuffer) {
        guard !isBusy else { return }
        received += bytes.readString(length: bytes.readableBytes) ?? ""
    }
    func heartbeat() {}
    func willClose(_ reason: CloseReason) {}
    func closed(_ reason: CloseReason, finished: @escaping @Sendable () -> Void) {
        end = reason
        finished()
    }
    func inputEnded() {}
    func resumed() {}
}

final class StubTransport: Transport {
    let kind: TransportKind
    var canWrite = true
    /// How often it was asked to read on.
    private(set) var resumptions = 0
    private(set) var written: [ByteBuffer] = []

    init(_ kind: TransportKind = .serverSentEvents) { self.kind = kind }

    func packaging(for format: TransferFormat) -> Packaging { .bare }
    func write(_ bytes: ByteBuffer) { written.append(bytes) }
    func resumeReading() { resumptions += 1 }
    func close(_ reason: CloseReason) {}
}
