// SignalBox: things that happen elsewhere, taken one at a time by a test that waits for them
// SPDX-License-Identifier: Apache-2.0

import NIOConcurrencyHelpers
import NIOCore
import NIOPosix

/// Longer than anything takes on a busy machine; a test that waits longer fails instead of hanging.
let patience = TimeAmount.seconds(30)

struct TimedOut: Error {}
struct Unexpected: Error { let what: String }

/// A queue with one reader at a time.
final class Mailbox<Element: Sendable>: Sendable {
    private struct State {
        var items: [Element] = []
        var reader: EventLoopPromise<Void>?
    }
    private let state = NIOLockedValueBox(State())

    func put(_ item: Element) {
        let reader = state.withLockedValue { state in
            state.items.append(item)
            defer { state.reader = nil }
            return state.reader
        }
        reader?.succeed()
    }

    var isEmpty: Bool { state.withLockedValue { $0.items.isEmpty } }

    /// - Throws: ``TimedOut``.
    func next() async throws -> Element {
        while true {
            let (item, arrival) = state.withLockedValue { state -> (Element?, EventLoopFuture<Void>?) in
                if !state.items.isEmpty { return (state.items.removeFirst(), nil) }
                let loop = MultiThreadedEventLoopGroup.singleton.any()
                let promise = loop.makePromise(of: Void.self)
                let timeout = loop.scheduleTask(in: patience) { promise.fail(TimedOut()) }
                promise.futureResult.whenComplete { _ in timeout.cancel() }
                state.reader = promise
                return (nil, promise.futureResult)
            }
            if let item { return item }
            try await arrival?.get()
        }
    }
}

extension Mailbox where Element == String {
    /// Takes the next one, which must be this.
    func expect(_ text: String) async throws {
        let next = try await next()
        guard next == text else { throw Unexpected(what: next) }
    }
}

/// Returns once `condition` holds; for what happens without telling anybody.
func eventually(_ condition: () async throws -> Bool) async throws {
    let deadline = NIODeadline.now() + patience
    while try await !condition() {
        guard .now() < deadline else { throw TimedOut() }
        await Task.yield()
    }
}
