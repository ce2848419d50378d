// SignalBox: connection tokens and what they give access to, from negotiate to the last poll
// SPDX-License-Identifier: Apache-2.0

import NIOConcurrencyHelpers
import NIOCore

/// The endpoint's connections by token. Entries that nobody opened go after the disconnect timeout; their number is bounded.
final class SessionTable: Sendable {
    struct Pending: Sendable {
        let id: ConnectionID
        let isStateful: Bool
        /// That of the negotiation: browsers cannot send headers with what follows.
        var trace: TraceContext?
        /// Bytes that were posted before any transport came.
        var early: ByteBuffer?
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
        case made(Connection, early: ByteBuffer?)
        case exists(TransportKind)
        case unknown
    }

    private struct State {
        var entries: [ConnectionID: Entry] = [:]
        /// What to remove when, in order of time.
        var expiring: CircularBuffer<(token: ConnectionID, at: NIODeadline)> = []
        var pendingCount = 0
    }

    private let state = NIOLockedValueBox(State())
    private let lifetime: TimeAmount
    private let capacity: Int
    private let sweeper: NIOLockedValueBox<RepeatedTask?> = NIOLockedValueBox(nil)

    init(eventLoop: any EventLoop, lifetime: Duration, capacity: Int) {
        self.lifetime = TimeAmount(lifetime)
        self.capacity = capacity
        let task = eventLoop.scheduleRepeatedTask(initialDelay: .seconds(1), delay: .seconds(1)) { [weak self] _ in
            self?.sweep()
        }
        sweeper.withLockedValue { $0 = task }
    }

    deinit { stop() }

    func stop() { sweeper.withLockedValue { $0?.cancel() } }

    subscript(token: ConnectionID) -> Entry? { state.withLockedValue { $0.entries[token] } }

    /// False when too many entries wait already.
    func insert(_ pending: Pending, token: ConnectionID, unbounded: Bool = false) -> Bool {
        state.withLockedValue { state in
            guard unbounded || state.pendingCount < capacity else { return false }
            state.pendingCount += 1
            state.entries[token] = .pending(pending)
            state.expiring.append((token, .now() + lifetime))
            return true
        }
    }

    func activate(_ token: ConnectionID, as kind: TransportKind, make: (Pending) -> Connection) -> Activation {
        state.withLockedValue { state in
            switch state.entries[token] {
            case .pending(let pending):
                let connection = make(pending)
                state.pendingCount -= 1
                state.entries[token] = .live(connection, kind)
                return .made(connection, early: pending.early)
            case .live(_, let kind): return .exists(kind)
            case .over: return .exists(.longPolling)
            case nil: return .unknown
            }
        }
    }

    /// Keeps bytes for the session to come; false when there is no such entry or no room.
    func keep(_ bytes: ByteBuffer, for token: ConnectionID, limit: Int) -> Bool {
        state.withLockedValue { state in
            guard case .pending(var pending) = state.entries[token] else { return false }
            var early = pending.early ?? ByteBuffer()
            guard early.readableBytes + bytes.readableBytes <= limit else { return false }
            early.writeImmutableBuffer(bytes)
            pending.early = early
            state.entries[token] = .pending(pending)
            return true
        }
    }

    /// The connection is gone. A long-polling client has yet to hear of it.
    func ended(_ token: ConnectionID, lingers: Bool) {
        state.withLockedValue { state in
            guard case .live(let connection, _) = state.entries[token] else { return }
            state.entries[token] = lingers ? .over(connection.takeLastWords()) : nil
            if lingers { state.expiring.append((token, .now() + lifetime)) }
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
        state.withLockedValue { state in
            if case .pending = state.entries.removeValue(forKey: token) { state.pendingCount -= 1 }
        }
    }

    private func sweep() {
        // Outside of the lock, since a connection that ends here reports so to this table.
        for connection in expired() { connection.onLoop { connection.closeIfNeverOpened() } }
    }

    /// Removes what is due, and gives the connections whose transport may never have come.
    private func expired() -> [Connection] {
        let now = NIODeadline.now()
        return state.withLockedValue { state in
            var connections: [Connection] = []
            while let next = state.expiring.first, next.at <= now {
                state.expiring.removeFirst()
                switch state.entries[next.token] {
                case .pending:
                    state.pendingCount -= 1
                    state.entries[next.token] = nil
                case .over: state.entries[next.token] = nil
                case .live(let connection, _): connections.append(connection)
                case nil: break
                }
            }
            return connections
        }
    }
}
