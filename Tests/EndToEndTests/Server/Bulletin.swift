// SignalBox: named events between a hub and the test that watches it: post and wait, in any order
// SPDX-License-Identifier: Apache-2.0

import NIOConcurrencyHelpers
import NIOCore
import NIOPosix

/// Counts events by name and lets others wait for them, so that no test has to sleep.
final class Bulletin: Sendable {
    private struct State {
        var posted: [String] = []
        var counts: [String: Int] = [:]
        var waiters: [(name: String, count: Int, promise: EventLoopPromise<Void>)] = []
    }
    private let state = NIOLockedValueBox(State())

    func post(_ name: String) {
        let due = state.withLockedValue { state in
            state.posted.append(name)
            let count = state.counts[name, default: 0] + 1
            state.counts[name] = count
            let due = state.waiters.filter { $0.name == name && $0.count <= count }
            state.waiters.removeAll { $0.name == name && $0.count <= count }
            return due
        }
        for waiter in due { waiter.promise.succeed() }
    }

    /// Every event so far, in order.
    var all: [String] { state.withLockedValue { $0.posted } }
    func count(_ name: String) -> Int { state.withLockedValue { $0.counts[name, default: 0] } }

    /// Returns once `name` was posted `count` times.
    /// - Throws: ``TimedOut``, or `CancellationError` when the calling task is cancelled.
    func wait(for name: String, count: Int = 1) async throws {
        let promise = MultiThreadedEventLoopGroup.singleton.any().makePromise(of: Void.self)
        let timeout = promise.futureResult.eventLoop.scheduleTask(in: patience) { promise.fail(TimedOut()) }
        promise.futureResult.whenComplete { _ in timeout.cancel() }
        let isThere = state.withLockedValue { state in
            if state.counts[name, default: 0] >= count { return true }
            state.waiters.append((name, count, promise))
            return false
        }
        if isThere { promise.succeed() }
        try await withTaskCancellationHandler {
            try await promise.futureResult.get()
        } onCancel: {
            promise.fail(CancellationError())
        }
    }
}

/// Returns once `condition` holds; for what the server does without telling anybody.
func until(_ condition: () async throws -> Bool) async throws {
    let deadline = ContinuousClock.now + .nanoseconds(patience.nanoseconds)
    while try await !condition() {
        guard .now < deadline else { throw TimedOut() }
        await Task.yield()
    }
}
