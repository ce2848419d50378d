// SignalBox: how many requests one upstream has at a time, and who waits
// SPDX-License-Identifier: Apache-2.0

import NIOConcurrencyHelpers
import NIOCore

/// Lets a number of tasks in; the others wait in their order, and there is a bound to that too.
final class UpstreamGate: Sendable {
    enum Failure: Error { case full }

    private struct State {
        var inside = 0
        var nextTicket = 0
        var waiting: CircularBuffer<(ticket: Int, task: CheckedContinuation<Void, any Error>)> = []
    }

    private let capacity: Int
    private let maximumQueue: Int
    private let state = NIOLockedValueBox(State())

    init(capacity: Int, maximumQueue: Int) {
        self.capacity = max(1, capacity)
        self.maximumQueue = max(0, maximumQueue)
    }

    /// Runs `work` when there is room.
    /// - Throws: ``Failure/full``, `CancellationError` while it waits, and what `work` throws.
    func pass<Result: Sendable>(_ work: () async throws -> Result) async throws -> Result {
        try await enter()
        defer { leave() }
        return try await work()
    }

    private func enter() async throws {
        let ticket = state.withLockedValue { state in
            state.nextTicket += 1
            return state.nextTicket
        }
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { task in
                let result: Result<Void, any Error>? = state.withLockedValue { state in
                    if Task.isCancelled { return .failure(CancellationError()) }
                    if state.inside < capacity {
                        state.inside += 1
                        return .success(())
                    }
                    guard state.waiting.count < maximumQueue else { return .failure(Failure.full) }
                    state.waiting.append((ticket, task))
                    return nil
                }
                if let result { task.resume(with: result) }
            }
        } onCancel: {
            let task = state.withLockedValue { state in
                state.waiting.firstIndex { $0.ticket == ticket }.map { state.waiting.remove(at: $0).task }
            }
            task?.resume(throwing: CancellationError())
        }
    }

    /// The place goes to the first who waits.
    private func leave() {
        let next = state.withLockedValue { state in
            guard let next = state.waiting.popFirst() else {
                state.inside -= 1
                return CheckedContinuation<Void, any Error>?.none
            }
            return next.task
        }
        next?.resume()
    }
}
