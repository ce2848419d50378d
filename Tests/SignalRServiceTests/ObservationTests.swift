// SignalBox: what is kept for operators, and how much of it
// SPDX-License-Identifier: Apache-2.0

import SignalR
import SignalRWire
import Testing

@testable import SignalRService

@Suite struct RingTests {
    @Test func theNewestStay() {
        var ring = Ring<Int>(capacity: 3)
        #expect(ring.all == [] && ring.newest == nil)
        for number in 1...7 {
            ring.append(number)
            #expect(ring.all == Array(max(1, number - 2)...number))
            #expect(ring.newest == number)
        }
    }
}

@Suite struct EventJournalTests {
    private func event(_ id: ConnectionID, _ kind: ConnectionEventKind, _ text: String) -> ServiceEvent {
        ServiceEvent(kind, hub: "chat", connection: id, text)
    }

    @Test func aTimelineIsInOrderAndOfOneConnection() {
        let journal = EventJournal()
        let (one, other) = (ConnectionID(), ConnectionID())
        for (kind, text) in [(ConnectionEventKind.negotiate, "a"), (.connect, "b"), (.group, "c"), (.disconnect, "d")] {
            journal.append(event(one, kind, text))
            journal.append(event(other, kind, "x"))
        }
        #expect(journal.timeline(of: one).map(\.text) == ["a", "b", "c", "d"])
    }

    @Test func groupsPushNothingElseOut() {
        let journal = EventJournal()
        let id = ConnectionID()
        journal.append(event(id, .connect, "first"))
        for number in 0..<5_000 { journal.append(event(id, .group, "\(number)")) }
        let timeline = journal.timeline(of: id)
        #expect(timeline.first?.text == "first")
        #expect(timeline.last?.text == "4999")
        #expect(timeline.count < 1_000)
    }

    @Test func textsOfPeersAreCut() {
        let event = ServiceEvent(.connect, hub: "h", "t", detail: String(repeating: "é", count: 10_000))
        #expect((event.detail?.utf8.count ?? 0) < 1_000)
    }

    @Test(arguments: [
        (0.0, "1970-01-01T00:00:00.000Z"), (1_700_000_000.0625, "2023-11-14T22:13:20.062Z"),
        (1_700_000_000.9999, "2023-11-14T22:13:20.999Z"),
    ])
    func timesHaveMilliseconds(seconds: Double, text: String) { #expect(HubValue.time(seconds) == .string(text)) }
}

@Suite struct WatchTests {
    private func event(_ text: String, _ kind: ConnectionEventKind = .connect, user: String? = nil) -> ServiceEvent {
        ServiceEvent(kind, hub: "chat", user: user, text)
    }

    @Test func eventsComeInOrderAndThenTheEnd() async throws {
        let watches = Watches()
        let watch = try #require(watches.begin(WatchFilter()))
        #expect(!watches.isEmpty && watches.wantsMessages && !watches.wantsPayloads)
        let events = watch.makeAsyncIterator()
        for number in 0..<3 { watches.offer(event("\(number)")) }
        for number in 0..<3 { #expect(await events.next()?["text"] == .string("\(number)")) }
        async let next = events.next()
        watches.offer(event("late"))
        #expect(await next?["text"] == "late")
        watches.finish()
        #expect(await events.next() == nil)
        #expect(watches.isEmpty && watches.begin(WatchFilter()) == nil)
    }

    @Test func whoDoesNotKeepUpIsTold() async throws {
        let watches = Watches()
        let watch = try #require(watches.begin(WatchFilter()))
        let events = watch.makeAsyncIterator()
        for number in 0..<(Watch.capacity + 7) { watches.offer(event("\(number)")) }
        for number in 0..<Watch.capacity { #expect(await events.next()?["text"] == .string("\(number)")) }
        let told = await events.next()
        #expect(told?["kind"] == "lost" && told?["count"] == 7)
        watches.offer(event("again"))
        #expect(await events.next()?["text"] == "again")
    }

    @Test func aReaderThatIsDroppedLeaves() throws {
        let watches = Watches()
        do {
            let watch = try #require(watches.begin(WatchFilter(kinds: [.connect])))
            let events = watch.makeAsyncIterator()
            #expect(!watches.isEmpty && !watches.wantsMessages)
            withExtendedLifetime(events) {}
        }
        #expect(watches.isEmpty)
    }

    @Test func aCancelledReaderGetsTheEnd() async throws {
        let watches = Watches()
        let watch = try #require(watches.begin(WatchFilter()))
        let reader = Task {
            let events = watch.makeAsyncIterator()
            return await events.next()
        }
        reader.cancel()
        #expect(await reader.value == nil)
        #expect(watches.isEmpty)
    }

    @Test func thereAreOnlySoMany() throws {
        let watches = Watches()
        let all = (0..<Watches.maximum).map { _ in watches.begin(WatchFilter()) }
        #expect(all.allSatisfy { $0 != nil })
        #expect(watches.begin(WatchFilter()) == nil)
        all[0]?.finish()
        #expect(watches.begin(WatchFilter()) != nil)
    }

    @Test func filtersPick() throws {
        let filter = try WatchFilter(["hub": "chat", "user": "ann", "kinds": ["connect"]])
        #expect(filter.matches(event("", user: "ann")))
        #expect(!filter.matches(event("", user: "bob")))
        #expect(!filter.matches(event("", .disconnect, user: "ann")))
        #expect(try WatchFilter(.null).matches(event("")))
        #expect(throws: AdminError.self) { try WatchFilter(["kinds": ["nothing"]]) }
        #expect(throws: AdminError.self) { try WatchFilter(["connection": "?"]) }
        #expect(throws: AdminError.self) { try WatchFilter("chat") }
    }
}

@Suite struct PrometheusTextTests {
    @Test func labelsAndHelpAreEscaped() {
        var text = PrometheusText()
        text.family("a_total", .counter, "one\ntwo \\ three")
        text.sample("a_total", [("signalr.hub", "a\"b\\c\nd")], 1.5)
        #expect(
            text.text == """
                # HELP a_total one\\ntwo \\\\ three
                # TYPE a_total counter
                a_total{signalr_hub="a\\"b\\\\c\\nd"} 1.5

                """)
    }

    @Test(arguments: [("a.b-c", "a_b_c"), ("1a", "_1a"), ("", "_"), ("é", "_")])
    func namesAreMadeValid(label: String, name: String) { #expect(PrometheusText.name(label) == name) }

    @Test(arguments: [(1.0, "1"), (0.25, "0.25"), (-2, "-2"), (.infinity, "+Inf"), (-.infinity, "-Inf"), (.nan, "NaN")])
    func numbers(value: Double, text: String) { #expect(PrometheusText.number(value) == text) }
}
