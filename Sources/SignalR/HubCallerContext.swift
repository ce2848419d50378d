// SignalBox: the caller of a hub method: its connection, whom it can reach, and what the server keeps for it
// SPDX-License-Identifier: Apache-2.0

public import HTTPTypes
import NIOConcurrencyHelpers
public import NIOCore
import SignalRWire

/// A client's place in a hub, whatever protocol it speaks.
package protocol HubCaller: AnyObject, Sendable {
    var connection: Connection { get }
    var server: HubServer { get }
    var items: ConnectionItems { get }
    var isAborted: Bool { get }
    var protocolName: String { get }
    /// On the connection's event loop.
    func permitReleased()
    /// From any thread; for callers whose messages a ``HubCallTaker`` holds back.
    func takeMore()
}

extension HubCaller {
    package func takeMore() {}
}

/// The connection on whose behalf hub code runs. Stays valid after the call.
public struct HubCallerContext: Sendable {
    package let caller: any HubCaller
    package let scope: CallScope?

    package init(_ caller: any HubCaller, scope: CallScope?) {
        self.caller = caller
        self.scope = scope
    }

    package var connection: Connection { caller.connection }

    /// The public id, known to other clients.
    public var connectionID: String { connection.name }
    /// Which user the connection belongs to; nil when anonymous.
    public var userID: String? { connection.userID }
    /// The authenticated caller.
    public var user: HubUser? { connection.user }
    /// Values that live as long as the connection.
    public var items: ConnectionItems { caller.items }

    /// Whom to send to: everybody, the caller, groups, users.
    public var clients: HubCallerClients {
        HubCallerClients(server: caller.server, caller: connection, scope: scope)
    }
    /// The same with the methods of a ``HubClient()`` protocol: `context.clients(ChatClientProxy.self).all.receive(…)`.
    public func clients<Proxy: HubClientProxy>(_ proxy: Proxy.Type) -> TypedHubCallerClients<Proxy> {
        TypedHubCallerClients(untyped: clients)
    }
    /// Adding and removing group members.
    public var groups: HubGroups { HubGroups(server: caller.server, scope: scope) }

    /// Ends this connection; the client will not reconnect by itself.
    public func abort() { connection.onLoop { [connection] in connection.close(.aborted) } }
    /// Whether the connection has ended.
    public var isAborted: Bool { caller.isAborted }

    /// Goes on with the messages of a caller that ``HubCallTaker`` held back.
    package func takeMore() { caller.takeMore() }

    // MARK: Features

    public var transport: TransportKind? { connection.request.transport }
    /// The transport in use, those before it, and why each of them is not.
    public func transportHistory() async -> TransportHistory { await connection.readTransportHistory() }
    /// The headers of the request that opened the connection, without credentials.
    public var headers: HTTPFields { connection.request.headers }
    /// A value of the query of that request.
    public func query(_ name: String) -> String? { Query.value(of: name, in: connection.request.rawQuery) }
    public var path: String { connection.request.path }
    public var remoteAddress: SocketAddress? { connection.request.remoteAddress }
    /// `json`, `messagepack`, or `classic` for clients of ASP.NET SignalR 2.x.
    public var hubProtocol: String { caller.protocolName }
}

/// Values that hub code keeps with a connection.
public final class ConnectionItems: Sendable {
    private let values = NIOLockedValueBox<[String: any Sendable]>([:])

    package init() {}

    public subscript(key: String) -> (any Sendable)? {
        get { values.withLockedValue { $0[key] } }
        set { values.withLockedValue { $0[key] = newValue } }
    }

    /// The value of `key`, if it has that type.
    public func value<T: Sendable>(_ key: String, as type: T.Type = T.self) -> T? { self[key] as? T }
}

/// What a running call holds: its permit among the client's parallel invocations.
///
/// A call that waits for a client's result gives its permit back, so that the client's answer is not stuck behind it.
package final class CallScope: Sendable {
    package enum Kind: Sendable { case plain, unlimited, connecting }
    package let kind: Kind
    private let holdsPermit: NIOLockedValueBox<Bool>
    package let caller: any HubCaller
    /// What a protocol keeps with the call.
    package let call: (any AnyObject & Sendable)?

    package init(_ kind: Kind, caller: any HubCaller, call: (any AnyObject & Sendable)? = nil) {
        self.kind = kind
        self.caller = caller
        self.call = call
        self.holdsPermit = NIOLockedValueBox(kind == .plain)
    }

    /// Gives the permit back, once.
    func releasePermit() {
        let held = holdsPermit.withLockedValue { held in
            defer { held = false }
            return held
        }
        if held { caller.connection.onLoop { self.caller.permitReleased() } }
    }
}
