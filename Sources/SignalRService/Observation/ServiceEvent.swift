// SignalBox: one thing that happened, as operators see it
// SPDX-License-Identifier: Apache-2.0

import NIOCore
import SignalR
import SignalRWire

/// An entry of a connection's timeline and of the live trace.
struct ServiceEvent: Sendable {
    /// In seconds since 1970.
    let time: Double
    let kind: ConnectionEventKind
    let hub: String
    let connection: ConnectionID?
    let user: String?
    /// Tells clients apart by address and program; 0 where the request is not at hand.
    var client = 0
    /// For people; short, and never a secret.
    let text: String
    /// What a peer said, shortened.
    var detail: String?
    /// Of a message.
    var message: MessageFacts?

    /// Longer texts of peers are cut.
    static let longestDetail = 200

    init(
        _ kind: ConnectionEventKind, hub: String, connection: ConnectionID? = nil, user: String? = nil, _ text: String,
        detail: String? = nil
    ) {
        self.time = UnixTime.now
        self.kind = kind
        self.hub = hub
        self.connection = connection
        self.user = user
        self.text = text
        self.detail = detail.map { Self.cut($0, Self.longestDetail) }
    }

    static func cut(_ text: String, _ limit: Int) -> String {
        text.utf8.count <= limit ? text : String(text.prefix(limit)) + "…"
    }

    /// As the live trace sends it.
    func json(withPayload: Bool) -> HubValue {
        .members([
            "time": .time(time), "kind": .string(kind.rawValue), "hub": .string(hub),
            "connectionId": connection.map { .string($0.description) }, "user": user.map { .string($0) },
            "text": .string(text), "detail": message?.json(withPayload: withPayload) ?? detail.map { .string($0) },
        ])
    }

    /// As an entry of one connection's timeline.
    var entry: HubValue {
        .members([
            "time": .time(time), "event": .string(kind.rawValue), "text": .string(text),
            "detail": detail.map { .string($0) },
        ])
    }
}

/// What is told of a hub message. Apart from its event, since the journal keeps thousands of events and none of a message.
final class MessageFacts: Sendable {
    enum Direction: String, Sendable { case `in`, out }

    let direction: Direction
    /// The method of a call; nil for other messages.
    let method: String?
    /// In its protocol, without the transport's framing.
    let bytes: Int?
    /// Arguments, item or result; only while somebody asked for them.
    let payload: HubValue?

    /// - Parameter message: nil for bytes that are none.
    init(_ direction: Direction, _ message: HubMessage?, bytes: Int?, withPayload: Bool) {
        self.direction = direction
        self.method = message?.method
        self.bytes = bytes
        self.payload = withPayload ? message?.payload : nil
    }

    func json(withPayload: Bool) -> HubValue {
        .members([
            "direction": .string(direction.rawValue), "method": .text(method), "bytes": bytes.map { .count($0) },
            "arguments": withPayload ? payload : nil,
        ])
    }
}

extension HubValue {
    /// A map without the members that have no value.
    static func members(_ members: KeyValuePairs<String, HubValue?>) -> HubValue {
        .map(members.compactMap { key, value in value.map { Member(key: key, value: $0) } })
    }

    /// ISO 8601 text in UTC, with milliseconds.
    static func time(_ seconds: Double) -> HubValue {
        let milliseconds = Int64((seconds * 1000).rounded(.down))
        let text = HubValue.timestamp(seconds: milliseconds / 1000, nanoseconds: 0).json
        guard let whole = text.getString(at: text.readerIndex + 1, length: 19) else { return .null }
        let fraction = String(milliseconds % 1000)
        return .string("\(whole).\(String(repeating: "0", count: 3 - fraction.count))\(fraction)Z")
    }

    static func count(_ number: Int) -> HubValue { .int(Int64(number)) }
    static func text(_ text: String?) -> HubValue? { text.map { .string($0) } }
    /// A number of milliseconds with three digits behind the point.
    static func milliseconds(_ time: Duration) -> HubValue {
        let (seconds, attoseconds) = time.components
        return .double((Double(seconds) * 1e6 + (Double(attoseconds) / 1e12).rounded()) / 1e3)
    }
}
