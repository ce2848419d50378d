// SignalBox: whom to call: all, groups, users, single clients; untyped and with the methods of a client protocol
// SPDX-License-Identifier: Apache-2.0

public import SignalRWire

/// Receivers of a call: everybody, a group, one client …
///
/// A send returns when the message is on its way to the connections' queues. Sends to nobody succeed.
public struct ClientTarget: Sendable {
    let server: HubServer
    let target: HubTarget
    /// Connection ids.
    var excluded: [String] = []
    var scope: CallScope?

    /// Calls `method` on every receiver.
    /// - Throws: `EncodingError` for an argument that has no representation; ``HubError`` for an empty group name.
    nonisolated(nonsending) public func send<each Argument: Encodable & Sendable>(
        _ method: String, _ argument: repeat each Argument
    ) async throws {
        var arguments: [HubPayload] = []
        repeat arguments.append(try HubPayload(encoding: each argument))
        try await send(method, arguments: arguments)
    }

    /// The same with arguments that are encoded already.
    nonisolated(nonsending) public func send(_ method: String, arguments: [HubPayload]) async throws {
        if case .groups(let names) = target, names.contains("") { throw HubError(ErrorText.emptyGroup) }
        let message = HubMessage.Invocation(id: nil, target: method, arguments: .payloads(arguments))
        try await server.backplane.publish(
            Outgoing(.message(.invocation(message)), from: scope?.call), to: target, excluding: excluded, in: scope)
    }

    /// Calls `method` on one client and waits for its result. A handler that returns nothing gives nil for an optional `Result`.
    /// - Throws: ``HubError`` with the client's error; ``HubConnectionError`` when the client is not here, leaves before it answers,
    ///   when there may be several receivers, or inside `onConnected`; `CancellationError`.
    public func invoke<each Argument: Encodable & Sendable, Result: Decodable & Sendable>(
        _ method: String, _ argument: repeat each Argument, returning type: Result.Type = Result.self
    ) async throws -> Result {
        var arguments: [HubPayload] = []
        repeat arguments.append(try HubPayload(encoding: each argument))
        return try await invoke(method, arguments: arguments, returning: type)
    }

    /// The same with arguments that are encoded already.
    public func invoke<Result: Decodable & Sendable>(
        _ method: String, arguments: [HubPayload], returning: Result.Type
    ) async throws -> Result {
        guard case .connections(let ids) = target, ids.count == 1, let id = ids.first else {
            throw HubConnectionError(code: .notAllowed, message: ErrorText.resultsFromMany)
        }
        if scope?.kind == .connecting {
            throw HubConnectionError(code: .notAllowed, message: ErrorText.resultsInOnConnected)
        }
        scope?.releasePermit()
        let payload = try await server.askClient(id, method: method, arguments: arguments, in: scope)
        do {
            return try payload.decode(Result.self)
        } catch {
            throw HubError("Error trying to deserialize result to \(Result.self). \(error)")
        }
    }
}

/// A struct that calls clients by the methods of a protocol; ``HubClient()`` generates it.
public protocol HubClientProxy: Sendable {
    init(_ target: ClientTarget)
}

/// Whom server code can reach from anywhere: routes, timers, other services.
public struct HubClients: Sendable {
    let server: HubServer
    var scope: CallScope?

    func target(_ target: HubTarget, except: [String] = []) -> ClientTarget {
        ClientTarget(server: server, target: target, excluded: except, scope: scope)
    }

    public var all: ClientTarget { target(.all) }
    public func allExcept(_ connectionIDs: [String]) -> ClientTarget { target(.all, except: connectionIDs) }
    public func client(_ connectionID: String) -> ClientTarget { target(.connections([connectionID])) }
    public func clients(_ connectionIDs: [String]) -> ClientTarget { target(.connections(connectionIDs)) }
    public func group(_ name: String) -> ClientTarget { target(.groups([name])) }
    /// A connection in two of the groups gets the message twice.
    public func groups(_ names: [String]) -> ClientTarget { target(.groups(names)) }
    public func groupExcept(_ name: String, _ connectionIDs: [String]) -> ClientTarget {
        target(.groups([name]), except: connectionIDs)
    }
    public func user(_ id: String) -> ClientTarget { target(.users([id])) }
    public func users(_ ids: [String]) -> ClientTarget { target(.users(ids)) }
}

/// The same inside a hub method, with the caller as a point of reference.
public struct HubCallerClients: Sendable {
    let base: HubClients
    private let connection: Connection

    init(server: HubServer, caller: Connection, scope: CallScope?) {
        self.base = HubClients(server: server, scope: scope)
        self.connection = caller
    }

    public var caller: ClientTarget { base.target(.connections([connection.name])) }
    public var others: ClientTarget { base.target(.all, except: [connection.name]) }
    public func othersInGroup(_ name: String) -> ClientTarget {
        base.target(.groups([name]), except: [connection.name])
    }

    public var all: ClientTarget { base.all }
    public func allExcept(_ connectionIDs: [String]) -> ClientTarget { base.allExcept(connectionIDs) }
    public func client(_ connectionID: String) -> ClientTarget { base.client(connectionID) }
    public func clients(_ connectionIDs: [String]) -> ClientTarget { base.clients(connectionIDs) }
    public func group(_ name: String) -> ClientTarget { base.group(name) }
    public func groups(_ names: [String]) -> ClientTarget { base.groups(names) }
    public func groupExcept(_ name: String, _ connectionIDs: [String]) -> ClientTarget {
        base.groupExcept(name, connectionIDs)
    }
    public func user(_ id: String) -> ClientTarget { base.user(id) }
    public func users(_ ids: [String]) -> ClientTarget { base.users(ids) }
}

/// ``HubClients`` whose targets have the methods of a client protocol.
public struct TypedHubClients<Proxy: HubClientProxy>: Sendable {
    let untyped: HubClients

    public var all: Proxy { Proxy(untyped.all) }
    public func allExcept(_ connectionIDs: [String]) -> Proxy { Proxy(untyped.allExcept(connectionIDs)) }
    public func client(_ connectionID: String) -> Proxy { Proxy(untyped.client(connectionID)) }
    public func clients(_ connectionIDs: [String]) -> Proxy { Proxy(untyped.clients(connectionIDs)) }
    public func group(_ name: String) -> Proxy { Proxy(untyped.group(name)) }
    public func groups(_ names: [String]) -> Proxy { Proxy(untyped.groups(names)) }
    public func groupExcept(_ name: String, _ connectionIDs: [String]) -> Proxy {
        Proxy(untyped.groupExcept(name, connectionIDs))
    }
    public func user(_ id: String) -> Proxy { Proxy(untyped.user(id)) }
    public func users(_ ids: [String]) -> Proxy { Proxy(untyped.users(ids)) }
}

/// ``HubCallerClients`` whose targets have the methods of a client protocol.
public struct TypedHubCallerClients<Proxy: HubClientProxy>: Sendable {
    let untyped: HubCallerClients

    public var caller: Proxy { Proxy(untyped.caller) }
    public var others: Proxy { Proxy(untyped.others) }
    public func othersInGroup(_ name: String) -> Proxy { Proxy(untyped.othersInGroup(name)) }
    private var typed: TypedHubClients<Proxy> { TypedHubClients(untyped: untyped.base) }
    public var all: Proxy { typed.all }
    public func allExcept(_ connectionIDs: [String]) -> Proxy { typed.allExcept(connectionIDs) }
    public func client(_ connectionID: String) -> Proxy { typed.client(connectionID) }
    public func clients(_ connectionIDs: [String]) -> Proxy { typed.clients(connectionIDs) }
    public func group(_ name: String) -> Proxy { typed.group(name) }
    public func groups(_ names: [String]) -> Proxy { typed.groups(names) }
    public func groupExcept(_ name: String, _ connectionIDs: [String]) -> Proxy {
        typed.groupExcept(name, connectionIDs)
    }
    public func user(_ id: String) -> Proxy { typed.user(id) }
    public func users(_ ids: [String]) -> Proxy { typed.users(ids) }
}
