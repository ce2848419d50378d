// SignalBox: what a connection talks
// SPDX-License-Identifier: Apache-2.0

package import NIOCore

/// What a connection talks: the hub protocol, an application's own messages, a relay to an app server.
/// Everything happens on the connection's event loop.
package protocol ConnectionSession: AnyObject {
    /// The first transport is there.
    func opened()
    /// Takes what it can from the front of `bytes`; what is left is offered again together with what comes next.
    func receive(_ bytes: inout ByteBuffer)
    /// Whether message boundaries matter; then ``receive(_:isText:isLast:)`` is called instead.
    var keepsBoundaries: Bool { get }
    /// A piece of a message, as it arrives.
    func receive(_ piece: ByteBuffer, isText: Bool, isLast: Bool)
    /// Whether bytes are left because the session is busy rather than because a message is incomplete.
    var isBusy: Bool { get }
    /// Once a second.
    func heartbeat()
    /// Writes the last message, if the protocol has one for the reason.
    func willClose(_ reason: CloseReason)
    /// The transport stopped taking bytes, or takes them again and what was queued has left.
    func writabilityChanged(_ canWrite: Bool)
    /// The connection is closed for good; call `finished` when the application is done with it.
    func closed(_ reason: CloseReason, finished: @escaping @Sendable () -> Void)
    /// Input ended without failure: may be the client's regular way to leave.
    func inputEnded()
    /// Whether the connection goes on when its transport breaks, until the disconnect timeout.
    var outlivesTransport: Bool { get }
    /// Whether the client can answer a call with a result.
    var answersCalls: Bool { get }
    /// Whether the client waits for something that only this session can still give it.
    var owesAnswers: Bool { get }
    /// A transport took the place of another, or is the first of a connection whose transports come by ``Connection/resume(_:)``.
    func resumed()
    /// Server code made the connection a member of a group, or took it out.
    func membershipChanged(of group: String, to isMember: Bool)
    /// What to queue for a message that is for this connection alone.
    func addressed(_ message: Outgoing) -> Outgoing
    /// The transports of the client, where it has them in another connection; nil where this one knows.
    var sharedTransportHistory: TransportHistory? { get }
}

extension ConnectionSession {
    package var keepsBoundaries: Bool { false }
    package func receive(_ piece: ByteBuffer, isText: Bool, isLast: Bool) {}
    package var outlivesTransport: Bool { false }
    package var answersCalls: Bool { true }
    package var owesAnswers: Bool { false }
    package func writabilityChanged(_ canWrite: Bool) {}
    package func membershipChanged(of group: String, to isMember: Bool) {}
    package func addressed(_ message: Outgoing) -> Outgoing { message }
    package var sharedTransportHistory: TransportHistory? { nil }
}
