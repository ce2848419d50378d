// SignalBox: work that has until a point in time
// SPDX-License-Identifier: Apache-2.0

/// Work did not end in time; it was cancelled.
struct DeadlineExceeded: Error {}

/// Runs `work` and cancels it after `timeout`.
/// - Throws: ``DeadlineExceeded``, and what `work` throws.
func withDeadline<Result: Sendable>(
    _ timeout: Duration, _ work: @escaping @Sendable () async throws -> Result
) async throws -> Result {
    try await withThrowingTaskGroup(of: Result.self) { tasks in
        tasks.addTask(operation: work)
        tasks.addTask {
            try await Task.sleep(for: timeout)
            throw DeadlineExceeded()
        }
        defer { tasks.cancelAll() }
        guard let result = try await tasks.next() else { throw DeadlineExceeded() }
        return result
    }
}
