// SignalBox: POSTs before the transport: answered while there is room, then made to wait, and never forgotten
// SPDX-License-Identifier: Apache-2.0

import Logging
import NIOCore
import NIOPosix
import Testing

@testable import SignalR

@Suite struct EarlyPostsTests {
    private let loop = MultiThreadedEventLoopGroup.singleton.next()
    private let registry: ConnectionRegistry

    init() { self.registry = ConnectionRegistry(group: loop, codecs: [], logger: Logger(label: "test")) }

    private func table(lifetime: Duration = .seconds(1000)) -> SessionTable {
        SessionTable(eventLoop: loop, opening: lifetime, lingering: lifetime, capacity: 10, earlyLimit: 1000)
    }

    private func pending() -> SessionTable.Pending { .init(id: ConnectionID(), isStateful: false) }

    private func body(_ size: Int) -> ByteBuffer { ByteBuffer(repeating: 120, count: size) }

    /// Begins to post, and returns when the table has it.
    private func begin(_ size: Int, _ table: SessionTable, _ token: ConnectionID) async -> Task<Bool, Never> {
        let before = early(table, token)?.posts.count ?? 0
        let task = Task { [body = body(size)] in await table.post(body, isText: true, to: token) }
        while early(table, token)?.posts.count == before { await Task.yield() }
        return task
    }

    private func early(_ table: SessionTable, _ token: ConnectionID) -> EarlyPosts? {
        if case .pending(let pending) = table[token] { pending.early } else { nil }
    }

    @Test func `Early posts are answered up to the limit, then wait for the transport, in order`() async throws {
        let (table, token) = (table(), ConnectionID())
        #expect(await !table.post(body(1), isText: true, to: token))
        _ = table.insert(pending(), token: token)
        #expect(await table.post(body(300), isText: true, to: token))
        #expect(await table.post(body(700), isText: false, to: token))
        let long = await begin(2000, table, token)
        let short = await begin(1, table, token)
        let posts = try #require(early(table, token)?.posts)
        #expect(posts.map(\.bytes.readableBytes) == [300, 700, 2000, 1])
        #expect(posts.map(\.isText) == [true, false, true, true])
        #expect(posts.map { $0.waiter == nil } == [true, true, false, false])
        let connection = Connection.forTests(registry, on: loop)
        guard case .made = table.activate(token, as: .longPolling, make: { _ in connection }) else {
            Issue.record("not made")
            return
        }
        #expect(await long.value)
        #expect(await short.value)
    }

    @Test func `What is posted early is bounded for all of them together, and small posts are no gap in that`() async {
        let (table, tokens) = (table(), [ConnectionID(), ConnectionID()])
        for token in tokens { _ = table.insert(pending(), token: token) }
        for _ in 0..<15 { #expect(await table.post(body(1), isText: true, to: tokens[0])) }
        let small = await begin(1, table, tokens[0])
        let most = await begin((64 << 20) - 16 * 64 - 1000, table, tokens[1])
        #expect(await !table.post(body(1001), isText: true, to: tokens[0]))
        table.remove(tokens[1])
        #expect(await !most.value)
        let next = await begin(1001, table, tokens[0])
        table.stop()
        #expect(await !small.value)
        #expect(await !next.value)
        #expect(await !table.post(body(1), isText: true, to: tokens[0]))
    }

    @Test func `Early posts that wait hear when nobody opens the connection`() async {
        let (table, token) = (table(lifetime: .zero), ConnectionID())
        _ = table.insert(pending(), token: token)
        let waiting = await begin(2000, table, token)
        #expect(await !waiting.value)
    }
}
