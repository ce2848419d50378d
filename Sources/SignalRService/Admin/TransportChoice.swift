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
        let transport: String
        let outcome: String
        let reason: String?

        init(_ transport: String, _ outcome: String, _ reason: String? = nil) {
            self.transport = transport
            self.outcome = outcome
            self.reason = reason
        }

        var json: HubValue {
            .members(["transport": .string(transport), "outcome": .string(outcome), "reason": .text(reason)])
        }
    }

    /// How long before its last negotiation a client may have begun.
    private static let window = 30.0

    private let chosen: String?
    private let attempts: [Attempt]
    private let explanation: String

    init(_ facts: ConnectionFacts, _ timeline: [ServiceEvent], _ journal: EventJournal) {
        self.chosen = facts.transportName
        guard let chosen = facts.transportName else {
            self.attempts = []
            self.explanation = "The client has no transport yet."
            return
        }
        let start = timeline.first { $0.kind == .negotiate || $0.kind == .connect }
        let before = start.map { start in
            let events = journal.events(ofClient: start.client, in: (start.time - Self.window)...start.time)
            return Self.attempts(events.filter { $0.connection != facts.id }, until: start.time, journal)
        }
        let own = facts.transports.earlier.map {
            Attempt($0.transport.rawValue, $0.outcome.word, $0.outcome.description)
        }.filter { one in one.outcome == "failed" || before?.contains { $0.transport == one.transport } != true }
        self.attempts = (before ?? []) + own + [Attempt(chosen, "chosen")]
        self.explanation = Self.explain(chosen, before: before, own, isNegotiated: start.map { $0.kind == .negotiate })
    }

    /// More than a client tries in the window, unless it is many clients that look alike.
    private static let maximumAttempts = 4

    /// What became of other connections of the client that were over by then. One that ended in order did not fail.
    private static func attempts(_ events: [ServiceEvent], until time: Double, _ journal: EventJournal) -> [Attempt] {
        let attempts: [Attempt] = events.compactMap { event in
            switch event.kind {
            case .refused:
                TransportKind.allCases.first { event.text.hasPrefix($0.jsonName) }
                    .map { Attempt($0.jsonName, "failed", event.text) }
            case .connect:
                event.connection.flatMap { journal.ended($0) }
                    .flatMap { $0.closedAt <= time && !$0.reason.isGraceful ? $0 : nil }
                    .map { Attempt(event.text, "failed", $0.reason.description) }
            default: nil
            }
        }
        return attempts.suffix(maximumAttempts)
    }

    private static func explain(
        _ chosen: String, before: [Attempt]?, _ own: [Attempt], isNegotiated: Bool?
    ) -> String {
        var sentences: [String] = []
        if let before, !before.isEmpty {
            sentences.append(
                """
                Just before, a client with the same address and program used this hub by \(list(before)). It is probably the same \
                client, which fell back or came back.
                """)
        }
        if !own.isEmpty { sentences.append("This connection came to \(chosen) after \(list(own)).") }
        if own.contains(where: { $0.outcome == "unknown" }) {
            sentences.append(
                """
                What was offered and not asked for, the client does not have or was told not to use, or something between client \
                and service stopped it.
                """)
        }
        if isNegotiated == false {
            sentences.append("The client did not negotiate: it was told to use \(chosen) only.")
        }
        if sentences.isEmpty { sentences.append("\(chosen) is the first transport that was offered, and it worked.") }
        if before == nil { sentences.append("What the client did before this connection is not kept any more.") }
        return sentences.joined(separator: " ")
    }

    private static func list(_ attempts: [Attempt]) -> String {
        attempts.map { "\($0.transport) (\($0.reason ?? $0.outcome))" }.joined(separator: ", ")
    }

    var json: HubValue {
        .members([
            "chosen": .text(chosen), "tried": .array(attempts.map(\.json)), "explanation": .string(explanation),
        ])
    }
}

extension TransportHistory.Outcome {
    /// As the API calls it.
    fileprivate var word: String {
        switch self {
        case .notOffered: "skipped"
        case .notRequested: "unknown"
        case .refused, .closed, .lost, .replaced, .expired: "failed"
        }
    }
}
