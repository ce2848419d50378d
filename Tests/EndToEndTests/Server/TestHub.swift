// SignalBox: the hub of the conformance scenarios, its method table written by hand
// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import NIOConcurrencyHelpers
import SignalR
import SignalRWire

/// Named as in .NET, since detailed error texts show the name.
struct InvalidOperationException: Error, CustomStringConvertible {
    let description: String
}

struct TestHub: Hub {
    let bulletin: Bulletin

    static let methods: [HubMethodDefinition<TestHub>] = results + failures + streams + sends + callers

    func onConnected(_ context: HubCallerContext) async throws {
        if let text = context.query("refuse") { throw HubError(text) }
        if let text = context.query("crash") { throw InvalidOperationException(description: text) }
        if context.query("asks") != nil {
            do {
                let _: Int = try await context.clients.caller.invoke("Result")
            } catch {
                bulletin.post("\(error)")
            }
        }
        if context.query("slow") != nil { try await bulletin.wait(for: "let in") }
        bulletin.post("connected")
    }

    func onDisconnected(_ context: HubCallerContext, reason: (any Error)?) async throws {
        if context.query("lingers") != nil { try? await bulletin.wait(for: "let go") }
        bulletin.post("disconnected \((reason as? CloseReason)?.name ?? "in order")")
    }
}

// MARK: - Plain results

extension TestHub {
    private static let results: [HubMethodDefinition<TestHub>] = [
        HubMethodDefinition("Echo", parameters: 1) { arguments in
            let value = try arguments.next(HubValue.self)
            return { hub, _ in
                hub.bulletin.post("echo")
                return try .value(value)
            }
        },
        HubMethodDefinition("DoNothing") { _ in { _, _ in .void } },
        HubMethodDefinition("AddTwo", parameters: 2) { arguments in
            let (a, b) = (try arguments.next(Int.self), try arguments.next(Int.self))
            return { _, _ in try .value(a + b) }
        },
        // Posts "holding <name>", then waits for `name`.
        HubMethodDefinition("Hold", parameters: 1) { arguments in
            let name = try arguments.next(String.self)
            return { hub, _ in
                hub.bulletin.post("holding \(name)")
                do {
                    try await hub.bulletin.wait(for: name)
                } catch is CancellationError {
                    hub.bulletin.post("cancelled \(name)")
                    throw CancellationError()
                }
                return try .value(name)
            }
        },
        // A value that JSON cannot write.
        HubMethodDefinition("NotANumber") { _ in { _, _ in try .value(Double.nan) } },
        HubMethodDefinition("Admin", policies: ["admin"]) { _ in { _, _ in try .value("welcome") } },
    ]
}

// MARK: - Failures

extension TestHub {
    private static let failures: [HubMethodDefinition<TestHub>] = [
        HubMethodDefinition("ThrowException", parameters: 1) { arguments in
            let text = try arguments.next(String.self)
            return { _, _ in throw InvalidOperationException(description: text) }
        },
        HubMethodDefinition("MethodThatThrowsHubException") { _ in { _, _ in throw HubError("This is a hub exception") }
        },
    ]
}

// MARK: - Streams

extension TestHub {
    private static let streams: [HubMethodDefinition<TestHub>] = [
        HubMethodDefinition("Stream", kind: .stream) { _ in
            { _, _ in .stream(AsyncStream(["a", "b", "c"])) }
        },
        HubMethodDefinition("NotNumbers", kind: .stream) { _ in { _, _ in .stream(AsyncStream([Double.nan])) } },
        // No items, no end: what a cancellation ends.
        HubMethodDefinition("InfiniteStream", kind: .stream) { _ in
            { hub, _ in
                hub.bulletin.post("streaming")
                let (stream, continuation) = AsyncStream.makeStream(of: Int.self)
                continuation.onTermination = { _ in hub.bulletin.post("stream over") }
                return .stream(Held(stream: stream, continuation: continuation))
            }
        },
        // 0, 1, 2 … with so much padding, each made when the one before it was taken.
        HubMethodDefinition("Numbers", parameters: 2, kind: .stream) { arguments in
            let (count, padding) = (try arguments.next(Int.self), try arguments.next(Int.self))
            let pad = String(repeating: " ", count: padding)
            return { _, _ in
                let made = NIOLockedValueBox(0)
                return .stream(
                    AsyncStream {
                        let number = made.withLockedValue { made in
                            defer { made += 1 }
                            return made
                        }
                        return number < count ? "\(number)\(pad)" : nil
                    })
            }
        },
        HubMethodDefinition("FailingStream", parameters: 1, kind: .stream) { arguments in
            let isHubError = try arguments.next(Bool.self)
            return { _, _ in
                .stream(
                    AsyncThrowingStream<String, any Error> { continuation in
                        continuation.yield("a")
                        continuation.finish(
                            throwing: isHubError ? HubError("broken") : InvalidOperationException(description: "broken")
                        )
                    })
            }
        },
        HubMethodDefinition("NoStream", kind: .stream) { _ in { _, _ in .stream(AsyncStream<Int>?.none) } },
        HubMethodDefinition("StreamingConcat", streams: 1) { arguments in
            let words = try arguments.nextStream(of: String.self)
            return { _, _ in
                var text = ""
                for try await word in words { text += word }
                return try .value(text)
            }
        },
        // Both ways at once.
        HubMethodDefinition("StreamEcho", streams: 1, kind: .stream) { arguments in
            let items = try arguments.nextStream(of: HubValue.self)
            return { _, _ in .stream(items) }
        },
        HubMethodDefinition("TwoUploads", streams: 2) { arguments in
            let (first, second) = (try arguments.nextStream(of: Int.self), try arguments.nextStream(of: Int.self))
            return { _, _ in
                var sum = 0
                for try await number in first { sum += number }
                for try await number in second { sum -= number }
                return try .value(sum)
            }
        },
        // Reads its upload only after `go`.
        HubMethodDefinition("SlowUpload", parameters: 1, streams: 1) { arguments in
            let name = try arguments.next(String.self)
            let items = try arguments.nextStream(of: Int.self)
            return { hub, _ in
                hub.bulletin.post("uploading")
                try await hub.bulletin.wait(for: name)
                var count = 0
                for try await _ in items { count += 1 }
                return try .value(count)
            }
        },
        // Does not look at its upload at all.
        HubMethodDefinition("IgnoreUpload", streams: 1) { arguments in
            let _: HubStream<Int> = try arguments.nextStream()
            return { _, _ in try .value("done") }
        },
    ]
}

/// Keeps a stream's producer alive as long as somebody reads it.
private struct Held<Element: Sendable>: AsyncSequence, Sendable {
    let stream: AsyncStream<Element>
    let continuation: AsyncStream<Element>.Continuation
    func makeAsyncIterator() -> AsyncStream<Element>.Iterator { stream.makeAsyncIterator() }
}

extension AsyncStream where Element: Sendable {
    init<S: Sequence & Sendable>(_ items: S) where S.Element == Element {
        self.init { continuation in
            for item in items { continuation.yield(item) }
            continuation.finish()
        }
    }
}

// MARK: - Sends to others

extension TestHub {
    private static let sends: [HubMethodDefinition<TestHub>] = [
        group("Join") { groups, id, name in try await groups.add(id, to: name) },
        group("Leave") { groups, id, name in try await groups.remove(id, from: name) },
        send("ToAll", 0) { clients, _ in clients.all },
        send("ToOthers", 0) { clients, _ in clients.others },
        send("ToCaller", 0) { clients, _ in clients.caller },
        send("ToClient", 1) { clients, names in clients.client(names[0]) },
        send("ToClients", 2) { clients, names in clients.clients(names) },
        send("ToAllExcept", 1) { clients, names in clients.allExcept(names) },
        send("ToGroup", 1) { clients, names in clients.group(names[0]) },
        send("ToGroups", 2) { clients, names in clients.groups(names) },
        send("ToGroupExcept", 2) { clients, names in clients.groupExcept(names[0], [names[1]]) },
        send("ToOthersInGroup", 1) { clients, names in clients.othersInGroup(names[0]) },
        send("ToUser", 1) { clients, names in clients.user(names[0]) },
        send("ToUsers", 2) { clients, names in clients.users(names) },
    ]

    private static func group(
        _ name: String,
        _ change: @escaping @Sendable (HubGroups, _ connection: String, _ group: String) async throws -> Void
    ) -> HubMethodDefinition<TestHub> {
        HubMethodDefinition(name, parameters: 1) { arguments in
            let group = try arguments.next(String.self)
            return { _, context in
                try await change(context.groups, context.connectionID, group)
                return .void
            }
        }
    }

    /// `names` say whom, the last argument is what "Message" brings them.
    private static func send(
        _ name: String, _ names: Int, _ target: @escaping @Sendable (HubCallerClients, [String]) -> ClientTarget
    ) -> HubMethodDefinition<TestHub> {
        HubMethodDefinition(name, parameters: names + 1) { arguments in
            var chosen: [String] = []
            for _ in 0..<names { chosen.append(try arguments.next()) }
            let text = try arguments.next(String.self)
            return { [chosen] _, context in
                try await target(context.clients, chosen).send("Message", text)
                return .void
            }
        }
    }
}

// MARK: - The caller

extension TestHub {
    private static let callers: [HubMethodDefinition<TestHub>] = [
        HubMethodDefinition("ConnectionID") { _ in { _, context in try .value(context.connectionID) } },
        HubMethodDefinition("UserID") { _ in { _, context in try .value(context.userID) } },
        HubMethodDefinition("Features") { _ in
            { _, context in
                try .value([
                    context.transport?.rawValue ?? "", context.hubProtocol, context.path, context.query("colour") ?? "",
                    context.headers[.userAgent] ?? "",
                ])
            }
        },
        HubMethodDefinition("Keep", parameters: 1) { arguments in
            let value = try arguments.next(String.self)
            return { _, context in
                context.items["kept"] = value
                return .void
            }
        },
        HubMethodDefinition("Kept") { _ in { _, context in try .value(context.items.value("kept", as: String.self)) } },
        HubMethodDefinition("Abort") { _ in
            { _, context in
                context.abort()
                return .void
            }
        },
        // Asks the caller, or the connection it names.
        HubMethodDefinition("Ask", parameters: 1) { arguments in
            let connection = try arguments.next(String?.self)
            return { _, context in
                let client = connection.map { context.clients.client($0) } ?? context.clients.caller
                return try .value(try await client.invoke("Result", returning: Int?.self))
            }
        },
        HubMethodDefinition("AskAll") { _ in
            { _, context in try .value(try await context.clients.all.invoke("Result", returning: Int.self)) }
        },
    ]
}
