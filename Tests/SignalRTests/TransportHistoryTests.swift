// SignalBox: transports in use, given up, refused and passed over
// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import SignalR

@Suite struct TransportHistoryTests {
    private func history(
        _ first: TransportName, offered: [TransportName]? = TransportName.allCases,
        refused: [TransportHistory.Attempt] = []
    ) -> TransportHistory {
        var history = TransportHistory()
        history.begin(first, at: 1, offered: offered, refused: refused)
        return history
    }

    @Test func `The first choice has nothing before it`() {
        let history = history(.webSockets)
        #expect(history.current == .webSockets)
        #expect(history.since == 1)
        #expect(history.earlier.isEmpty)
        #expect(history.description == "webSockets")
    }

    @Test func `What was offered and passed over is told, and so is what was not offered`() {
        #expect(
            history(.longPolling, offered: [.serverSentEvents, .longPolling]).description
                == "longPolling, after webSockets (not offered), serverSentEvents (offered, and not asked for)")
    }

    @Test func `Forever frames are of one generation only`() {
        #expect(
            history(.longPolling, offered: [.longPolling]).earlier.map(\.transport) == [.webSockets, .serverSentEvents])
        #expect(history(.longPolling).earlier.map(\.transport) == [.webSockets, .serverSentEvents, .foreverFrame])
    }

    @Test func `A refusal takes the place of a guess`() {
        let history = history(.serverSentEvents, refused: [.init(.webSockets, .refused(status: 400), at: 0)])
        #expect(history.description == "serverSentEvents, after webSockets (refused with status 400)")
    }

    @Test func `Without negotiation nothing is guessed`() {
        #expect(history(.longPolling, offered: nil).earlier.isEmpty)
    }

    @Test func `A change keeps the first reason`() {
        var history = history(.webSockets)
        history.interrupt(.closed(code: 1001))
        history.interrupt(.lost("reset"))
        #expect(history.interruption == .closed(code: 1001))
        history.move(to: .longPolling, at: 5)
        #expect(history.interruption == nil)
        #expect(history.since == 5)
        #expect(history.earlier == [.init(.webSockets, .closed(code: 1001), at: 1)])
        history.move(to: .longPolling, at: 6)
        #expect(history.earlier.last == .init(.longPolling, .replaced, at: 5))
    }

    @Test func `A poll that comes after all undoes the loss of the one before`() {
        var history = history(.longPolling)
        history.interrupt(.lost("gone"))
        history.resume()
        #expect(history.interruption == nil)
    }

    @Test func `Its length is bounded, the oldest go`() {
        var history = history(.webSockets)
        for time in 2...100 { history.move(to: .webSockets, at: Double(time)) }
        #expect(history.earlier.count == 16)
        #expect(history.earlier.first?.time == 84)
    }
}
