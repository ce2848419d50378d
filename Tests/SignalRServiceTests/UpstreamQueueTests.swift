// SignalBox: who waits for upstream, and how many may
// SPDX-License-Identifier: Apache-2.0

import NIOConcurrencyHelpers
import Testing

@testable import SignalRService

@Suite struct UpstreamGateTests {
    @Test func onlyAsManyAreInsideAsThereIsRoom() async throws {
        let gate = UpstreamGate(capacity: 3, maximumQueue: 100)
        let inside = NIOLockedValueBox((now: 0, most: 0))
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            for _ in 0..<50 {
                tasks.addTask {
                    try await gate.pass {
                        inside.withLockedValue {
                            $0.now += 1
                            $0.most = max($0.most, $0.now)
                        }
                        await Task.yield()
                        inside.withLockedValue { $0.now -= 1 }
                    }
                }
            }
            try await tasks.waitForAll()
        }
        #expect(inside.withLockedValue { $0.now == 0 && (1...3).contains($0.most) })
    }

    @Test func theQueueIsBounded() async throws {
        let gate = UpstreamGate(capacity: 1, maximumQueue: 0)
        let (entered, leave) = (Latch(), Latch())
        async let first: Void = gate.pass {
            entered.open()
            await leave.wait()
        }
        await entered.wait()
        await #expect(throws: UpstreamGate.Failure.full) { try await gate.pass {} }
        leave.open()
        try await first
        try await gate.pass {}
    }

    @Test func whoIsCancelledLeavesTheQueue() async throws {
        let gate = UpstreamGate(capacity: 1, maximumQueue: 1)
        let (entered, leave) = (Latch(), Latch())
        async let first: Void = gate.pass {
            entered.open()
            await leave.wait()
        }
        await entered.wait()
        let waiting = Task { try await gate.pass {} }
        waiting.cancel()
        await #expect(throws: CancellationError.self) { try await waiting.value }
        leave.open()
        try await first
        try await gate.pass {}
    }
}

@Suite struct UpstreamClientTests {
    @Test func jobsRunOneAtATimeInOrder() async {
        let load = UpstreamLoad()
        let client = UpstreamClient(limit: 1_000, load: load) {}
        let order = NIOLockedValueBox<[Int]>([])
        for number in 0..<100 {
            _ = client.add {
                await Task.yield()
                order.withLockedValue { $0.append(number) }
            }
        }
        await load.becameIdle(within: .seconds(60))
        #expect(order.withLockedValue { $0 } == Array(0..<100))
    }

    @Test func aFullClientWaitsAndGoesOn() async {
        let (load, resumed, go) = (UpstreamLoad(), Latch(), Latch())
        let client = UpstreamClient(limit: 2, load: load) { resumed.open() }
        let started = Latch()
        #expect(
            client.add {
                started.open()
                await go.wait()
            })
        await started.wait()
        #expect(client.add {})
        #expect(!client.add {})
        go.open()
        await resumed.wait()
        await load.becameIdle(within: .seconds(60))
    }

    @Test func waitingForTheLastEndsInTime() async {
        let (load, go) = (UpstreamLoad(), Latch())
        let client = UpstreamClient(limit: 2, load: load) {}
        _ = client.add { await go.wait() }
        await load.becameIdle(within: .milliseconds(1))
        go.open()
        await load.becameIdle(within: .seconds(60))
    }
}
