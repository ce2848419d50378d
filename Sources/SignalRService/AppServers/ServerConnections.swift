// SignalBox: the connections of app servers to one hub, and who gets which client
// SPDX-License-Identifier: Apache-2.0

import NIOConcurrencyHelpers
import NIOCore
import SignalR

/// What is known of an app server's connection once it has shaken hands.
struct ServerDescription: Sendable {
    enum Kind: Int32, Sendable {
        case `default` = 0, onDemand = 1
        /// May send, and owns no clients.
        case weak = 2
    }

    let kind: Kind
    let generation: Generation
    /// The same for all connections of one server process.
    let serverID: String
    /// Whether clients may be moved from and to it when a server shuts down.
    let canMigrate: Bool
    /// Knows how to pause clients.
    let canPause: Bool
    let allowsStatefulReconnects: Bool
}

/// The pool of one hub.
final class ServerConnections: Sendable {
    private struct Entry {
        let session: ServerSession
        let description: ServerDescription
        var clients = 0
        var isFinishing = false

        func takesClients(of generation: Generation) -> Bool {
            description.kind != .weak && !isFinishing && description.generation == generation
        }
    }

    private struct State {
        var entries: [Entry] = []
        /// Clients that wait for a server to come (back).
        var waiting: [ConnectionID: @Sendable () -> Void] = [:]
        var lastLoss: NIODeadline?
        var lastRequest: NIODeadline?
    }

    private let state = NIOLockedValueBox(State())
    /// How long clients wait for a server that was there a moment ago.
    let patience: Duration
    /// Past it the server is asked for one more connection.
    private let clientsPerConnection: Int

    /// A server that was lost before that is not expected back.
    private static let restartTime = TimeAmount.seconds(30)
    private static let requestInterval = TimeAmount.seconds(5)
    static let maximumWaiting = 10_000

    init(patience: Duration, clientsPerConnection: Int) {
        self.patience = patience
        self.clientsPerConnection = clientsPerConnection
    }

    // MARK: Servers

    func add(_ session: ServerSession, _ description: ServerDescription) {
        let waiting = state.withLockedValue { state -> [@Sendable () -> Void] in
            state.entries.append(Entry(session: session, description: description))
            guard description.kind != .weak else { return [] }
            defer { state.waiting = [:] }
            return Array(state.waiting.values)
        }
        for client in waiting { client() }
    }

    func remove(_ session: ServerSession) {
        state.withLockedValue { state in
            guard let index = state.entries.firstIndex(where: { $0.session === session }) else { return }
            if state.entries.remove(at: index).description.kind != .weak { state.lastLoss = .now() }
        }
    }

    /// No new clients from now on.
    func finish(_ session: ServerSession) {
        state.withLockedValue { state in
            guard let index = state.entries.firstIndex(where: { $0.session === session }) else { return }
            state.entries[index].isFinishing = true
        }
    }

    /// Any connection of a server process.
    func connection(ofServer id: String) -> ServerSession? {
        state.withLockedValue { $0.entries.first { $0.description.serverID == id }?.session }
    }

    // MARK: Clients

    /// Whether a client would find a server of its generation.
    func serve(_ generation: Generation) -> Bool {
        state.withLockedValue { $0.entries.contains { $0.takesClients(of: generation) } }
    }

    /// Whether every server that could get a client keeps what stateful clients may need again.
    var allowStatefulReconnects: Bool {
        state.withLockedValue { state in
            let candidates = state.entries.filter { $0.takesClients(of: .core) }
            return !candidates.isEmpty && candidates.allSatisfy(\.description.allowsStatefulReconnects)
        }
    }

    /// The least loaded connection that a client may have; counts the client.
    func assign(_ stickiness: Stickiness, _ generation: Generation = .core) -> ServerSession? {
        assign(generation) { entries in
            switch stickiness {
            case .none: return entries
            case .required(let id): return entries.filter { $0.description.serverID == id }
            case .preferred(let id):
                let preferred = entries.filter { $0.description.serverID == id }
                return preferred.isEmpty ? entries : preferred
            }
        }
    }

    /// The same for a client that has to leave a server.
    func assign(leaving server: String) -> ServerSession? {
        assign(.core) { $0.filter { $0.description.serverID != server && $0.description.canMigrate } }
    }

    private func assign(_ generation: Generation, _ narrow: ([Entry]) -> [Entry]) -> ServerSession? {
        let (session, wantsMore) = state.withLockedValue { state -> (ServerSession?, Bool) in
            let candidates = narrow(state.entries.filter { $0.takesClients(of: generation) })
            guard let least = candidates.map(\.clients).min() else { return (nil, false) }
            let session = candidates.filter { $0.clients == least }.randomElement()?.session
            if let index = state.entries.firstIndex(where: { $0.session === session }) {
                state.entries[index].clients += 1
            }
            return (session, least >= clientsPerConnection && Self.isDue(&state))
        }
        if wantsMore { session?.requestConnection() }
        return session
    }

    private static func isDue(_ state: inout State) -> Bool {
        let now = NIODeadline.now()
        if let last = state.lastRequest, now < last + requestInterval { return false }
        state.lastRequest = now
        return true
    }

    /// A client of this connection is gone.
    func release(_ session: ServerSession) {
        state.withLockedValue { state in
            guard let index = state.entries.firstIndex(where: { $0.session === session }) else { return }
            state.entries[index].clients -= 1
        }
    }

    /// Calls `client` when a server comes, if one was there lately.
    /// - Returns: false when there is nothing to wait for.
    func wait(_ id: ConnectionID, _ client: @escaping @Sendable () -> Void) -> Bool {
        state.withLockedValue { state in
            guard let lost = state.lastLoss, NIODeadline.now() < lost + Self.restartTime,
                state.waiting.count < Self.maximumWaiting
            else { return false }
            state.waiting[id] = client
            return true
        }
    }

    func stopWaiting(_ id: ConnectionID) { state.withLockedValue { $0.waiting[id] = nil } }

    // MARK: Statistics

    /// Every server once.
    var serverIDs: [String] {
        state.withLockedValue { state in Array(Set(state.entries.map(\.description.serverID))).sorted() }
    }

    /// One connection of an app server, as operators see it.
    struct Figures: Sendable {
        let session: ServerSession
        let clients: Int
        /// `serving`, `finishing`, or `sending` for one that owns no clients.
        let status: String
    }

    var census: [Figures] {
        state.withLockedValue { state in
            state.entries.map { entry in
                let status = entry.description.kind == .weak ? "sending" : entry.isFinishing ? "finishing" : "serving"
                return Figures(session: entry.session, clients: entry.clients, status: status)
            }
        }
    }

    var counts: (clients: Int, connections: Int) {
        state.withLockedValue { state in
            let owners = state.entries.filter { $0.description.kind != .weak }
            return (owners.reduce(0) { $0 + $1.clients }, owners.count)
        }
    }
}
