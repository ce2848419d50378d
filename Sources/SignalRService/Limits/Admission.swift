// SignalBox: the limits of the service at work: who is counted, and who is told to come later
// SPDX-License-Identifier: Apache-2.0

import Logging
import NIOConcurrencyHelpers
import SignalR

/// Counts clients by hub and user, and their arrivals, app servers, and REST requests by key.
///
/// One lock, taken a few times for each client and once for each REST request: the counts are exact, so that a limit of 100 lets in 100.
/// What clients send is not counted here but on their event loops, by ``ClientMeter``.
final class Admission: Sendable {
    private struct User {
        var connections = 0
        /// nil while nothing limits what users send.
        var meter: UserMeter?
    }

    private struct Hub {
        var connections = 0
        var users: [String: User] = [:]

        mutating func enter(_ user: String?) {
            connections += 1
            if let user { users[user, default: User()].connections += 1 }
        }

        mutating func leave(_ user: String?) {
            connections -= 1
            guard let user, var entry = users[user] else { return }
            entry.connections -= 1
            users[user] = entry.connections > 0 ? entry : nil
        }

        var withoutMeters: Hub {
            Hub(connections: connections, users: users.mapValues { User(connections: $0.connections) })
        }

        /// The one that all connections of a user share.
        mutating func meter(of user: String, _ limits: ServiceLimits) -> UserMeter? {
            if users[user]?.meter == nil { users[user]?.meter = UserMeter(limits) }
            return users[user]?.meter
        }
    }

    private struct State {
        var limits: ServiceLimits
        var connections = 0
        var servers = 0
        var hubs: [String: Hub] = [:]
        var arrivals: TokenBucket?
        /// Who was refused gets an appointment, one behind the other.
        var appointments: Appointments
        var requests: [Int: TokenBucket] = [:]

        init(_ limits: ServiceLimits) {
            self.limits = limits
            self.arrivals = limits.connects.map(TokenBucket.init)
            self.appointments = Appointments(limits.connects)
        }
    }

    private let state: NIOLockedValueBox<State>
    private let now: @Sendable () -> Double

    /// - Parameter now: seconds on a clock that only goes forward.
    init(_ limits: ServiceLimits, now: @escaping @Sendable () -> Double = { TokenBucket.now }) {
        self.state = NIOLockedValueBox(State(limits))
        self.now = now
    }

    /// Puts other limits in force. Who is there stays, even if there are more now than there may be; rates start with full bursts.
    func update(_ limits: ServiceLimits) {
        state.withLockedValue { state in
            state.limits = limits
            state.arrivals = limits.connects.map(TokenBucket.init)
            state.appointments = Appointments(limits.connects)
            state.requests = [:]
            // Made again, by the new limits, when a connection asks.
            state.hubs = state.hubs.mapValues { $0.withoutMeters }
        }
    }

    var limits: ServiceLimits { state.withLockedValue { $0.limits } }

    // MARK: Arriving

    /// Why nobody can come now; counts nobody.
    func refusal(of hub: String) -> GateRefusal? {
        let now = now()
        return state.withLockedValue { state in
            if state.arrivals?.has(1, at: now) == false { return Self.later(&state, now) }
            return Self.fullness(state, hub, user: nil)
        }
    }

    func arrive(at hub: String, user: String?) -> GateRefusal? {
        let now = now()
        return state.withLockedValue { state in
            if let full = Self.fullness(state, hub, user: user) { return full }
            return state.arrivals?.take(1, at: now) == false ? Self.later(&state, now) : nil
        }
    }

    private static func later(_ state: inout State, _ now: Double) -> GateRefusal {
        GateRefusal(
            .connectRate, retryAfter: state.appointments.next(at: now, after: state.arrivals?.wait(at: now) ?? 0))
    }

    /// The first limit that is reached already.
    private static func fullness(_ state: State, _ name: String, user: String?) -> GateRefusal? {
        func isReached(_ limit: Int?, by count: Int) -> Bool { limit.map { count >= $0 } ?? false }
        let (limits, hub) = (state.limits, state.hubs[name])
        let reason: GateRefusal.Reason
        if isReached(limits.connections, by: state.connections) {
            reason = .connections
        } else if isReached(limits.connections(ofHub: name), by: hub?.connections ?? 0) {
            reason = .hubConnections
        } else if let user, isReached(limits.connections(ofUser: user), by: hub?.users[user]?.connections ?? 0) {
            reason = .userConnections
        } else {
            return nil
        }
        return GateRefusal(reason, retryAfter: .random(in: fullRetry))
    }

    /// Nobody knows when somebody leaves, so those who wait are spread.
    private static let fullRetry = 5...15

    // MARK: Being there

    func enter(_ hub: String, user: String?) -> GateRefusal? {
        state.withLockedValue { state in
            if let full = Self.fullness(state, hub, user: user) { return full }
            state.connections += 1
            state.hubs[hub, default: Hub()].enter(user)
            return nil
        }
    }

    func leave(_ hub: String, user: String?) {
        state.withLockedValue { state in
            state.connections -= 1
            state.hubs[hub]?.leave(user)
            if state.hubs[hub]?.connections == 0 { state.hubs[hub] = nil }
        }
    }

    /// How many are there: in the service, or in a hub, or of a user in a hub.
    func count(of hub: String? = nil, user: String? = nil) -> Int {
        state.withLockedValue { state in
            guard let hub else { return state.connections }
            guard let user else { return state.hubs[hub]?.connections ?? 0 }
            return state.hubs[hub]?.users[user]?.connections ?? 0
        }
    }

    /// What watches over a client that entered; nil when nothing limits it.
    func meter(_ hub: String, user: String?) -> ClientMeter? {
        state.withLockedValue { state in
            let shared = user.flatMap {
                state.limits.limitsUsersInput ? state.hubs[hub]?.meter(of: $0, state.limits) : nil
            }
            return ClientMeter(state.limits, user: shared, now: now)
        }
    }

    // MARK: App servers

    func enterServer() -> GateRefusal? {
        state.withLockedValue { state in
            if let limit = state.limits.serverConnections, state.servers >= limit {
                return GateRefusal(.serverConnections, retryAfter: .random(in: Self.fullRetry))
            }
            state.servers += 1
            return nil
        }
    }

    func leaveServer() { state.withLockedValue { $0.servers -= 1 } }

    // MARK: REST

    /// Counts a request with the key of this number.
    func request(withKey key: Int) -> GateRefusal? {
        let now = now()
        return state.withLockedValue { state in
            guard let rate = state.limits.requestsPerKey else { return nil }
            if state.requests[key, default: TokenBucket(rate)].take(1, at: now) { return nil }
            let wait = state.requests[key]?.wait(at: now) ?? 1
            return GateRefusal(.requestRate, retryAfter: Appointments.seconds(wait))
        }
    }
}

/// One hub's part of the admission.
struct HubGate: Gate {
    let admission: Admission
    let hub: String

    func refusal() -> GateRefusal? { admission.refusal(of: hub) }
    func arrive(user: String?) -> GateRefusal? { admission.arrive(at: hub, user: user) }
    func enter(user: String?) -> GateRefusal? { admission.enter(hub, user: user) }
    func leave(user: String?) { admission.leave(hub, user: user) }
    func meter(user: String?) -> (any InboundMeter)? { admission.meter(hub, user: user) }
}

/// Counts connections of app servers, those included that have not shaken hands.
struct ServerGate: Gate {
    let admission: Admission
    let logger: Logger

    func refusal() -> GateRefusal? { nil }
    func arrive(user: String?) -> GateRefusal? { nil }
    func enter(user: String?) -> GateRefusal? {
        let refusal = admission.enterServer()
        if refusal != nil {
            // Whoever comes here has a key, and SDKs come again more and more slowly.
            logger.warning(
                "An app server was refused: there are as many connections of app servers as there may be",
                metadata: ["signalr.server.id": "\(user ?? "")"])
        }
        return refusal
    }
    func leave(user: String?) { admission.leaveServer() }
    func meter(user: String?) -> (any InboundMeter)? { nil }
}
