// SignalBox: who is told what happens to the connections of a hub
// SPDX-License-Identifier: Apache-2.0

package import SignalRWire

/// What kind of thing happened; the raw values are what people filter by.
package enum ConnectionEventKind: String, Sendable, Hashable, CaseIterable {
    /// A client asked for a connection, and which transports there are.
    case negotiate
    /// A request for a transport was let in.
    case connect
    /// A transport took the place of another, or was lost while the connection goes on.
    case transport
    /// The hub protocol is agreed on; server code finds the connection from here on.
    case handshake
    /// A hub message, either way.
    case message
    /// Joined or left a group.
    case group
    /// An app server connected, left, or got a client.
    case server
    /// Upstream was told something.
    case upstream
    /// The connection ended.
    case disconnect
    /// A request was turned away.
    case refused
}

/// Hears of the connections of one hub, on whatever thread something happens. Must return at once.
///
/// Everything but messages is rare: a handful of calls in the life of a connection. Messages are told only while
/// ``followsMessages`` says so, which is asked once per message received and once per message sent, to however many receivers.
package protocol ConnectionObserver: AnyObject, Sendable {
    /// Whether somebody follows messages right now; must cost no more than reading a flag.
    var followsMessages: Bool { get }
    /// A client was given a connection id and may now open one of `offered`.
    func negotiated(_ request: HubRequest, _ id: ConnectionID, offered: [TransportKind])
    /// A negotiated client's request for a transport was let in.
    func connects(_ request: HubRequest, _ connection: Connection, _ transport: TransportKind)
    /// The connection has its first transport, and will be ``ended(_:_:)``; on its event loop.
    func opened(_ connection: Connection)
    /// A request was turned away.
    func refused(_ request: HubRequest, isNegotiate: Bool, status: Int, text: String)
    /// On the connection's event loop. `text` is short and for people; `detail` is what a peer said.
    func happened(_ kind: ConnectionEventKind, _ text: String, detail: String?, to connection: Connection)
    /// The connection is over; on its event loop.
    func ended(_ connection: Connection, _ reason: CloseReason)
    /// A hub message came; on the connection's event loop.
    func received(_ message: HubMessage, on connection: Connection)
    /// A hub message goes to this client alone; on its event loop.
    func sent(_ message: HubMessage, to connection: Connection)
    /// A message goes to any number of connections; from any thread.
    func sent(_ message: Outgoing, to target: HubTarget, in registry: ConnectionRegistry)
}

extension Connection {
    /// Tells who observes the hub. On the event loop.
    package func tell(_ kind: ConnectionEventKind, _ text: String, detail: String? = nil) {
        registry.observer?.happened(kind, text, detail: detail, to: self)
    }

    /// Who follows the messages of the hub right now; nil most of the time.
    package var messageObserver: (any ConnectionObserver)? {
        guard let observer = registry.observer, observer.followsMessages else { return nil }
        return observer
    }
}
