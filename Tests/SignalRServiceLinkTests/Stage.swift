// SignalBox: a linked hub for the time of one test, with the test as the service
// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import Logging
import NIOCore
import NIOPosix
import ServiceLifecycle
import SignalR
import SignalRWire

@testable import SignalRServiceLink

let accessKey = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789ABCDEFGH"
let quiet = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

/// What a test plays with.
struct Stage: Sendable {
    let service: StandIn
    let link: ServiceLink
    /// What the hub tells.
    let news: Mailbox<String>
    private let group: ServiceGroup

    fileprivate init(_ service: StandIn, _ link: ServiceLink, _ news: Mailbox<String>, _ group: ServiceGroup) {
        self.service = service
        self.link = link
        self.news = news
        self.group = group
    }

    func shutDown() async { await group.triggerGracefulShutdown() }

    /// Starts an operation whose answer the test gives.
    func task<T: Sendable>(_ body: @escaping @Sendable (ServiceLink) async throws -> T) -> Task<T, any Error> {
        Task { [link] in try await body(link) }
    }
}

/// Runs a link with one server connection, unless `change` wants more.
func withLink<R: Sendable>(
    _ change: (inout ServiceLinkOptions, inout HubOptions) -> Void = { _, _ in },
    _ body: @Sendable (Stage) async throws -> R
) async throws -> R {
    let (service, news) = (try await StandIn(), Mailbox<String>())
    var (link, hub) = (ServiceLinkOptions(), HubOptions())
    link.connectionCount = 1
    link.backoff = Backoff(first: .milliseconds(10), jitter: .zero)
    hub.codecs = [JSONHubCodec()]
    change(&link, &hub)
    let linked = try ServiceLink(
        Desk(news: news), service: "Endpoint=http://127.0.0.1;Port=\(service.port);AccessKey=\(accessKey);Version=1.0;",
        options: hub, link: link, eventLoopGroup: MultiThreadedEventLoopGroup.singleton, logger: quiet)
    let group = ServiceGroup(configuration: .init(services: [linked], logger: quiet))
    return try await withThrowingTaskGroup(of: Void.self) { tasks in
        tasks.addTask { try await group.run() }
        let result: Result<R, any Error>
        do {
            result = .success(try await body(Stage(service, linked, news, group)))
        } catch {
            result = .failure(error)
        }
        service.close()
        tasks.cancelAll()
        try? await tasks.waitForAll()
        return try result.get()
    }
}

/// The hub of these tests.
struct Desk: Hub {
    let news: Mailbox<String>

    func onConnected(_ context: HubCallerContext) async throws { news.put("connected \(context.connectionID)") }

    func onDisconnected(_ context: HubCallerContext, reason: (any Error)?) async throws {
        news.put("disconnected \(context.connectionID) \((reason as? CloseReason)?.name ?? "in order")")
    }

    static let methods: [HubMethodDefinition<Desk>] = [
        // As in the vectors: the caller hears it, then the call ends.
        HubMethodDefinition("Echo", parameters: 1) { arguments in
            let text = try arguments.next(String.self)
            return { _, context in
                try await context.clients.caller.send("echo", text)
                return try .value(HubValue.null)
            }
        },
        HubMethodDefinition("Length", parameters: 1) { arguments in
            let text = try arguments.next(String.self)
            return { _, _ in try .value(text.utf8.count) }
        },
        HubMethodDefinition("Join", parameters: 1) { arguments in
            let group = try arguments.next(String.self)
            return { _, context in
                try await context.groups.add(context.connectionID, to: group)
                try await context.clients.othersInGroup(group).send("joined", context.connectionID)
                return .void
            }
        },
        HubMethodDefinition("AskMe") { _ in
            { _, context in try .value(try await context.clients.caller.invoke("Ask", returning: Int.self)) }
        },
        HubMethodDefinition("Hold") { _ in
            { hub, _ in
                hub.news.put("holding")
                // Until it is cancelled.
                let (nothing, end) = AsyncStream.makeStream(of: Never.self)
                for await _ in nothing {}
                end.finish()
                throw CancellationError()
            }
        },
        HubMethodDefinition("Items", kind: .stream) { _ in
            { _, context in
                .stream(
                    AsyncStream { continuation in
                        for number in 1...2 { continuation.yield(number) }
                        continuation.finish()
                    })
            }
        },
        HubMethodDefinition("Abort") { _ in
            { _, context in
                context.abort()
                return .void
            }
        },
        HubMethodDefinition("WhoAmI") { _ in
            { _, context in
                let parts: [String?] = [
                    context.connectionID, context.userID, context.path, context.remoteAddress?.ipAddress,
                    context.query("room"), context.headers[.userAgent], context.user?.roles.joined(separator: "+"),
                    context.hubProtocol,
                ]
                return try .value(parts)
            }
        },
    ]
}
