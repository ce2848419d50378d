// SignalBox: why a client has the transport it has, as far as the service can know
// SPDX-License-Identifier: Apache-2.0

import SignalR
import SignalRWire

/// What a client tried before its transport, found in the journal.
///
/// Requests of one connection are known by its id. A client that falls back negotiates anew, so what it did just before is found by its
/// address, its program (`User-Agent`) and its hub; two browsers of one kind behind one address cannot be told apart, and the
/// explanation says so.
struct TransportChoice {
    private struct Attempt {
        let transport: TransportKind
        let outcome: String
        let reason: String?

        var json: HubValue {
            .members([
                "transport": .string(transport.jsonName), "outcome": .string(outcome), "reason": .text(reason),
            ])
        }
    }

    /// How long before its last negotiation a client may have begun.
    private static let window = 30.0

    private let chosen: TransportKind?
    private let attempts: [Attempt]
    private let explanation: String

    init(_ facts: ConnectionFacts, _ timeline: [ServiceEvent], _ journal: EventJournal) {
        self.chosen = facts.transport
        let start = timeline.first { $0.kind == .negotiate || $0.kind == .connect }
        guard let chosen = facts.transport, let start else {
            self.attempts = facts.transport.map { [Attempt(transport: $0, outcome: "chosen", reason: nil)] } ?? []
            self.explanation =
                facts.transport == nil
                ? "The client has no transport yet."
                : "The connection is older than what is kept, so what was tried before is not known."
            return
        }
        let before = journal.events(ofClient: start.client, in: (start.time - Self.window)...start.time)
        let failed = Self.attempts(before.filter { $0.connection != facts.id }, until: start.time, journal)
        let offered = Self.offered(start)
        let passedOver = offered.prefix { $0 != chosen }.filter { kind in !failed.contains { $0.transport == kind } }
        let tried =
            failed
            + passedOver.map {
                Attempt(transport: $0, outcome: "unknown", reason: "offered, but no request for it reached the service")
            }
        self.explanation = Self.explain(chosen, offered, tried, isNegotiated: start.kind == .negotiate)
        self.attempts = tried + [Attempt(transport: chosen, outcome: "chosen", reason: nil)]
    }

    private static func offered(_ start: ServiceEvent) -> [TransportKind] {
        guard start.kind == .negotiate else { return [] }
        return TransportKind.allCases.filter { start.text.contains($0.jsonName) }
    }

    /// More than a client tries in the window, unless it is many clients that look alike.
    private static let maximumAttempts = 4

    /// What became of other connections of the client that were over by then. One that ended in order did not fail.
    private static func attempts(_ events: [ServiceEvent], until time: Double, _ journal: EventJournal) -> [Attempt] {
        let attempts: [Attempt] = events.compactMap { event in
            switch event.kind {
            case .refused:
                guard let kind = TransportKind.allCases.first(where: { event.text.hasPrefix($0.jsonName) }) else {
                    return nil
                }
                return Attempt(transport: kind, outcome: "failed", reason: event.text)
            case .connect:
                guard let kind = TransportKind.allCases.first(where: { $0.jsonName == event.text }),
                    let id = event.connection
                else { return nil }
                guard let ended = journal.ended(id), ended.closedAt <= time, !ended.reason.isGraceful else {
                    return nil
                }
                return Attempt(transport: kind, outcome: "failed", reason: ended.reason.description)
            default: return nil
            }
        }
        return attempts.suffix(maximumAttempts)
    }

    private static func explain(
        _ chosen: TransportKind, _ offered: [TransportKind], _ attempts: [Attempt], isNegotiated: Bool
    ) -> String {
        guard isNegotiated else {
            return "The client did not negotiate: it was told to use \(chosen.jsonName) only."
        }
        if chosen == offered.first, attempts.isEmpty {
            return "\(chosen.jsonName) is the first transport that was offered, and it worked."
        }
        let seen = attempts.filter { $0.outcome == "failed" }
        if seen.isEmpty {
            let names = attempts.map(\.transport.jsonName).joined(separator: " and ")
            return """
                \(names) came first in the offer, but the service saw no request for it: the client does not have it, was told not to \
                use it, or something between client and service stopped it.
                """
        }
        let names = seen.map { "\($0.transport.jsonName) (\($0.reason ?? ""))" }.joined(separator: ", ")
        return """
            Just before, a client with the same address and program used this hub by \(names). It is probably the same client, which \
            fell back or came back.
            """
    }

    var json: HubValue {
        .members([
            "chosen": .text(chosen?.jsonName), "tried": .array(attempts.map(\.json)),
            "explanation": .string(explanation),
        ])
    }
}
