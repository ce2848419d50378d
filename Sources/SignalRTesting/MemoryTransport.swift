// SignalBox: a transport without a socket, between a hub's connection and the client of a test
// SPDX-License-Identifier: Apache-2.0

import NIOCore
import SignalR
import SignalRWire

/// Hands what the hub sends to the client as it is, on the connection's event loop.
final class MemoryTransport: Transport {
    private let inbox: Inbox
    private var isOpen = true

    init(_ inbox: Inbox) { self.inbox = inbox }

    let kind = TransportKind.webSockets
    var canWrite: Bool { isOpen }
    func packaging(for format: TransferFormat) -> Packaging { .bare }
    func resumeReading() {}

    func write(_ bytes: ByteBuffer) {
        if isOpen { inbox.receive(bytes) }
    }

    func close(_ reason: CloseReason) {
        guard isOpen else { return }
        isOpen = false
        inbox.end()
    }
}
