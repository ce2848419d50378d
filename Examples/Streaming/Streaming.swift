// SignalBox: streams both ways, and asking a client for a result
// SPDX-License-Identifier: Apache-2.0

import Hummingbird
import SignalR
import SignalRHummingbird

/// What the server may call on clients. The macro makes `PlayerProxy` of it.
@HubClient protocol Player {
    func tick(_ second: Int) async throws
    func pickNumber(from low: Int, to high: Int) async throws -> Int
}

@Hub struct Numbers {
    /// Server to client: items leave as fast as the client takes them; cancelling the stream ends the loop.
    func countdown(from start: Int) -> AsyncStream<Int> {
        AsyncStream { items in
            let counting = Task {
                for number in stride(from: start, to: 0, by: -1) {
                    items.yield(number)
                    try await Task.sleep(for: .milliseconds(200))
                }
                items.finish()
            }
            items.onTermination = { _ in counting.cancel() }
        }
    }

    /// Client to server: reading is what lets the client send more.
    func average(_ numbers: HubStream<Double>) async throws -> Double? {
        var (sum, count) = (0.0, 0)
        for try await number in numbers { (sum, count) = (sum + number, count + 1) }
        return count == 0 ? nil : sum / Double(count)
    }

    /// Asks the caller and waits for the answer.
    func guess(context: HubCallerContext) async throws -> String {
        let secret = Int.random(in: 1...10)
        let number = try await context.clients(PlayerProxy.self).caller.pickNumber(from: 1, to: 10)
        guard number == secret else { throw HubError("It was \(secret), not \(number).") }
        return "Right!"
    }
}

@main struct StreamingApp {
    static func main() async throws {
        let router = Router()
        let numbers = try router.signalR("/numbers", hub: Numbers())
        // From outside of the hub: a route that calls every client.
        router.post("/tick") { _, _ in
            try await numbers.context.clients(PlayerProxy.self).all.tick(1)
            return "ticked \(await numbers.context.presence.count()) clients\n"
        }
        try await Application(router: router, server: .signalR(router)).runService()
    }
}
