// SignalBox: questions to clients of app servers that have not been answered yet
// SPDX-License-Identifier: Apache-2.0

import NIOConcurrencyHelpers
import NIOCore
import SignalR
import SignalRWire

/// Remembers who asked, for as long as a client may answer (service reference, "Client results").
final class ClientInvocations: Sendable {
    /// Who asked.
    enum Caller: Sendable {
        case server(ServerSession)
        /// A REST caller, by way of the service itself. Called once.
        case service(@Sendable (Result<Answer, Failure>) -> Void)

        fileprivate func fail(_ call: ServiceMessage.ClientCall, _ text: String) {
            switch self {
            case .server(let session): session.send(ClientInvocations.failure(of: call, text))
            case .service(let callback): callback(.failure(Failure(text: text, isLoss: true)))
            }
        }

        fileprivate func isServer(_ session: ServerSession) -> Bool {
            if case .server(let mine) = self { mine === session } else { false }
        }
    }

    /// A hub message, and the protocol that it is in.
    struct Answer: Sendable {
        let protocolName: String
        let bytes: ByteBuffer
    }

    /// There will be no answer.
    struct Failure: Error {
        let text: String
        /// Since the client is gone, rather than since it cannot be asked.
        var isLoss = false
    }

    private struct Waiting {
        let call: ServiceMessage.ClientCall
        let caller: Caller
        let deadline: NIODeadline
    }

    private struct State {
        var waiting: [String: Waiting] = [:]
        var nextSweep = NIODeadline.now()
    }

    /// More are refused.
    static let maximumCount = 100_000
    static let lifetime = TimeAmount.minutes(10)
    private static let sweepInterval = TimeAmount.seconds(30)

    private let state = NIOLockedValueBox(State())

    /// - Returns: false when there are too many, or the id is in use.
    func add(_ call: ServiceMessage.ClientCall, from caller: Caller) -> Bool {
        let now = NIODeadline.now()
        let (isAdded, late) = state.withLockedValue { state -> (Bool, [Waiting]) in
            var late: [Waiting] = []
            if now >= state.nextSweep {
                state.nextSweep = now + Self.sweepInterval
                late = state.waiting.values.filter { $0.deadline <= now }
                for waiting in late { state.waiting[waiting.call.invocationID] = nil }
            }
            guard state.waiting.count < Self.maximumCount, state.waiting[call.invocationID] == nil else {
                return (false, late)
            }
            state.waiting[call.invocationID] = Waiting(call: call, caller: caller, deadline: now + Self.lifetime)
            return (true, late)
        }
        for waiting in late {
            waiting.caller.fail(waiting.call, "The client did not answer in time.")
        }
        return isAdded
    }

    /// Forgets the call, and tells who asked.
    func take(_ id: String) -> Caller? {
        state.withLockedValue { $0.waiting.removeValue(forKey: id)?.caller }
    }

    /// The client will not answer.
    func fail(_ id: String, _ text: String) {
        guard let waiting = state.withLockedValue({ $0.waiting.removeValue(forKey: id) }) else { return }
        waiting.caller.fail(waiting.call, text)
    }

    /// A connection of an app server is gone. Its process hears of answers by another one, if it has one.
    func hand(callsOf caller: ServerSession, to other: ServerSession?) {
        state.withLockedValue { state in
            for (id, waiting) in state.waiting where waiting.caller.isServer(caller) {
                state.waiting[id] = other.map {
                    Waiting(call: waiting.call, caller: .server($0), deadline: waiting.deadline)
                }
            }
        }
    }

    static func failure(of call: ServiceMessage.ClientCall, _ text: String) -> ServiceMessage {
        var call = call
        call.extension = []
        return .errorCompletion(call, error: text)
    }
}
