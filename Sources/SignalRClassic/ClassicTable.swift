// SignalBox: the classic clients of an endpoint by id
// SPDX-License-Identifier: Apache-2.0

import NIOConcurrencyHelpers
import NIOCore
import SignalR

/// From the first receive request of a client to its end. Negotiating leaves no trace here.
final class ClassicTable: Sendable {
    private let sessions = NIOLockedValueBox<[ConnectionID: ClassicSession]>([:])
    private let refused = NIOLockedValueBox(RefusedTransports())
    private let ended = NIOLockedValueBox(EndedClients())
    private let capacity: Int

    init(capacity: Int) { self.capacity = capacity }

    subscript(id: ConnectionID) -> ClassicSession? { self.sessions.withLockedValue { $0[id] } }

    var all: [ClassicSession] { self.sessions.withLockedValue { Array($0.values) } }

    /// The client's session, made when there is none; nil when there are too many already.
    func session(_ id: ConnectionID, make: () -> ClassicSession) -> (session: ClassicSession, isNew: Bool)? {
        self.sessions.withLockedValue { sessions in
            if let session = sessions[id] { return (session, false) }
            guard sessions.count < self.capacity else { return nil }
            let session = make()
            sessions[id] = session
            return (session, true)
        }
    }

    /// A client without a session asked for a transport in vain.
    func note(_ attempt: TransportHistory.Attempt, for id: ConnectionID) {
        self.refused.withLockedValue { $0.note(attempt, for: id) }
    }

    /// What was noted for a client, which then is forgotten here.
    func takeRefused(of id: ConnectionID) -> [TransportHistory.Attempt] {
        self.refused.withLockedValue { $0.take(id) }
    }

    /// Server code ended the client, which must not come back by the token that it still has.
    func end(_ id: ConnectionID) { self.ended.withLockedValue { $0.insert(id) } }

    func isEnded(_ id: ConnectionID) -> Bool { self.ended.withLockedValue { $0.contains(id) } }

    func remove(_ session: ClassicSession) {
        self.sessions.withLockedValue { sessions in
            if sessions[session.carrier.id] === session { sessions[session.carrier.id] = nil }
        }
    }
}

/// The clients that were ended last, as many as one may remember.
struct EndedClients {
    private static let capacity = 10_000
    private var ids: Set<ConnectionID> = []
    private var order: CircularBuffer<ConnectionID> = []

    mutating func insert(_ id: ConnectionID) {
        guard self.ids.insert(id).inserted else { return }
        if self.order.count == Self.capacity { self.ids.remove(self.order.removeFirst()) }
        self.order.append(id)
    }

    func contains(_ id: ConnectionID) -> Bool { self.ids.contains(id) }
}

/// Refusals of clients that have no session yet: a few for each, of the clients that came last.
struct RefusedTransports {
    private static let (clients, attempts) = (1_000, 8)
    private var byID: [ConnectionID: [TransportHistory.Attempt]] = [:]
    /// Who came when. Some may be taken already.
    private var order: CircularBuffer<ConnectionID> = []

    mutating func note(_ attempt: TransportHistory.Attempt, for id: ConnectionID) {
        if self.byID[id] == nil {
            if self.order.count == Self.clients { self.byID[self.order.removeFirst()] = nil }
            self.order.append(id)
        }
        guard self.byID[id, default: []].count < Self.attempts else { return }
        self.byID[id, default: []].append(attempt)
    }

    mutating func take(_ id: ConnectionID) -> [TransportHistory.Attempt] {
        self.byID.isEmpty ? [] : self.byID.removeValue(forKey: id) ?? []
    }
}
