// SignalBox: the seam between a connection and the way its bytes travel
// SPDX-License-Identifier: Apache-2.0

package import NIOCore
package import SignalRWire

/// Carries the bytes of one connection, both ways. Everything happens on the connection's event loop.
///
/// A transport calls ``Connection/attach(_:)`` once it can carry bytes, ``Connection/receive(_:)`` for what arrives and
/// ``Connection/detach(_:reason:)`` when it ends; the connection calls the members below.
package protocol Transport: AnyObject {
    var kind: TransportKind { get }
    /// Whether a write would leave now rather than queue behind a slow client.
    var canWrite: Bool { get }
    /// How messages must be wrapped for ``write(_:)``.
    func packaging(for format: TransferFormat) -> Packaging
    /// Sends bytes that were wrapped for this transport, in one write.
    func write(_ bytes: ByteBuffer)
    /// The socket under the transport, if bytes sent to it now are in order and arrive just so. To be used at once.
    var idleSocket: NIOBSDSocket.Handle? { get }
    /// Asks for more input after ``Connection/receive(_:)`` left the transport waiting.
    func resumeReading()
    /// Once a second.
    func heartbeat()
    /// Ends the transport after what was written.
    func close(_ reason: CloseReason)
}

extension Transport {
    package func heartbeat() {}
    package var idleSocket: NIOBSDSocket.Handle? { nil }
}
