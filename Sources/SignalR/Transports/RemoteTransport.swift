// SignalBox: a transport whose socket lives on another event loop than its connection
// SPDX-License-Identifier: Apache-2.0

package import NIOCore
package import SignalRWire

/// Relays a connection's calls to the event loop of its socket. Only a stateful client that came back on another event loop needs it.
///
/// Safety: `canWrite` belongs to the connection's event loop, which tells it when writability changes; the rest are constants.
package final class RemoteTransport: Transport, @unchecked Sendable {
    private let transport: NIOLoopBound<any Transport>
    private let socketLoop: any EventLoop
    private let wraps: @Sendable (TransferFormat) -> Packaging
    package let kind: TransportKind
    package var canWrite = true

    /// Must be called on the socket's event loop.
    package init(_ transport: any Transport, on channel: any Channel) {
        self.transport = NIOLoopBound(transport, eventLoop: channel.eventLoop)
        self.socketLoop = channel.eventLoop
        self.kind = transport.kind
        let (text, binary) = (transport.packaging(for: .text), transport.packaging(for: .binary))
        self.wraps = { $0 == .text ? text : binary }
    }

    package func packaging(for format: TransferFormat) -> Packaging { wraps(format) }
    package func write(_ bytes: ByteBuffer) { socketLoop.execute { [transport] in transport.value.write(bytes) } }
    package func resumeReading() { socketLoop.execute { [transport] in transport.value.resumeReading() } }

    package func close(_ reason: CloseReason) {
        canWrite = false
        socketLoop.execute { [transport] in transport.value.close(reason) }
    }
}
