// SignalBox: the classic clients of an endpoint by id
// SPDX-License-Identifier: Apache-2.0

import NIOConcurrencyHelpers
import SignalR

/// From the first receive request of a client to its end. Negotiating leaves no trace here.
final class ClassicTable: Sendable {
    private let sessions = NIOLockedValueBox<[ConnectionID: ClassicSession]>([:])
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

    func remove(_ session: ClassicSession) {
        self.sessions.withLockedValue { sessions in
            if sessions[session.carrier.id] === session { sessions[session.carrier.id] = nil }
        }
    }
}
