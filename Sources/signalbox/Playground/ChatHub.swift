// SignalBox: the playground's chat: messages to all and to rooms, streams both ways, a question to the caller
// SPDX-License-Identifier: Apache-2.0

import SignalR
import SignalRWire

/// What the chat calls on its clients.
@HubClient
protocol ChatClient {
    func receive(_ user: String, _ message: String) async throws
    func receiveRoom(_ room: String, _ user: String, _ message: String) async throws
    func online(_ count: Int) async throws
    func answer() async throws -> HubValue
}

/// What clients call on the chat.
@Hub
struct ChatHub {
    private let visitors = Visitors()

    func onConnected(_ context: HubCallerContext) async throws {
        try await context.clients(ChatClientProxy.self).all.online(visitors.came())
    }

    func onDisconnected(_ context: HubCallerContext, reason: (any Error)?) async throws {
        try await context.clients(ChatClientProxy.self).all.online(visitors.left())
    }

    func send(user: String, message: String, _ context: HubCallerContext) async throws {
        try await context.clients(ChatClientProxy.self).all.receive(user, message)
    }

    func join(room: String, _ context: HubCallerContext) async throws {
        try await context.groups.add(context.connectionID, to: room)
    }

    func leave(room: String, _ context: HubCallerContext) async throws {
        try await context.groups.remove(context.connectionID, from: room)
    }

    func sendToRoom(room: String, user: String, message: String, _ context: HubCallerContext) async throws {
        try await context.clients(ChatClientProxy.self).group(room).receiveRoom(room, user, message)
    }

    /// Streams n, n - 1, … 1, as fast as the client takes them.
    func countdown(from start: Int) throws -> AsyncStream<Int> {
        guard (0...10_000).contains(start) else { throw HubError("Countdowns start at 10,000 or less.") }
        return AsyncStream { numbers in
            for number in stride(from: start, to: 0, by: -1) { numbers.yield(number) }
            numbers.finish()
        }
    }

    /// Adds what the client uploads.
    func sum(numbers: HubStream<Int>) async throws -> Int {
        var sum = 0
        for try await number in numbers {
            let (next, isTooLarge) = sum.addingReportingOverflow(number)
            guard !isTooLarge else { throw HubError("The sum is too large.") }
            sum = next
        }
        return sum
    }

    /// Asks the caller back.
    func ask(_ context: HubCallerContext) async throws -> HubValue {
        try await context.clients(ChatClientProxy.self).caller.answer()
    }
}
