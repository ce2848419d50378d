// SignalBox: what an app server asks the service for
// SPDX-License-Identifier: Apache-2.0

import Logging
import NIOCore
import SignalR
import SignalRWire

extension ServerSession {
    /// One message of a running connection. Everything that concerns clients goes through their event loop's lane, so that it takes effect
    /// there in the order it came.
    func receive(_ message: ServiceMessage) {
        guard let relay else { return }
        switch message {
        case .ping(let pairs): receive(pairs, relay)
        case .connectionData(let id, let bytes, _):
            onClient(id, relay) { client in client.received(bytes, from: self) }
        case .closeConnection(let id, let error, _, _): close(id, error, relay)
        case .multicast(let multicast): receive(multicast, relay)
        case .membership(let membership): receive(membership, relay)
        case .check(let check): receive(check, relay)
        case .closing(let closing): receive(closing, relay)
        case .clientInvocation(let call, let payloads): ask(call, payloads, relay)
        case .clientCompletion(let call, let name, let payload): complete(call, name, payload, relay)
        case .flowControl(let id, kind: FlowControl.client, operation: FlowControl.pauseAck, _):
            onClient(id, relay) { $0.paused(by: self) }
        case .groupMemberQuery(let query): receive(query, relay)
        case .accessKeyRequest:
            // Only app servers with tokens of an identity provider ask, and those do not get here.
            write(
                .accessKeyResponse(
                    .init(errorType: "NotSupportedException", errorMessage: "The service has no identity provider.")))
        default: log("A message of the app server was ignored", level: .debug)
        }
    }

    /// Runs `work` for a client that app servers serve; does nothing for others.
    private func onClient(_ id: String, _ relay: HubRelay, _ work: @escaping @Sendable (any RelayedClient) -> Void) {
        guard let connection = relay.registry.connection(named: id) else { return }
        lane(for: connection.eventLoop)?.run { if let client = connection.relayed { work(client) } }
    }

    private func close(_ id: String, _ error: String?, _ relay: HubRelay) {
        guard let connection = relay.registry.connection(named: id) else { return }
        let error = error.flatMap { $0.isEmpty ? nil : $0 }
        lane(for: connection.eventLoop)?.run {
            if let client = connection.relayed, client.isOwned(by: self) {
                client.closedByServer(error)
            } else {
                connection.close(.kicked(error, allowReconnect: true))
            }
        }
    }

    // MARK: Pings

    private func receive(_ pairs: [String], _ relay: HubRelay) {
        for index in stride(from: 0, to: pairs.count - 1, by: 2) {
            switch (pairs[index], pairs[index + 1]) {
            case ("status", _): write(.ping(status(relay)))
            case ("servers", _):
                // The colon must be there, whoever is.
                write(.ping(["servers", "\(Self.ticks):\(relay.servers.serverIDs.joined(separator: ";"))"]))
            case ("shutdown", let step) where step.hasPrefix("fin:"): finish(step, relay)
            default: break
            }
        }
    }

    private func status(_ relay: HubRelay) -> [String] {
        let counts = relay.servers.counts
        return [
            "status", "1", "clientcount", "\(counts.clients)", "servercount", "\(counts.connections)", "capacity",
            "\(relay.clients.maximumPendingConnections)",
        ]
    }

    /// .NET's clock: 100 ns since the year 1.
    private static var ticks: Int64 { Int64(AccessKeys.now * 10_000_000) &+ 621_355_968_000_000_000 }

    /// The app server wants to stop: it gets no new clients, and those it has may move (service reference, "Graceful shutdown").
    private func finish(_ step: String, _ relay: HubRelay) {
        relay.servers.finish(self)
        write(.ping(["shutdown", "finack"]))
        guard step == "fin:1", description?.canMigrate == true else { return }
        forEachClient { $0.leaveServer() }
    }

    // MARK: Many clients

    private func receive(_ multicast: ServiceMessage.Multicast, _ relay: HubRelay) {
        let filter: RestFilter
        do {
            filter = try multicast.extension.filter.map { text throws(RestError) in try RestFilter(text) } ?? .always
        } catch {
            // Better nobody than somebody who is not meant.
            return log("A message was not delivered: its filter is none", level: .warning, detail: error.message)
        }
        guard let message = message(in: multicast, relay) else { return }
        let except = Exclusion(
            connections: Set(multicast.excludedConnections.compactMap { ConnectionID($0) }),
            users: Set(multicast.excludedUsers))
        let target: HubTarget
        switch multicast.target {
        case .connections(let ids): return deliver(message, to: ids, filter, relay)
        case .all: target = .all
        case .user(let id): target = .users([id])
        case .users(let ids): target = .users(ids)
        case .group(let name): target = .groups([name])
        case .groups(let names): target = .groups(names)
        }
        guard filter == .always else { return deliver(message, to: target, except, filter, relay) }
        onEveryLoop(relay) { shard, _ in shard.deliver(message, to: target, except: except) }
    }

    /// Looks at every receiver, so it costs more than a delivery to all of them.
    private func deliver(
        _ message: Outgoing, to target: HubTarget, _ except: Exclusion, _ filter: RestFilter, _ relay: HubRelay
    ) {
        onEveryLoop(relay) { shard, _ in
            for connection in shard.members(of: target)
            where !except.contains(connection) && filter.matches(.init(connection)) { connection.send(message) }
        }
    }

    private func deliver(_ message: Outgoing, to ids: [String], _ filter: RestFilter, _ relay: HubRelay) {
        var byLane: [(lane: ServerLane, connections: [Connection])] = []
        for id in ids.count > 1 ? Array(Set(ids)) : ids {
            guard let connection = relay.registry.connection(named: id) else { continue }
            if let index = byLane.firstIndex(where: { $0.lane.eventLoop === connection.eventLoop }) {
                byLane[index].connections.append(connection)
            } else if let lane = lane(for: connection.eventLoop) {
                byLane.append((lane, [connection]))
            }
        }
        for (lane, connections) in byLane {
            lane.run {
                for connection in connections where filter == .always || filter.matches(.init(connection)) {
                    connection.send(message)
                }
            }
        }
    }

    /// Runs `work` on every event loop that may have clients.
    func onEveryLoop(_ relay: HubRelay, _ work: @escaping @Sendable (ConnectionShard, ServerLane) -> Void) {
        for shard in relay.registry.shards {
            guard let lane = lane(for: shard.eventLoop) else { continue }
            lane.run { work(shard, lane) }
        }
    }

    private func receive(_ closing: ServiceMessage.Closing, _ relay: HubRelay) {
        let reason = CloseReason.kicked(closing.reason.flatMap { $0.isEmpty ? nil : $0 }, allowReconnect: true)
        let target: HubTarget
        switch closing.target {
        case .all: target = .all
        case .user(let id): target = .users([id])
        case .group(let name): target = .groups([name])
        case .connection(let id):
            guard let connection = relay.registry.connection(named: id), let lane = lane(for: connection.eventLoop)
            else { return acknowledge(closing.ackID, .notFound) }
            return lane.run {
                connection.close(reason)
                lane.acknowledge(closing.ackID, .ok)
            }
        }
        let except = Exclusion(connections: Set(closing.excludedConnections.compactMap { ConnectionID($0) }))
        count(relay, then: { _ in .ok }, closing.ackID) { shard in
            for connection in shard.members(of: target) where !except.contains(connection) { connection.close(reason) }
            return 0
        }
    }
}

/// Values of ConnectionFlowControl.
enum FlowControl {
    static let client: Int32 = 1
    static let pause: Int32 = 1
    static let pauseAck: Int32 = 2
    static let resume: Int32 = 3
}
