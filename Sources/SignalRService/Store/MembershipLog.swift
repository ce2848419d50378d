// SignalBox: changes on their way to the store, in order and many at a time
// SPDX-License-Identifier: Apache-2.0

import Logging
import NIOConcurrencyHelpers

/// Hands changes to the store in the order in which they were made. While one write is under way, what comes in the meantime waits and
/// goes as one write then, so that many callers share the price of a commit. Changes that could not be written stay for the next try.
final class MembershipLog: Sendable {
    /// Changes that may wait for a store that fails. Past it the oldest are lost, which the log says.
    private static let maximumWaiting = 100_000

    private typealias Waiter = CheckedContinuation<Void, any Error>
    private struct State {
        var changes: [MembershipChange] = []
        var waiters: [Waiter] = []
        var isWriting = false

        /// Whether the caller has to start the writer.
        mutating func starts() -> Bool {
            defer { isWriting = true }
            return !isWriting
        }
    }

    private let store: any ServiceStore
    private let logger: Logger
    private let state = NIOLockedValueBox(State())

    init(_ store: any ServiceStore, logger: Logger) {
        self.store = store
        self.logger = logger
    }

    /// Called under the lock of those whose changes these are, so that the order is theirs.
    func append(_ changes: [MembershipChange]) {
        let starts = state.withLockedValue { state in
            state.changes += changes
            return state.starts()
        }
        if starts { Task { await self.write() } }
    }

    /// Returns when everything that was appended before is kept.
    /// - Throws: what the store throws.
    func settle() async throws {
        try await withCheckedThrowingContinuation { (waiter: Waiter) in
            let (isSettled, starts) = state.withLockedValue { state in
                guard state.isWriting || !state.changes.isEmpty else { return (true, false) }
                state.waiters.append(waiter)
                return (false, state.starts())
            }
            if isSettled { waiter.resume() }
            if starts { Task { await self.write() } }
        }
    }

    /// Until nothing is left, or the store fails.
    private func write() async {
        while let (changes, waiters) = next() {
            do {
                if !changes.isEmpty { try await store.write(changes) }
                for waiter in waiters { waiter.resume() }
            } catch {
                logger.error(
                    "User groups could not be stored", metadata: ["changes": "\(changes.count)", "error": "\(error)"])
                for waiter in waiters + keep(changes) { waiter.resume(throwing: error) }
                return
            }
        }
    }

    private func next() -> (changes: [MembershipChange], waiters: [Waiter])? {
        state.withLockedValue { state in
            guard !state.changes.isEmpty || !state.waiters.isEmpty else {
                state.isWriting = false
                return nil
            }
            defer { (state.changes, state.waiters) = ([], []) }
            return (state.changes, state.waiters)
        }
    }

    /// Stops writing; gives those who came to wait in the meantime.
    private func keep(_ changes: [MembershipChange]) -> [Waiter] {
        let (waiters, lost) = state.withLockedValue { state in
            state.changes = changes + state.changes
            let lost = max(0, state.changes.count - Self.maximumWaiting)
            state.changes.removeFirst(lost)
            state.isWriting = false
            defer { state.waiters = [] }
            return (state.waiters, lost)
        }
        if lost > 0 { logger.error("Changes of user groups are lost", metadata: ["changes": "\(lost)"]) }
        return waiters
    }
}
