// SignalBox: key figures of the last ten minutes
// SPDX-License-Identifier: Apache-2.0

import NIOConcurrencyHelpers
import SignalR
import SignalRWire

/// Totals at one moment; all but `connections` only grow.
struct Totals: Sendable {
    var time = UnixTime.now
    var connections = 0
    var traffic = Traffic()
    var accepted = 0
    var rejected = 0
    var closed = 0
}

/// What happened within one step.
struct HistoryPoint: Sendable {
    let time: Double
    let connections: Int
    let messagesIn: Int
    let messagesOut: Int
    let connects: Int
    let disconnects: Int
    let rejected: Int
    /// In seconds; a busy machine may take more than ``History/step``.
    let length: Double

    init(from start: Totals, to end: Totals) {
        self.time = end.time
        self.connections = end.connections
        self.messagesIn = end.traffic.messagesIn &- start.traffic.messagesIn
        self.messagesOut = end.traffic.messagesOut &- start.traffic.messagesOut
        self.connects = end.accepted &- start.accepted
        self.disconnects = end.closed &- start.closed
        self.rejected = end.rejected &- start.rejected
        self.length = max(0.001, end.time - start.time)
    }

    var json: HubValue {
        .members([
            "time": .time(time), "connections": .count(connections), "messagesIn": .count(messagesIn),
            "messagesOut": .count(messagesOut), "connects": .count(connects), "disconnects": .count(disconnects),
            "rejected": .count(rejected),
        ])
    }

    func perSecond(_ count: Int) -> HubValue { .double((Double(count) / length * 10).rounded() / 10) }
}

/// A ring of points, one every two seconds.
final class History: Sendable {
    static let step = Duration.seconds(2)
    private let state = NIOLockedValueBox((last: Totals(), points: Ring<HistoryPoint>(capacity: 300)))

    func append(_ totals: Totals) {
        state.withLockedValue { state in
            state.points.append(HistoryPoint(from: state.last, to: totals))
            state.last = totals
        }
    }

    var points: [HistoryPoint] { state.withLockedValue { $0.points.all } }
    var newest: HistoryPoint? { state.withLockedValue { $0.points.newest } }
}
