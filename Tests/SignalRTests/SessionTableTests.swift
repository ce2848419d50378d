// SignalBox: tokens and what they give access to, from negotiate to the last poll
// SPDX-License-Identifier: Apache-2.0

import Logging
import NIOCore
import NIOEmbedded
import Testing

@testable import SignalR

@Suite struct SessionTableTests {
    private let loop = EmbeddedEventLoop()
    private let registry: ConnectionRegistry

    init() { self.registry = ConnectionRegistry(group: loop, codecs: [], logger: Logger(label: "test")) }

    private func table(lifetime: Duration = .seconds(1000), capacity: Int = 10) -> SessionTable {
        SessionTable(eventLoop: loop, opening: lifetime, lingering: lifetime, capacity: capacity, earlyLimit: 1000)
    }

    private func pending() -> SessionTable.Pending { .init(id: ConnectionID(), isStateful: false) }

    /// Negotiates and activates; the connection reports its end as the endpoint makes it.
    private func live(_ table: SessionTable, _ token: ConnectionID, lingers: Bool = true) -> Connection {
        _ = table.insert(pending(), token: token)
        let connection = Connection.forTests(registry, on: loop)
        _ = table.activate(token, as: .longPolling) { _ in connection }
        connection.onRemoved = { [weak table] _ in table?.ended(token, lingers: lingers) }
        return connection
    }

    private func kind(_ entry: SessionTable.Entry?) -> String {
        switch entry {
        case .pending: "pending"
        case .live: "live"
        case .over(let words): words == nil ? "over" : "over with words"
        case nil: "none"
        }
    }

    @Test func `An entry is activated once`() {
        let (table, token) = (table(), ConnectionID())
        #expect(table.insert(pending(), token: token))
        #expect(kind(table[token]) == "pending")
        let connection = Connection.forTests(registry, on: loop)
        guard case .made(let made) = table.activate(token, as: .webSockets, make: { _ in connection }) else {
            Issue.record("not made")
            return
        }
        #expect(made === connection)
        guard case .exists(.webSockets) = table.activate(token, as: .longPolling, make: { _ in connection }) else {
            Issue.record("made twice")
            return
        }
        guard case .unknown = table.activate(ConnectionID(), as: .longPolling, make: { _ in connection }) else {
            Issue.record("made of nothing")
            return
        }
    }

    @Test func `Entries that wait are bounded; activating or removing makes room`() {
        let (table, first, second) = (table(capacity: 2), ConnectionID(), ConnectionID())
        #expect(table.insert(pending(), token: first))
        #expect(table.insert(pending(), token: second))
        #expect(!table.insert(pending(), token: ConnectionID()))
        #expect(table.insert(pending(), token: ConnectionID(), unbounded: true))
        table.remove(first)
        _ = table.activate(second, as: .longPolling) { _ in Connection.forTests(registry, on: loop) }
        #expect(table.insert(pending(), token: ConnectionID()))
        #expect(!table.insert(pending(), token: ConnectionID()))
    }

    @Test func `The end lingers for one last poll, where that is wanted`() {
        let (table, token, other) = (table(), ConnectionID(), ConnectionID())
        live(table, token).close(.aborted)
        #expect(kind(table[token]) == "over")
        table.fetched(token)
        #expect(kind(table[token]) == "none")
        live(table, other, lingers: false).close(.aborted)
        #expect(kind(table[other]) == "none")
    }

    @Test func `What nobody opened or fetched is swept away`() {
        let (table, waiting, over) = (table(lifetime: .zero), ConnectionID(), ConnectionID())
        _ = table.insert(pending(), token: waiting)
        live(table, over).close(.aborted)
        loop.advanceTime(by: .seconds(1))
        #expect(kind(table[waiting]) == "none")
        #expect(kind(table[over]) == "none")
    }

    @Test func `What nobody opened does not wait for what lingers`() {
        let table = SessionTable(
            eventLoop: loop, opening: .zero, lingering: .seconds(1000), capacity: 10, earlyLimit: 1000)
        let (over, waiting) = (ConnectionID(), ConnectionID())
        live(table, over).close(.aborted)
        _ = table.insert(pending(), token: waiting)
        loop.advanceTime(by: .seconds(1))
        #expect(kind(table[waiting]) == "none")
        #expect(kind(table[over]) == "over")
    }

    @Test func `A connection whose transport never came is closed by the sweep`() {
        let (table, token) = (table(lifetime: .zero), ConnectionID())
        let connection = live(table, token, lingers: false)
        loop.advanceTime(by: .seconds(1))
        #expect(connection.state == .closed)
        #expect(kind(table[token]) == "none")
    }
}
