// SignalBox: admin: figures of the service in Prometheus's text format
// SPDX-License-Identifier: Apache-2.0

import SignalR
import SignalRWire

extension AdminAPI {
    /// What swift-metrics has no instrument for: sizes and totals, read when they are asked for.
    func serviceMetrics() async -> String {
        let hubs = allHubs
        let totals = await observation.totals(hubs)
        let (groups, users) = await observation.sizeCounts(hubs)
        let connections = await observation.onEachLoop(hubs) { here in
            here.map { (hub: $0.hub.name, count: $0.shard.connectionCount) }
        }
        let byHub = Dictionary(connections.joined().map { ($0.hub, $0.count) }, uniquingKeysWith: +)
        var text = PrometheusText()
        text.family("signalbox_info", .gauge, "The version of the program.")
        text.sample("signalbox_info", [("version", version), ("mode", service.options.mode.rawValue)], 1)
        text.family("signalbox_draining", .gauge, "1 while new clients are turned away.")
        text.sample("signalbox_draining", [], service.isDraining ? 1 : 0)
        text.family("signalbox_connections", .gauge, "Client connections by hub.")
        for hub in hubs { text.sample("signalbox_connections", [("hub", hub.name)], Double(byHub[hub.name] ?? 0)) }
        text.family("signalbox_server_connections", .gauge, "Connections of app servers by hub.")
        for hub in hubs {
            guard let relay = hub.relay else { continue }
            text.sample("signalbox_server_connections", [("hub", hub.name)], Double(relay.servers.census.count))
        }
        text.single("signalbox_hubs", .gauge, "Hubs that were used.", Double(hubs.count))
        text.single("signalbox_groups", .gauge, "Groups that have members.", Double(groups))
        text.single("signalbox_users", .gauge, "Users that are connected.", Double(users))
        let traffic = totals.traffic
        text.family("signalbox_messages_total", .counter, "Hub messages from and to clients, without pings.")
        text.sample("signalbox_messages_total", [("direction", "in")], Double(traffic.messagesIn))
        text.sample("signalbox_messages_total", [("direction", "out")], Double(traffic.messagesOut))
        text.family("signalbox_bytes_total", .counter, "Bytes from and to clients, with the transport's framing.")
        text.sample("signalbox_bytes_total", [("direction", "in")], Double(traffic.bytesIn))
        text.sample("signalbox_bytes_total", [("direction", "out")], Double(traffic.bytesOut))
        text.single("signalbox_accepted_total", .counter, "Clients that got a transport.", Double(totals.accepted))
        text.single(
            "signalbox_rejected_total", .counter, "Requests of clients that were refused.", Double(totals.rejected))
        text.single("process_cpu_seconds_total", .counter, "User and system CPU time.", ProcessFigures.cpuSeconds)
        if let bytes = ProcessFigures.residentBytes {
            text.single("process_resident_memory_bytes", .gauge, "Resident memory.", Double(bytes))
        }
        text.single("process_start_time_seconds", .gauge, "Start, since 1970.", observation.startedAt)
        return text.text
    }
}
