// SignalBox: the instruments of the connection layer, with the names that ASP.NET Core uses
// SPDX-License-Identifier: Apache-2.0

import Metrics
import NIOConcurrencyHelpers

/// `signalr.server.connection.duration` and `signalr.server.active_connections` (core protocol reference, "Metrics and traces"),
/// and a counter by close reason. A connection counts from its first transport to its removal.
struct ConnectionMetrics: Sendable {
    private let active: [TransportKind: (gauge: Gauge, count: NIOLockedValueBox<Int>)]

    init() {
        self.active = Dictionary(
            uniqueKeysWithValues: TransportKind.allCases.map { kind in
                let gauge = Gauge(
                    label: "signalr.server.active_connections", dimensions: [("signalr.transport", kind.metricName)])
                return (kind, (gauge, NIOLockedValueBox(0)))
            })
    }

    func started(_ kind: TransportKind) { count(kind, 1) }

    func ended(_ connection: Connection, _ reason: CloseReason) {
        guard let kind = connection.request.transport else { return }
        count(kind, -1)
        Timer(
            label: "signalr.server.connection.duration",
            dimensions: [
                ("signalr.connection.status", reason.metricStatus), ("signalr.transport", kind.metricName),
            ]
        ).recordSeconds(Double(connection.now &- connection.request.startedAt))
        Counter(label: "signalr.server.connections.closed", dimensions: [("signalr.close.reason", reason.name)])
            .increment()
    }

    private func count(_ kind: TransportKind, _ change: Int) {
        guard let (gauge, count) = active[kind] else { return }
        gauge.record(
            count.withLockedValue { value in
                value += change
                return value
            })
    }
}

extension CloseReason {
    /// The value of the metric attribute `signalr.connection.status`.
    var metricStatus: String {
        switch name {
        case "app_shutdown": "app_shutdown"
        case "disconnect_timeout", "client_timeout", "slow_consumer_time": "timeout"
        default: "normal_closure"
        }
    }
}
