// SignalBox: POSTs to a connection whose session is busy
// SPDX-License-Identifier: Apache-2.0

import Logging
import NIOConcurrencyHelpers
import NIOCore
import NIOPosix
import SignalRWire
import Testing

@testable import SignalR

@Suite struct PostTests {
    private static let loop = MultiThreadedEventLoopGroup.singleton.any()

    /// An open connection with a session that the test keeps busy, and the answers of its POSTs in their order.
    private struct Stage: Sendable {
        let connection: Connection
        let session: NIOLoopBound<StubSession>
        let answers = NIOLockedValueBox<[String]>([])

        static func make() async throws -> Stage {
            let loop = PostTests.loop
            return try await loop.submit {
                let registry = ConnectionRegistry(
                    group: loop, codecs: [JSONHubCodec()],
                    logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
                let connection = Connection.forTests(registry, on: loop)
                let session = StubSession()
                connection.begin(session)
                connection.attach(StubTransport())
                return Stage(connection: connection, session: NIOLoopBound(session, eventLoop: loop))
            }.get()
        }

        /// Posts so many bytes of one letter; the answer comes when it comes.
        func post(_ letter: Character, _ count: Int) async -> Task<Void, Never> {
            await withCheckedContinuation { (begun: CheckedContinuation<Task<Void, Never>, Never>) in
                let bytes = ByteBuffer(string: String(repeating: letter, count: count))
                let task = Task {
                    let isTaken = await withCheckedContinuation { waiter in
                        connection.eventLoop.execute {
                            connection.receive(bytes, isText: true, waiter: waiter)
                        }
                    }
                    answers.withLockedValue { $0.append("\(letter) \(isTaken)") }
                }
                begun.resume(returning: task)
            }
        }

        func run<T: Sendable>(_ work: @escaping @Sendable (StubSession) -> T) async throws -> T {
            try await connection.eventLoop.submit { work(session.value) }.get()
        }
    }

    @Test func `What there is no room for is parked and taken later, in order`() async throws {
        let stage = try await Stage.make()
        try await stage.run { $0.isBusy = true }
        let limit = stage.connection.limits.transportMaximumBufferSize
        let posts = [await stage.post("a", limit)]
        try await untilPosted(stage, inbound: limit)
        var parked: [Task<Void, Never>] = []
        for (index, letter) in ["b", "c", "d"].enumerated() {
            parked.append(await stage.post(Character(letter), 10))
            try await untilPosted(stage, parked: index + 1)
        }
        // None of the parked is among what the session will be offered first.
        #expect(try await stage.run { _ in stage.connection.inbound?.readableBytes } == limit)
        #expect(stage.answers.withLockedValue { $0 } == [])
        try await stage.run {
            $0.isBusy = false
            stage.connection.process()
        }
        for post in posts + parked { await post.value }
        #expect(Set(stage.answers.withLockedValue { $0 }) == ["a true", "b true", "c true", "d true"])
        let all = String(repeating: "a", count: limit) + "bbbbbbbbbbccccccccccdddddddddd"
        #expect(try await stage.run { $0.received } == all)
        #expect(try await stage.run { _ in stage.connection.posts == nil })
    }

    @Test func `A client that posts without waiting for its answers is closed`() async throws {
        let stage = try await Stage.make()
        try await stage.run { $0.isBusy = true }
        let limit = stage.connection.limits.transportMaximumBufferSize
        let first = await stage.post("a", limit)
        try await untilPosted(stage, inbound: limit)
        let second = await stage.post("b", 4 << 20)
        try await untilPosted(stage, parked: 1)
        #expect(try await stage.run { $0.end } == nil)
        let third = await stage.post("c", 1)
        for post in [first, second, third] { await post.value }
        #expect(Set(stage.answers.withLockedValue { $0 }) == ["a false", "b false", "c false"])
        #expect(try await stage.run { $0.end } == .inboundQueueFull)
    }

    @Test func `Many small POSTs cost what they need in memory`() async throws {
        let stage = try await Stage.make()
        try await stage.run { $0.isBusy = true }
        let limit = stage.connection.limits.transportMaximumBufferSize
        try await stage.run { _ in stage.connection.receive(ByteBuffer(repeating: 0x61, count: limit)) }
        let count = try await stage.run { session in
            var count = 0
            while session.end == nil, count < 1 << 20 {
                stage.connection.receive(ByteBuffer(string: "x"), isText: true, waiter: nil)
                count += 1
            }
            return count
        }
        #expect(count == (4 << 20) / 64 + 1)
    }

    /// Until the connection holds so much.
    private func untilPosted(_ stage: Stage, inbound: Int? = nil, parked: Int = 0) async throws {
        let deadline = ContinuousClock.now + .seconds(30)
        while ContinuousClock.now < deadline {
            let isThere = try await stage.run { _ in
                (inbound == nil || stage.connection.inbound?.readableBytes == inbound)
                    && (stage.connection.posts?.parkedCount ?? 0) == parked
            }
            if isThere { return }
            await Task.yield()
        }
        Issue.record("The POST did not arrive.")
    }
}

@Suite struct RawBackPressureTests {
    @Test func `Unread messages hold up their client`() async throws {
        let (go, goes) = AsyncStream.makeStream(of: Void.self)
        let (taken, takes) = AsyncStream.makeStream(of: RawMessage.self)
        let server = RawServer(eventLoopGroup: MultiThreadedEventLoopGroup.singleton) { connection in
            for await _ in go { break }
            for await message in connection.messages { takes.yield(message) }
            takes.finish()
        }
        let loop = MultiThreadedEventLoopGroup.singleton.any()
        let connection = Connection.forTests(server.registry, on: loop)
        let transport = try await loop.submit {
            let transport = StubTransport(.webSockets)
            connection.begin(RawSession(connection, server: server))
            connection.attach(transport)
            return NIOLoopBound(transport, eventLoop: loop)
        }.get()
        let capacity = server.options.streamBufferCapacity
        let states = try await loop.submit {
            (0..<capacity).map { number in
                connection.receive(ByteBuffer(string: "\(number)"))
                return connection.isOverfull
            }
        }.get()
        #expect(states == Array(repeating: false, count: capacity - 1) + [true])
        let before = try await loop.submit { transport.value.resumptions }.get()
        goes.yield()
        var messages: [RawMessage] = []
        for await message in taken {
            messages.append(message)
            if messages.count == capacity { break }
        }
        #expect(messages == (0..<capacity).map { .text("\($0)") })
        let after = try await loop.submit { (transport.value.resumptions, connection.isOverfull) }.get()
        #expect(after.0 > before)
        #expect(!after.1)
        try await loop.submit { connection.close(.aborted) }.get()
    }
}
