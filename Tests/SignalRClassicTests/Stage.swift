// SignalBox: a classic endpoint without a web server: requests by hand, channels in memory, time by command
// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import Logging
import NIOCore
import NIOEmbedded
import NIOPosix
import SignalR
import SignalRClassic
import SignalRWire
import Testing

let quiet = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

/// Events in the order of their coming, for tests that wait for them.
final class Diary: Sendable {
    private let stream: AsyncStream<String>
    private let lines: AsyncStream<String>.Continuation

    init() { (self.stream, self.lines) = AsyncStream.makeStream(of: String.self) }

    func write(_ line: String) { self.lines.yield(line) }

    func next() async -> String? {
        var iterator = self.stream.makeAsyncIterator()
        return await iterator.next()
    }
}

/// A hub with one method for each rule.
struct ChatHub: Hub {
    let diary: Diary
    /// Lets go of those who wait in `hold`.
    let gate = Diary()

    static let methods: [HubMethodDefinition<ChatHub>] = [
        .init("send", parameters: 1) { arguments in
            let text = try arguments.next(String.self)
            return { _, context in
                try await context.clients.all.send("receive", text)
                return .void
            }
        },
        .init("sendToOthers", parameters: 1) { arguments in
            let text = try arguments.next(String.self)
            return { _, context in
                try await context.clients.others.send("receive", text)
                return .void
            }
        },
        .init("add", parameters: 2) { arguments in
            let (a, b) = (try arguments.next(Int.self), try arguments.next(Int.self))
            return { _, _ in try .value(a + b) }
        },
        .init("join", parameters: 1) { arguments in
            let group = try arguments.next(String.self)
            return { _, context in
                try await context.groups.add(context.connectionID, to: group)
                return .void
            }
        },
        .init("leave", parameters: 1) { arguments in
            let group = try arguments.next(String.self)
            return { _, context in
                try await context.groups.remove(context.connectionID, from: group)
                return .void
            }
        },
        .init("fail", parameters: 1) { arguments in
            let isMeant = try arguments.next(Bool.self)
            return { _, _ in
                throw isMeant ? HubError("no such room", data: ["code": 7]) as any Error : Mishap()
            }
        },
        .init("count") { _ in
            { _, context in
                guard let call = context.classic, case .int(let count)? = call["count"] else { return try .value(-1) }
                call["count"] = .int(count + 1)
                try await context.clients.caller.send("counted")
                return try .value(count + 1)
            }
        },
        .init("work") { _ in
            { _, context in
                try context.classic?.report(50)
                try context.classic?.report(100)
                return try .value("done")
            }
        },
        .init("countdown", parameters: 1, kind: .stream) { arguments in
            let start = try arguments.next(Int.self)
            return { _, _ in
                .stream(
                    AsyncStream { numbers in
                        for number in stride(from: start, to: 0, by: -1) { numbers.yield(number) }
                        numbers.finish()
                    })
            }
        },
        .init("endless", kind: .stream) { _ in
            { hub, _ in
                .stream(
                    AsyncStream<Int> { numbers in
                        numbers.onTermination = { _ in hub.diary.write("stream ended") }
                        numbers.yield(1)
                    })
            }
        },
        .init("torrent", kind: .stream) { _ in { _, _ in .stream(AsyncStream<Int>(unfolding: { 1 })) } },
        .init("ask") { _ in
            { _, context in try .value(try await context.clients.caller.invoke("answer", returning: Int.self)) }
        },
        .init("abort") { _ in
            { _, context in
                context.abort()
                return .void
            }
        },
        .init("hold") { _ in
            { hub, _ in
                _ = await hub.gate.next()
                return .void
            }
        },
        .init("release") { _ in
            { hub, _ in
                hub.gate.write("open")
                return .void
            }
        },
        .init("enterAndGreet") { _ in
            { _, context in
                try await context.groups.add(context.connectionID, to: "hall")
                try await context.clients.group("hall").send("receive", "hello")
                return .void
            }
        },
        .init("secret", policies: ["nobody"]) { _ in { _, _ in .void } },
    ]

    struct Mishap: Error {}

    func onConnected(_ context: HubCallerContext) async throws {
        if context.query("refused") != nil { throw HubError("not you") }
        if context.query("clientProtocol") != "2.1" { try await context.clients.caller.send("welcome") }
        self.diary.write("connected \(context.userID ?? "-")")
    }
    func onReconnected(_ context: HubCallerContext) async throws { self.diary.write("reconnected") }
    func onDisconnected(_ context: HubCallerContext, reason: (any Error)?) async throws {
        self.diary.write("disconnected \(reason == nil ? "cleanly" : "uncleanly")")
    }
}

/// A second hub on the same connection.
struct NewsHub: Hub {
    static let methods: [HubMethodDefinition<NewsHub>] = [
        .init("publish", parameters: 1) { arguments in
            let text = try arguments.next(String.self)
            return { _, context in
                try await context.clients.all.send("news", text)
                return .void
            }
        }
    ]
}

/// Takes the user from a header, as an authenticator takes it from a token.
struct HeaderAuthenticator: HubAuthenticator {
    func authenticate(_ request: HubRequest) async throws -> HubUser? {
        request.headers[.init("X-User")!].map { HubUser(id: $0) }
    }
}

struct Stage: Sendable {
    static let secret = "a secret of the tests, long enough to be one"
    let diary = Diary()
    let chat: HubServer
    let news: HubServer
    let endpoint: ClassicEndpoint
    let server: ClassicServer

    init(
        _ change: (inout ClassicOptions) -> Void = { _ in }, hub: (inout HubOptions) -> Void = { _ in },
        chat makeBackplane: (ConnectionRegistry, ClientResults) -> any Backplane = MemoryBackplane.init,
        news makeNewsBackplane: (ConnectionRegistry, ClientResults) -> any Backplane = MemoryBackplane.init
    ) throws {
        var (options, hubOptions) = (ClassicOptions(), HubOptions())
        options.keys = try ClassicKeys(secrets: [Self.secret])
        options.authenticator = HeaderAuthenticator()
        hubOptions.policies["nobody"] = { _ in false }
        change(&options)
        hub(&hubOptions)
        let group = MultiThreadedEventLoopGroup.singleton
        self.chat = try HubServer(
            ChatHub(diary: diary), options: hubOptions, eventLoopGroup: group, logger: quiet,
            makeBackplane: makeBackplane)
        self.news = try HubServer(
            NewsHub(), options: HubOptions(), eventLoopGroup: group, logger: quiet, makeBackplane: makeNewsBackplane)
        self.server = try ClassicServer(
            hubs: [ClassicHub(chat), ClassicHub(news)], options: options, eventLoopGroup: group, logger: quiet)
        self.endpoint = server.endpoint
    }

    static let chatData = #"[{"name":"chathub"}]"#
}

extension ClassicEndpoint {
    /// One request; `channel` is what it came on.
    func request(
        _ path: String, _ query: [(String, String)] = [], headers: HTTPFields = [:], post form: String? = nil,
        on channel: NIOAsyncTestingChannel? = nil
    ) async -> HubResponse {
        let rawQuery = query.map { "\($0)=\(escape($1))" }.joined(separator: "&")
        let request = HubRequest(
            method: form == nil ? .get : .post, path: path, rawQuery: rawQuery, headers: headers,
            body: { limit in
                guard let form, form.utf8.count <= limit else { throw ChannelError.eof }
                return ByteBuffer(string: form)
            })
        return await self.respond(to: request, host: channel.map { HostChannel($0, reachesSocket: false) })
    }
}

/// Percent-encodes what means something in a query.
func escape(_ text: String) -> String {
    text.utf8.map { byte in
        let isPlain = Character(Unicode.Scalar(byte)).isLetter || (48...57).contains(byte) || "-_.".utf8.contains(byte)
        return isPlain && byte < 128 ? String(Unicode.Scalar(byte)) : (byte < 16 ? "%0" : "%") + String(byte, radix: 16)
    }.joined()
}

extension HubResponse {
    var text: String { String(buffer: self.body) }
}
