// SignalBox: a running call of a classic client: its state and its progress
// SPDX-License-Identifier: Apache-2.0

import NIOConcurrencyHelpers
public import SignalR
public import SignalRWire

extension HubCallerContext {
    /// What only clients of ASP.NET SignalR 2.x have; nil for all others, and outside of calls.
    public var classic: ClassicCall? { self.scope?.call as? ClassicCall }
}

/// A call by a client of ASP.NET SignalR 2.x.
public final class ClassicCall: Sendable {
    private struct State {
        var members: [String: HubValue]
        var changed: Set<String> = []
        var hasReported = false
        var isOver = false
    }

    /// nil when the client wants no answer.
    let id: String?
    let seat: ClassicSeat
    private let state: NIOLockedValueBox<State>

    init(id: String?, seat: ClassicSeat, state: [HubValue.Member]) {
        self.id = id
        self.seat = seat
        self.state = NIOLockedValueBox(
            State(members: Dictionary(state.map { ($0.key, $0.value) }, uniquingKeysWith: { $1 })))
    }

    /// The client's state of the hub (`hub.state` in JavaScript, `Clients.Caller` in .NET). What the method changes goes back to the
    /// client with the answer, and with whatever is sent to the caller before that.
    public subscript(key: String) -> HubValue? {
        get { self.state.withLockedValue { $0.members[key] } }
        set {
            self.state.withLockedValue { state in
                let value = newValue ?? .null
                guard state.members[key] != value else { return }
                state.members[key] = value
                state.changed.insert(key)
            }
        }
    }

    /// The members that the method changed, by name.
    var changes: [HubValue.Member] {
        self.state.withLockedValue { state in
            guard !state.changed.isEmpty else { return [] }
            return state.changed.sorted().compactMap { key in
                state.members[key].map { HubValue.Member(key: key, value: $0) }
            }
        }
    }

    /// Tells the client how far the method is. Nothing happens when it wants no answer.
    /// - Throws: `HubError` when the method is over; `EncodingError` when the value has no representation.
    public func report(_ progress: some Encodable & Sendable) throws {
        try self.report(HubPayload(encoding: progress))
    }

    func report(_ value: HubPayload) throws {
        let isOver = self.state.withLockedValue { state in
            state.hasReported = true
            return state.isOver
        }
        guard !isOver else {
            throw HubError("A method can report its progress only while it runs.")
        }
        guard let id = self.id else { return }
        self.seat.report(ClassicProgress(id: id, value: value, state: self.changes))
    }

    /// Whether something is on its way that the result must not overtake.
    var hasReported: Bool { self.state.withLockedValue { $0.hasReported } }

    func end() { self.state.withLockedValue { $0.isOver = true } }
}
