// SignalBox: how late event loops are: what a message waits before the service looks at it
// SPDX-License-Identifier: Apache-2.0

import NIOConcurrencyHelpers
import NIOCore

/// Measures how much later than asked for every event loop runs a task, four times a second, over the last minute.
final class LoopDelay: Sendable {
    private static let interval = TimeAmount.milliseconds(250)
    private let samples: NIOLockedValueBox<Ring<Int64>>
    private let tasks = NIOLockedValueBox<[RepeatedTask]>([])

    init(_ eventLoops: [any EventLoop]) {
        let samples = NIOLockedValueBox(Ring<Int64>(capacity: 240 * max(1, eventLoops.count)))
        self.samples = samples
        let tasks = eventLoops.map { loop in
            let due = NIOLockedValueBox(NIODeadline.now() + Self.interval)
            return loop.scheduleRepeatedTask(initialDelay: Self.interval, delay: Self.interval) { _ in
                let now = NIODeadline.now()
                let late = due.withLockedValue { due in
                    defer { due = .now() + Self.interval }
                    return (now - due).nanoseconds
                }
                samples.withLockedValue { $0.append(max(0, late)) }
            }
        }
        self.tasks.withLockedValue { $0 = tasks }
    }

    deinit { stop() }

    func stop() { for task in tasks.withLockedValue({ $0 }) { task.cancel() } }

    /// The delays that half, and that 99 of 100 samples stay below, in milliseconds.
    var percentiles: (p50: Double, p99: Double) {
        let sorted = samples.withLockedValue { $0.all }.sorted()
        guard !sorted.isEmpty else { return (0, 0) }
        func at(_ share: Double) -> Double {
            (Double(sorted[min(sorted.count - 1, Int(Double(sorted.count) * share))]) / 1e3).rounded() / 1e3
        }
        return (at(0.5), at(0.99))
    }
}
