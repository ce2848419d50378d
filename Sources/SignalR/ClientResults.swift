// SignalBox: calls that wait for a client's answer
// SPDX-License-Identifier: Apache-2.0

import NIOConcurrencyHelpers
package import SignalRWire

/// Invocations sent to clients that wait for a Completion (core protocol reference, "Client results").
/// There is no timeout of its own: a call ends with the answer, the caller's cancellation or the connection.
package final class ClientResults: Sendable {
    private struct Waiting {
        let connection: ConnectionID
        let continuation: CheckedContinuation<HubMessage.Completion.Outcome, any Error>
    }
    private struct State {
        var counter: UInt64 = 0
        var waiting: [String: Waiting] = [:]
    }
    private let state = NIOLockedValueBox(State())

    /// What a completion with an id meant.
    package enum Match { case answered, unknown, ofAnotherConnection(ConnectionID) }

    package init() {}

    /// A fresh id; the letter keeps it apart from ids that clients make.
    package func nextID() -> String {
        state.withLockedValue { state in
            state.counter += 1
            return "s\(state.counter)"
        }
    }

    /// Sends the invocation, whose id must be one of ``nextID()``, and waits.
    func ask(
        _ connectionID: String, _ invocation: HubMessage.Invocation, in registry: ConnectionRegistry
    ) async throws -> HubMessage.Completion.Outcome {
        guard let id = invocation.id, let connection = registry.connection(named: connectionID) else {
            throw HubConnectionError(code: .notFound, message: ErrorText.noConnection(connectionID))
        }
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                state.withLockedValue {
                    $0.waiting[id] = Waiting(connection: connection.id, continuation: continuation)
                }
                if Task.isCancelled { return fail(id, with: CancellationError()) }
                connection.onLoop { [self] in
                    guard connection.state == .open, let session = connection.session else {
                        return fail(id, with: Self.disconnected(connectionID))
                    }
                    guard session.answersCalls else {
                        return fail(id, with: HubConnectionError(code: .notAllowed, message: ErrorText.noResults))
                    }
                    connection.send(.invocation(invocation))
                }
            }
        } onCancel: {
            fail(id, with: CancellationError())
        }
    }

    /// Resolves the call that waits for this completion.
    package func complete(_ completion: HubMessage.Completion, from connection: ConnectionID) -> Match {
        let (match, waiting): (Match, Waiting?) = state.withLockedValue { state in
            guard let waiting = state.waiting[completion.id] else { return (.unknown, nil) }
            guard waiting.connection == connection else { return (.ofAnotherConnection(waiting.connection), nil) }
            state.waiting[completion.id] = nil
            return (.answered, waiting)
        }
        waiting?.continuation.resume(returning: completion.outcome)
        return match
    }

    /// Fails every call that waits for this connection.
    package func connectionClosed(_ connection: ConnectionID) {
        let lost = state.withLockedValue { state -> [Waiting] in
            guard !state.waiting.isEmpty else { return [] }
            let lost = state.waiting.filter { $0.value.connection == connection }
            for id in lost.keys { state.waiting[id] = nil }
            return Array(lost.values)
        }
        for call in lost { call.continuation.resume(throwing: Self.disconnected(connection.description)) }
    }

    private func fail(_ id: String, with error: any Error) {
        state.withLockedValue { $0.waiting.removeValue(forKey: id) }?.continuation.resume(throwing: error)
    }

    private static func disconnected(_ id: String) -> HubConnectionError {
        HubConnectionError(code: .disconnected, message: ErrorText.disconnected(id))
    }
}
