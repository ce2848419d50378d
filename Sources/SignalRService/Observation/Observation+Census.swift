// SignalBox: counting and listing connections, with one hop per event loop however many hubs there are
// SPDX-License-Identifier: Apache-2.0

import NIOCore
import SignalR

extension Observation {
    /// Runs `read` on every event loop with all that the hubs have there.
    func onEachLoop<Result: Sendable>(
        _ hubs: [ObservedHub], _ read: @escaping @Sendable ([(hub: ObservedHub, shard: ConnectionShard)]) -> Result
    ) async -> [Result] {
        let pairs = hubs.flatMap { hub in hub.registry.shards.map { (hub: hub, shard: $0) } }
        var loops: [any EventLoop] = eventLoops
        for pair in pairs where !loops.contains(where: { $0 === pair.shard.eventLoop }) {
            loops.append(pair.shard.eventLoop)
        }
        var results: [Result] = []
        for loop in loops {
            let here = pairs.filter { $0.shard.eventLoop === loop }
            if let result = try? await loop.submit({ read(here) }).get() { results.append(result) }
        }
        return results
    }

    func totals(_ hubs: [ObservedHub]) async -> Totals {
        let counts = counts
        var totals = Totals()
        (totals.accepted, totals.rejected, totals.closed) = (counts.accepted, counts.rejected, counts.closed)
        let loops = await onEachLoop(hubs) { here in
            here.reduce(into: (0, Traffic())) { sum, pair in
                sum.0 += pair.shard.connectionCount
                sum.1 += pair.shard.traffic
            }
        }
        for (connections, traffic) in loops {
            totals.connections += connections
            totals.traffic += traffic
        }
        return totals
    }

    /// The groups, or the users, of each hub with how many connections they have here.
    func sizes(
        _ hubs: [ObservedHub], _ read: @escaping @Sendable (ConnectionShard) -> [String: Int]
    ) async -> [(hub: ObservedHub, sizes: [String: Int])] {
        let loops = await onEachLoop(hubs) { here in here.map { (hub: $0.hub.name, sizes: read($0.shard)) } }
        var byHub: [String: [String: Int]] = [:]
        for (hub, sizes) in loops.joined() { byHub[hub, default: [:]].merge(sizes, uniquingKeysWith: +) }
        return hubs.map { ($0, byHub[$0.name] ?? [:]) }
    }

    /// Connections by id, behind `last`, at most `limit`.
    func connections(
        _ hubs: [ObservedHub], after last: ConnectionID?, limit: Int,
        where condition: @escaping @Sendable (Connection) -> Bool
    ) async -> [ConnectionFacts] {
        let found = await onEachLoop(hubs) { here in
            var smallest = Smallest(limit: limit, after: last)
            for (hub, shard) in here {
                for connection in shard.members(of: .all) where smallest.takes(connection.id) {
                    if condition(connection) { smallest.insert(connection, hub.name) }
                }
            }
            return smallest.found.map { ConnectionFacts($0.connection, hub: $0.hub) }
        }
        return Array(found.joined().sorted { $0.id < $1.id }.prefix(limit))
    }
}

/// The first connections behind a given id, found in one pass that keeps no more of them than asked for.
private struct Smallest {
    let limit: Int
    let last: ConnectionID?
    private(set) var found: [(connection: Connection, hub: String)] = []

    init(limit: Int, after last: ConnectionID?) {
        self.limit = limit
        self.last = last
    }

    func takes(_ id: ConnectionID) -> Bool {
        if let last, !(last < id) { return false }
        guard found.count >= limit, let greatest = found.last else { return true }
        return id < greatest.connection.id
    }

    mutating func insert(_ connection: Connection, _ hub: String) {
        var (low, high) = (0, found.count)
        while low < high {
            let middle = (low + high) / 2
            if found[middle].connection.id < connection.id { low = middle + 1 } else { high = middle }
        }
        found.insert((connection, hub), at: low)
        if found.count > limit { found.removeLast() }
    }
}
