// SignalBox: an endpoint whose hubs depend on who asks
// SPDX-License-Identifier: Apache-2.0

package import NIOCore
package import SignalR

/// Finds what the clients of an endpoint may use, request by request.
package protocol ClassicDirectory: Sendable {
    /// What a client may use.
    /// - Parameter names: the hubs that its request lists; nil when it lists none, as clients of persistent connections do.
    /// - Throws: ``ClassicRefusal``.
    func entry(of user: HubUser?, to names: [String]?, for request: HubRequest) async throws -> ClassicEntry
}

/// What a client may use.
package struct ClassicEntry: Sendable {
    package var hubs: [ClassicAdmission]
    /// Whether the client talks without hubs.
    package var isPersistent: Bool
    /// The transports it may have out of those of the endpoint; nil for all of them.
    package var transports: [ClassicTransport]?
    /// How long a polling client may stay away between two polls; nil for the endpoint's time.
    package var pollPatience: Duration?
    /// Whether a client that is not known here may go on where it was, by its tokens.
    package var mayResume = true
    /// The app server that a new client belongs to; nil for one that is served here.
    package var route: ClassicRoute?
    /// How many clients may come, and how much each may send; nil does not limit them.
    package var gate: (any Gate)?
    /// As whom the gate counts the client; nil when it is anonymous.
    package var gateUser: String?

    package init(hubs: [ClassicAdmission] = [], isPersistent: Bool = false) {
        self.hubs = hubs
        self.isPersistent = isPersistent
    }

    func allows(_ transport: ClassicTransport) -> Bool { self.transports?.contains(transport) ?? true }
}

/// How a client gets to its app server.
package struct ClassicRoute: Sendable {
    /// Where the app server knows the client, whether the client lists it or not.
    let home: ClassicAdmission
    let makeOwner: @Sendable () -> any ClassicOwner

    package init(home: ClassicAdmission, makeOwner: @escaping @Sendable () -> any ClassicOwner) {
        self.home = home
        self.makeOwner = makeOwner
    }
}

/// Stands for the app server of one client, which hears of it and takes what it says. Everything happens on the client's event loop.
package protocol ClassicOwner: AnyObject {
    /// The client is here; it hears nothing before `ready` is called.
    func opened(_ client: ClassicClient, ready: @escaping () -> Void)
    /// A message as the client sent it.
    func receive(_ text: ByteBuffer)
    /// The client came back on another transport after a loss.
    func reconnected()
    func closed(_ reason: CloseReason)
}

/// A client as its ``ClassicOwner`` sees it. To be used on its event loop.
package struct ClassicClient: Sendable {
    let session: ClassicSession

    /// The connection that its transports carry, with the request that opened it.
    package var connection: Connection { self.session.carrier }
    /// Its connections in hubs: the one where its app server knows it, then those that it listed.
    package var places: [Connection] { self.session.seats.map(\.connection) }

    package func send(_ message: Outgoing) { self.session.seats.first?.connection.send(message) }
    /// Hands an answer to the request that waits for it, else to the socket.
    package func answer(_ json: ByteBuffer, to id: String) { self.session.answer(json, to: id) }
    /// Tells the client that a message of it goes nowhere.
    package func refuse(_ text: ByteBuffer) { self.session.refuse(text) }
    package func end(_ reason: CloseReason) { self.session.endSoon(reason) }
}

extension Connection {
    /// Who owns the classic client whose place in a hub this is; nil for all other clients. On the event loop.
    package var classicOwner: (any ClassicOwner)? { (self.session as? ClassicSeat)?.owner }

    /// All places in hubs of the client whose place in a hub this is, if an app server owns it; else this one. On the event loop.
    package var classicPlaces: [Connection] {
        guard let seat = self.session as? ClassicSeat, seat.owner != nil else { return [self] }
        return seat.places
    }
}
