// SignalBox: admin: hubs, groups, users, app servers, deliveries, keys
// SPDX-License-Identifier: Apache-2.0

import NIOConcurrencyHelpers
import NIOCore
import SignalR
import SignalRWire

extension AdminAPI {
    func hubs(_ question: Question) async throws(AdminError) -> HubValue {
        let (hubs, after) = question.page(try hubs(named: question.hub), key: \.name)
        let picked = Array(hubs)
        let users = await observation.sizes(picked) { $0.userCounts() }
        let groups = await observation.sizes(picked) { $0.groupCounts() }
        let connections = await observation.onEachLoop(picked) { here in
            here.map { (hub: $0.hub.name, count: $0.shard.connectionCount) }
        }
        let counts = Dictionary(connections.joined().map { ($0.hub, $0.count) }, uniquingKeysWith: +)
        let list = picked.indices.map { index -> HubValue in
            let hub = picked[index]
            return .members([
                "name": .string(hub.name), "connections": .count(counts[hub.name] ?? 0),
                "users": .count(users[index].sizes.count), "groups": .count(groups[index].sizes.count),
                "serverConnections": .count(hub.relay?.servers.census.count ?? 0),
                "mode": .string(hub.relay?.mode.rawValue ?? "inProcess"),
            ])
        }
        return .members(["hubs": .array(list), "after": .text(after)])
    }

    func groups(_ question: Question) async throws(AdminError) -> HubValue {
        let hubs = try hubs(named: question.hub)
        let list = entries(await observation.sizes(hubs) { $0.groupCounts() })
        let (page, after) = question.page(list.filter { question.group.map($0.name.contains) ?? true }, key: \.key)
        return .members([
            "groups": .array(
                page.map {
                    .members(["hub": .string($0.hub), "name": .string($0.name), "connections": .count($0.count)])
                }),
            "after": .text(after),
        ])
    }

    func users(_ question: Question) async throws(AdminError) -> HubValue {
        let hubs = try hubs(named: question.hub)
        let list = entries(await observation.sizes(hubs) { $0.userCounts() })
        let (page, after) = question.page(list.filter { question.user.map($0.name.contains) ?? true }, key: \.key)
        return .members([
            "users": .array(
                page.map {
                    .members(["hub": .string($0.hub), "user": .string($0.name), "connections": .count($0.count)])
                }),
            "after": .text(after),
        ])
    }

    private struct Entry {
        let hub: String
        let name: String
        let count: Int
        /// Hub names have no line break.
        var key: String { "\(hub)\n\(name)" }
    }

    private func entries(_ sizes: [(hub: ObservedHub, sizes: [String: Int])]) -> [Entry] {
        sizes.flatMap { hub, sizes in sizes.map { Entry(hub: hub.name, name: $0.key, count: $0.value) } }
            .sorted { $0.key < $1.key }
    }

    func servers(_ question: Question) async throws(AdminError) -> HubValue {
        var list: [(id: String, json: HubValue)] = []
        for hub in try hubs(named: question.hub) {
            for server in hub.relay?.servers.census ?? [] {
                let connection = server.session.connection
                let queued = try? await connection.eventLoop.submit { connection.queuedBytes }.get()
                let id = connection.id.description
                list.append(
                    (
                        id,
                        .members([
                            "id": .string(id), "hub": .string(hub.name), "serverId": .string(server.session.serverID),
                            "clients": .count(server.clients), "connectedAt": .time(connection.request.startTime),
                            "queuedBytes": .count(queued ?? 0), "status": .string(server.status),
                        ])
                    ))
            }
        }
        list.sort { $0.id < $1.id }
        let (page, after) = question.page(list, key: \.id)
        return .members(["servers": .array(page.map(\.json)), "after": .text(after)])
    }

    /// Newest first; the ring is short, so there are no further pages.
    func deliveries(_ question: Question) throws(AdminError) -> HubValue {
        let all = observation.deliveries.withLockedValue { $0.all }.reversed().filter { delivery in
            (question.hub.map { $0 == delivery.hub } ?? true)
                && (question.connection.map { $0.description == delivery.connection } ?? true)
        }
        let list = all.prefix(question.limit).map { delivery -> HubValue in
            .members([
                "time": .time(delivery.time), "hub": .string(delivery.hub), "event": .string(delivery.event),
                "connectionId": .string(delivery.connection), "url": .string(delivery.url),
                "status": delivery.status.map { .count($0) }, "durationMs": .milliseconds(delivery.duration),
                "attempts": .count(delivery.attempts), "error": .text(delivery.error),
            ])
        }
        return .members(["deliveries": .array(list)])
    }

    func keys() -> HubValue {
        let prints = service.options.keys.fingerprints
        return .members([
            "primary": prints.first.map { .members(["fingerprint": .string($0)]) },
            "secondary": prints.dropFirst().first.map { .members(["fingerprint": .string($0)]) },
        ])
    }
}
