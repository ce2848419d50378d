// SignalBox: the playground's chat: messages to all and to rooms, streams both ways, a question to the caller
// SPDX-License-Identifier: Apache-2.0

import SignalR
import SignalRWire

/// What clients call on the chat.
///
/// The method table is written by hand, so that building the service does not need swift-syntax; `@Hub` would generate it from the
/// functions below (see Examples/Chat).
struct ChatHub: Hub {
    static let methods: [HubMethodDefinition<ChatHub>] = [
        HubMethodDefinition("send", parameters: 2) { arguments in
            let (user, message) = (try arguments.next(String.self), try arguments.next(String.self))
            return { hub, context in
                try await hub.send(user: user, message: message, context)
                return .void
            }
        },
        HubMethodDefinition("join", parameters: 1) { arguments in
            let room = try arguments.next(String.self)
            return { _, context in
                try await context.groups.add(context.connectionID, to: room)
                return .void
            }
        },
        HubMethodDefinition("leave", parameters: 1) { arguments in
            let room = try arguments.next(String.self)
            return { _, context in
                try await context.groups.remove(context.connectionID, from: room)
                return .void
            }
        },
        HubMethodDefinition("sendToRoom", parameters: 3) { arguments in
            let room = try arguments.next(String.self)
            let (user, message) = (try arguments.next(String.self), try arguments.next(String.self))
            return { hub, context in
                try await hub.sendToRoom(room: room, user: user, message: message, context)
                return .void
            }
        },
        HubMethodDefinition("countdown", parameters: 1, kind: .stream) { arguments in
            let start = try arguments.next(Int.self)
            return { hub, _ in .stream(try hub.countdown(from: start)) }
        },
        HubMethodDefinition("sum", streams: 1) { arguments in
            let numbers = try arguments.nextStream(of: Int.self)
            return { hub, _ in try .value(try await hub.sum(numbers: numbers)) }
        },
        HubMethodDefinition("ask") { _ in
            { hub, context in try .value(try await hub.ask(context)) }
        },
    ]

    private let visitors = Visitors()

    func onConnected(_ context: HubCallerContext) async throws {
        try await context.clients.all.send("online", visitors.came())
    }

    func onDisconnected(_ context: HubCallerContext, reason: (any Error)?) async throws {
        try await context.clients.all.send("online", visitors.left())
    }

    func send(user: String, message: String, _ context: HubCallerContext) async throws {
        try await context.clients.all.send("receive", user, message)
    }

    func sendToRoom(room: String, user: String, message: String, _ context: HubCallerContext) async throws {
        try await context.clients.group(room).send("receiveRoom", room, user, message)
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
        try await context.clients.caller.invoke("answer")
    }
}
