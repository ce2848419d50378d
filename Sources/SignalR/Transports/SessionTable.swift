// SignalBox: connection tokens and what they give access to, from negotiate to the last poll
// SPDX-License-Identifier: Apache-2.0

import NIOConcurrencyHelpers
import NIOCore

/// The endpoint's connections by token. Entries that nobody opened go after a time; their number is bounded.
final class SessionTable: Sendable {
    struct Pending: Sendable {
        let id: ConnectionID
        let isStateful: Bool
        /// That of the negotiation: browsers cannot send headers with what follows.
        var trace: TraceContext?
        var early = EarlyPosts()
        /// Whether its transports were offered, rather than taken for granted.
        var isNegotiated = true
        /// Transports that the client asked for in vain.
        var refused: [TransportHistory.Attempt] = []
    }

    enum Entry: Sendable {
        /// Negotiated; can go to `live`, or away after the timeout.
        case pending(Pending)
        /// Has or had a transport; can go to `over` (long polling) or away.
        case live(Connection, TransportKind)
        /// A long-polling connection that ended; a last poll learns so. Goes away then, or after the timeout.
        case over(ByteBuffer?)
    }

    enum Activation: Sendable {
        case made(Connection)
        case exists(TransportKind)
        case unknown
    }

    fileprivate struct State {
        var entries: [ConnectionID: Entry] = [:]
        /// What to remove when, if nobody opened it.
        var opening: Deadlines
        /// What to remove when, if nobody came to hear of its end.
        var lingering: Deadlines
        var pendingCount = 0
        /// What early posts of all entries cost.
        var earlyBytes = 0
        var isStopped = false
    }

    /// All the same time away, so in order.
    fileprivate struct Deadlines {
        let lifetime: TimeAmount
        private var queue: CircularBuffer<(token: ConnectionID, at: NIODeadline)> = []

        init(_ lifetime: Duration) { self.lifetime = TimeAmount(lifetime) }

        mutating func add(_ token: ConnectionID) { queue.append((token, .now() + lifetime)) }

        /// The next token that is due.
        mutating func pop(at now: NIODeadline) -> ConnectionID? {
            guard let next = queue.first, next.at <= now else { return nil }
            queue.removeFirst()
            return next.token
        }
    }

    private let state: NIOLockedValueBox<State>
    private let capacity: Int
    private let earlyLimit: Int
    private let sweeper: NIOLockedValueBox<RepeatedTask?> = NIOLockedValueBox(nil)

    /// What may be posted to all connections together that nobody opened yet, in bytes.
    fileprivate static let maximumEarlyBytes = 64 << 20

    /// - Parameters:
    ///   - opening: how long an entry waits to be opened.
    ///   - lingering: how long the end of a long-polling connection is kept for its last poll.
    ///   - earlyLimit: bytes that may be posted to a connection that nobody opened yet, before POSTs wait.
    init(eventLoop: any EventLoop, opening: Duration, lingering: Duration, capacity: Int, earlyLimit: Int) {
        self.state = NIOLockedValueBox(State(opening: Deadlines(opening), lingering: Deadlines(lingering)))
        self.capacity = capacity
        self.earlyLimit = earlyLimit
        let task = eventLoop.scheduleRepeatedTask(initialDelay: .seconds(1), delay: .seconds(1)) { [weak self] _ in
            self?.sweep()
        }
        sweeper.withLockedValue { $0 = task }
    }

    deinit { stop() }

    func stop() {
        sweeper.withLockedValue { $0?.cancel() }
        let early = state.withLockedValue { state in
            state.isStopped = true
            return state.entries.keys.compactMap { state.takeEarly($0) }
        }
        for posts in early { posts.refuse() }
    }

    subscript(token: ConnectionID) -> Entry? { state.withLockedValue { $0.entries[token] } }

    /// False when too many entries wait already.
    func insert(_ pending: Pending, token: ConnectionID, unbounded: Bool = false) -> Bool {
        state.withLockedValue { state in
            guard unbounded || state.pendingCount < capacity else { return false }
            state.pendingCount += 1
            state.entries[token] = .pending(pending)
            state.opening.add(token)
            return true
        }
    }

    /// - Parameter make: makes the connection, whose end must be told to this table from then on.
    func activate(_ token: ConnectionID, as kind: TransportKind, make: (Pending) -> Connection) -> Activation {
        state.withLockedValue { state in
            switch state.entries[token] {
            case .pending(let pending):
                let connection = make(pending)
                state.pendingCount -= 1
                state.earlyBytes -= pending.early.cost
                state.entries[token] = .live(connection, kind)
                // Before anybody finds the connection here, so that nothing overtakes it.
                pending.early.deliver(to: connection)
                return .made(connection)
            case .live(_, let kind): return .exists(kind)
            case .over: return .exists(.longPolling)
            case nil: return .unknown
            }
        }
    }

    /// Remembers that a transport was refused; only the first few, since everybody with the token can ask.
    func note(_ refused: TransportHistory.Attempt, for token: ConnectionID) {
        state.withLockedValue { state in
            guard case .pending(var pending) = state.entries[token], pending.refused.count < Self.longestRefused else {
                return
            }
            pending.refused.append(refused)
            state.entries[token] = .pending(pending)
        }
    }

    private static let longestRefused = 8

    /// Hands what was posted to the connection, or keeps it for the one to come.
    /// - Returns: when there is room for more; false when the connection is over or never came, or too much waits for others already.
    func post(_ bytes: ByteBuffer, isText: Bool, to token: ConnectionID) async -> Bool {
        await withCheckedContinuation { waiter in
            let post = EarlyPosts.Post(bytes: bytes, isText: isText, waiter: waiter)
            switch state.withLockedValue({ $0.place(post, token, limit: earlyLimit) }) {
            case .connection(let connection):
                connection.eventLoop.execute { connection.receive(bytes, isText: isText, waiter: waiter) }
            case .answer(let answer): waiter.resume(returning: answer)
            case .waits: break
            }
        }
    }

    /// The connection is gone. A long-polling client has yet to hear of it.
    func ended(_ token: ConnectionID, lingers: Bool) {
        state.withLockedValue { state in
            guard case .live(let connection, _) = state.entries[token] else { return }
            state.entries[token] = lingers ? .over(connection.takeLastWords()) : nil
            if lingers { state.lingering.add(token) }
        }
    }

    /// A poll got what was left: next time it hears of the end, and then there is nothing to hear.
    func fetched(_ token: ConnectionID) {
        state.withLockedValue { state in
            guard case .over(let lastWords) = state.entries[token] else { return }
            state.entries[token] = lastWords == nil ? nil : .over(nil)
        }
    }

    func remove(_ token: ConnectionID) {
        let early = state.withLockedValue { state in
            let early = state.takeEarly(token)
            if case .pending = state.entries.removeValue(forKey: token) { state.pendingCount -= 1 }
            return early
        }
        early?.refuse()
    }

    private func sweep() {
        // Outside of the lock, since a connection that ends here reports so to this table.
        let (connections, early) = expired()
        for connection in connections { connection.onLoop { connection.closeIfNeverOpened() } }
        for posts in early { posts.refuse() }
    }

    /// Removes what is due, and gives the connections whose transport may never have come, and what was posted to those that nobody opened.
    private func expired() -> ([Connection], [EarlyPosts]) {
        let now = NIODeadline.now()
        return state.withLockedValue { state in
            var connections: [Connection] = []
            var early: [EarlyPosts] = []
            while let token = state.opening.pop(at: now) {
                switch state.entries[token] {
                case .pending:
                    if let posts = state.takeEarly(token) { early.append(posts) }
                    state.pendingCount -= 1
                    state.entries[token] = nil
                case .live(let connection, _): connections.append(connection)
                case .over, nil: break
                }
            }
            while let token = state.lingering.pop(at: now) {
                if case .over = state.entries[token] { state.entries[token] = nil }
            }
            return (connections, early)
        }
    }
}

extension SessionTable.State {
    fileprivate enum Place {
        case connection(Connection)
        case answer(Bool)
        case waits
    }

    fileprivate mutating func place(_ post: EarlyPosts.Post, _ token: ConnectionID, limit: Int) -> Place {
        switch entries[token] {
        case .live(let connection, let kind) where kind != .webSockets: return .connection(connection)
        case .pending(var pending) where !isStopped:
            let before = pending.early.cost
            // Two owners would make it a copy of all posts.
            entries[token] = nil
            let answer = pending.early.add(post, limit: limit, room: SessionTable.maximumEarlyBytes - earlyBytes)
            earlyBytes += pending.early.cost - before
            entries[token] = .pending(pending)
            return answer.map { .answer($0) } ?? .waits
        default: return .answer(false)
        }
    }

    /// Takes what was posted to an entry that nobody opened.
    fileprivate mutating func takeEarly(_ token: ConnectionID) -> EarlyPosts? {
        guard case .pending(var pending) = entries[token], !pending.early.posts.isEmpty else { return nil }
        let early = pending.early
        pending.early = EarlyPosts()
        entries[token] = .pending(pending)
        earlyBytes -= early.cost
        return early
    }
}
