// SignalBox: which transport a client has, which it had or could have had before, and why it changed
// SPDX-License-Identifier: Apache-2.0

import Logging

/// A transport, as the clients of both generations write it in their lists.
public enum TransportName: String, Sendable, Hashable, CaseIterable {
    case webSockets
    case serverSentEvents
    /// Clients of ASP.NET SignalR 2.x only.
    case foreverFrame
    case longPolling

    /// Finds a name without regard to case.
    public init?(caseInsensitive name: String) {
        let wanted = name.lowercased()
        guard let found = Self.allCases.first(where: { $0.rawValue.lowercased() == wanted }) else { return nil }
        self = found
    }
}

/// The transport that a client has, and those before it with what became of each.
public struct TransportHistory: Sendable, Hashable {
    /// A transport that is not in use any more, or never was.
    public struct Attempt: Sendable, Hashable {
        public let transport: TransportName
        /// When it began, was refused, or was passed over; in seconds since 1970.
        public let time: Double
        public let outcome: Outcome

        init(_ transport: TransportName, _ outcome: Outcome, at time: Double) {
            self.transport = transport
            self.time = time
            self.outcome = outcome
        }

        /// Right now.
        package init(_ transport: TransportName, _ outcome: Outcome) {
            self.init(transport, outcome, at: ShardClock.unixTime)
        }
    }

    /// Why a transport is not, or no longer, the one in use. Indirect, since every connection has room for one, and few ever use it.
    public indirect enum Outcome: Sendable, Hashable {
        /// Negotiation left it out: it is switched off here, or the web server cannot carry it.
        case notOffered
        /// It was offered, and no request for it came: the client's list or platform lacks it, or something on the way stopped it.
        case notRequested
        /// The request for it was answered with this HTTP status.
        case refused(status: Int)
        /// The client closed it, a WebSocket with this code if it sent one.
        case closed(code: Int?)
        /// It broke.
        case lost(String)
        /// The client opened the next one while it was still there.
        case replaced
        /// The server ended it, since it had been open for as long as a transport may.
        case expired
    }

    /// The transport in use, or in use last; nil before the first.
    public private(set) var current: TransportName?
    /// When it began, in seconds since 1970.
    public private(set) var since: Double = 0
    /// What came before, oldest first; the last 16.
    public private(set) var earlier: [Attempt] = []
    /// What happened to the transport in use when the client has none right now; nil also between two polls.
    public private(set) var interruption: Outcome?

    private static let longest = 16

    package init() {}

    /// The client's first transport.
    /// - Parameters:
    ///   - offered: what negotiation offered, in the order in which clients try it; nil when the client did not negotiate here.
    ///   - refused: requests for transports that were turned away.
    package mutating func begin(
        _ transport: TransportName, at time: Double, offered: [TransportName]?, refused: [Attempt] = []
    ) {
        self.current = transport
        self.since = time
        for attempt in refused { self.note(attempt) }
        let candidates = offered.map { Self.candidates(before: transport, offered: $0) } ?? []
        for (candidate, outcome) in candidates where !refused.contains(where: { $0.transport == candidate }) {
            self.note(Attempt(candidate, outcome, at: time))
        }
    }

    /// The client goes on with another transport, or with a new one of the same kind.
    package mutating func move(to transport: TransportName, at time: Double) {
        if let current { self.note(Attempt(current, self.interruption ?? .replaced, at: self.since)) }
        self.current = transport
        self.since = time
        self.interruption = nil
    }

    /// The transport in use ended; it counts until the next one comes. The first reason stays.
    package mutating func interrupt(_ outcome: Outcome) {
        if self.current != nil, self.interruption == nil { self.interruption = outcome }
    }

    /// The next poll came, which is no change.
    package mutating func resume() { self.interruption = nil }

    package mutating func note(_ attempt: Attempt) {
        if self.earlier.count == Self.longest { self.earlier.removeFirst() }
        self.earlier.append(attempt)
    }

    /// What a client that tries one after the other would have tried first.
    private static func candidates(
        before transport: TransportName, offered: [TransportName]
    ) -> [(TransportName, Outcome)] {
        // Only clients of the generation that knows forever frames can have wanted one.
        let known = TransportName.allCases.filter { $0 != .foreverFrame || offered.contains(.foreverFrame) }
        let missing = known.prefix { $0 != transport }.filter { !offered.contains($0) }
        return missing.map { ($0, .notOffered) } + offered.prefix { $0 != transport }.map { ($0, .notRequested) }
    }
}

extension TransportHistory.Outcome: CustomStringConvertible {
    public var description: String {
        switch self {
        case .notOffered: "not offered"
        case .notRequested: "offered, and not asked for"
        case .refused(let status): "refused with status \(status)"
        case .closed(let code): code.map { "closed by the client with code \($0)" } ?? "closed by the client"
        case .lost(let detail): "lost: \(detail)"
        case .replaced: "given up by the client"
        case .expired: "ended after its time"
        }
    }
}

extension TransportHistory: CustomStringConvertible {
    /// Such as `longPolling, after webSockets (refused with status 400), serverSentEvents (offered, and not asked for)`.
    public var description: String {
        let now = self.current?.rawValue ?? "none"
        return self.earlier.isEmpty ? now : "\(now), after \(self.earlierDescription)"
    }

    package var earlierDescription: String {
        self.earlier.map { "\($0.transport.rawValue) (\($0.outcome))" }.joined(separator: ", ")
    }
}

extension TransportKind {
    package var name: TransportName {
        switch self {
        case .webSockets: .webSockets
        case .serverSentEvents: .serverSentEvents
        case .longPolling: .longPolling
        }
    }
}

// MARK: - Of a connection

extension Connection {
    /// Which transports the client had; on the event loop.
    package var transportHistory: TransportHistory { session?.sharedTransportHistory ?? history }

    /// The same from any thread.
    package func readTransportHistory() async -> TransportHistory {
        await withCheckedContinuation { waiter in
            onLoop { waiter.resume(returning: self.transportHistory) }
        }
    }

    /// The client's first transport, before it is attached or right then.
    package func beginHistory(
        _ transport: TransportName, offered: [TransportName]?, refused: [TransportHistory.Attempt]
    ) {
        history.begin(transport, at: shard.clock.unixTime, offered: offered, refused: refused)
        tellTransport("Transport chosen")
    }

    package func moveHistory(to transport: TransportName) {
        history.move(to: transport, at: shard.clock.unixTime)
        tellTransport("Transport changed")
    }

    private func tellTransport(_ event: Logger.Message) {
        registry.logger.info(
            event,
            metadata: [
                "signalr.connection.id": "\(id)", "signalr.transport": "\(history.current?.rawValue ?? "")",
                "signalr.transport.before": "\(history.earlierDescription)",
            ])
    }
}
