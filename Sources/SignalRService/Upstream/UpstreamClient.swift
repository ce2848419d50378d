// SignalBox: what upstream is yet to be told of one client
// SPDX-License-Identifier: Apache-2.0

import NIOConcurrencyHelpers
import NIOCore

/// The events of one client, one at a time and in order. A task runs while there are any.
final class UpstreamClient: Sendable {
    typealias Job = @Sendable () async -> Void

    private struct State {
        var jobs: CircularBuffer<Job> = []
        var isRunning = false
        /// The client is not read until there is room again.
        var isFull = false
    }

    private let limit: Int
    private let load: UpstreamLoad
    /// Goes on reading the client.
    private let resume: @Sendable () -> Void
    private let state = NIOLockedValueBox(State())

    init(limit: Int, load: UpstreamLoad, resume: @escaping @Sendable () -> Void) {
        self.limit = max(1, limit)
        self.load = load
        self.resume = resume
    }

    /// - Returns: false when the client must not send more until `resume` was called. The job is taken in any case.
    func add(_ job: @escaping Job) -> Bool {
        let (starts, hasRoom) = state.withLockedValue { state in
            state.jobs.append(job)
            state.isFull = state.jobs.count >= limit
            defer { state.isRunning = true }
            return (!state.isRunning, !state.isFull)
        }
        if starts {
            load.begin()
            Task {
                await run()
                load.end()
            }
        }
        return hasRoom
    }

    private func run() async {
        while let (job, wasFull) = next() {
            if wasFull { resume() }
            await job()
        }
    }

    private func next() -> (Job, wasFull: Bool)? {
        state.withLockedValue { state in
            guard let job = state.jobs.popFirst() else {
                state.isRunning = false
                return nil
            }
            defer { state.isFull = false }
            return (job, state.isFull)
        }
    }
}

/// Counts the clients that upstream is yet to be told something of, so that the end of the service can wait for them.
final class UpstreamLoad: Sendable {
    private struct State {
        var count = 0
        var waiters: [CheckedContinuation<Void, Never>] = []
    }

    private let state = NIOLockedValueBox(State())

    func begin() { state.withLockedValue { $0.count += 1 } }

    func end() {
        let isIdle = state.withLockedValue { state in
            state.count -= 1
            return state.count == 0
        }
        if isIdle { release() }
    }

    /// Returns when there is none left, at most after `timeout`.
    func becameIdle(within timeout: Duration) async {
        let timer = Task {
            try await Task.sleep(for: timeout)
            release()
        }
        defer { timer.cancel() }
        await withCheckedContinuation { waiter in
            let isIdle = state.withLockedValue { state in
                guard state.count > 0 else { return true }
                state.waiters.append(waiter)
                return false
            }
            if isIdle { waiter.resume() }
        }
    }

    private func release() {
        let waiters = state.withLockedValue { state in
            defer { state.waiters = [] }
            return state.waiters
        }
        for waiter in waiters { waiter.resume() }
    }
}
