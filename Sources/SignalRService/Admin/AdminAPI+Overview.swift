// SignalBox: admin: the state of the service at a glance, and its last ten minutes
// SPDX-License-Identifier: Apache-2.0

import SignalR
import SignalRWire

extension AdminAPI {
    func overview() async -> HubValue {
        let hubs = allHubs
        let totals = await observation.totals(hubs)
        let (groups, users) = await observation.sizeCounts(hubs)
        let newest = observation.history.newest
        func rate(_ count: KeyPath<HistoryPoint, Int>) -> HubValue {
            newest.map { $0.perSecond($0[keyPath: count]) } ?? 0
        }
        let servers = service.observedHubs.reduce(0) { $0 + ($1.relay?.servers.census.count ?? 0) }
        return .members([
            "version": .string(version), "startedAt": .time(observation.startedAt),
            "uptimeSeconds": .int(Int64(UnixTime.now - observation.startedAt)),
            "endpoint": .text(endpoint()), "requiresToken": .bool(service.options.requiresAuthentication),
            "mode": .string(service.options.mode.rawValue), "draining": .bool(service.isDraining),
            "process": ProcessFigures.now,
            "totals": .members([
                "connections": .count(totals.connections), "serverConnections": .count(servers),
                "hubs": .count(hubs.count), "groups": .count(groups), "users": .count(users),
                "messagesIn": .count(totals.traffic.messagesIn), "messagesOut": .count(totals.traffic.messagesOut),
                "bytesIn": .count(totals.traffic.bytesIn), "bytesOut": .count(totals.traffic.bytesOut),
                "accepted": .count(totals.accepted), "rejected": .count(totals.rejected),
                "closed": .count(totals.closed),
            ]),
            "rates": .members([
                "messagesInPerSecond": rate(\.messagesIn), "messagesOutPerSecond": rate(\.messagesOut),
                "connectsPerSecond": rate(\.connects), "disconnectsPerSecond": rate(\.disconnects),
            ]),
            "latency": latency, "transports": transports, "closeReasons": closeReasons,
        ])
    }

    private var latency: HubValue {
        let delay = observation.loopDelay.percentiles
        return .members([
            "p50": .double(delay.p50), "p99": .double(delay.p99),
            "what": "how long work waits for an event loop, in ms, over the last minute",
        ])
    }

    private var transports: HubValue {
        let counts = observation.counts.transports
        return .members(TransportKind.allCases.map { ($0.jsonName, .count(counts[$0] ?? 0)) })
    }

    private var closeReasons: HubValue {
        let reasons = observation.counts.reasons.sorted { ($1.value, $0.key) < ($0.value, $1.key) }
        return .array(
            reasons.map { name, count in
                .members([
                    "reason": .string(name), "count": .count(count), "meaning": .text(CloseReason.meanings[name]),
                ])
            })
    }

    func history() -> HubValue {
        .members([
            "stepSeconds": .int(History.step.components.seconds),
            "points": .array(observation.history.points.map(\.json)),
        ])
    }

    /// What subscribers of the admin hub get every other second.
    func pushedOverview() async -> HubValue {
        guard case .map(var members) = await overview() else { return .null }
        if let point = observation.history.newest { members.append(.init(key: "point", value: point.json)) }
        return .map(members)
    }

    /// Takes a point of the history.
    package func sample() async { observation.history.append(await observation.totals(allHubs)) }
}

extension Observation {
    /// Past it, names are not compared between event loops, and one with connections on several is counted more than once.
    private static let exactSize = 5_000

    /// How many groups and users there are.
    func sizeCounts(_ hubs: [ObservedHub]) async -> (groups: Int, users: Int) {
        let limit = Self.exactSize
        let loops = await onEachLoop(hubs) { here in
            here.map { hub, shard in
                (
                    hub: hub.name, groupCount: shard.groupCount, userCount: shard.userCount,
                    groups: shard.groupCount <= limit ? Array(shard.groupCounts().keys) : nil,
                    users: shard.userCount <= limit ? Array(shard.userCounts().keys) : nil
                )
            }
        }
        var (groups, users) = (0, 0)
        for (_, shards) in Dictionary(grouping: loops.joined(), by: \.hub) {
            groups += Self.distinct(shards.map { ($0.groupCount, $0.groups) })
            users += Self.distinct(shards.map { ($0.userCount, $0.users) })
        }
        return (groups, users)
    }

    private static func distinct(_ shards: [(count: Int, names: [String]?)]) -> Int {
        guard shards.allSatisfy({ $0.names != nil }) else { return shards.reduce(0) { $0 + $1.count } }
        return Set(shards.flatMap { $0.names ?? [] }).count
    }
}
