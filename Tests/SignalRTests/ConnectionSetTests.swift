// SignalBox: sets of connections with constant-time removal, against a plain model
// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import Logging
import NIOCore
import NIOEmbedded
import Testing

@testable import SignalR

@Suite struct ConnectionSetTests {
    /// A linear congruential generator, so that a failure can be repeated.
    private struct Dice: RandomNumberGenerator {
        var state: UInt64
        mutating func next() -> UInt64 {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return state >> 16 | state << 48
        }
    }

    @Test(arguments: [1, 2, 3] as [UInt64])
    func `Sets stay what they should be under random joins and leaves`(seed: UInt64) {
        var dice = Dice(state: seed)
        let loop = EmbeddedEventLoop()
        let registry = ConnectionRegistry(group: loop, codecs: [], logger: Logger(label: "test"))
        let shard = registry.shard(of: loop)
        let connections = (0..<40).map { _ in Connection.forTests(registry, on: loop) }
        for connection in connections { shard.add(connection) }
        let sets = (0..<6).map { ConnectionSet("\($0)", isGroup: true) }
        var model = sets.map { _ in Set<ConnectionID>() }
        for _ in 0..<5000 {
            let index = Int.random(in: 0..<6, using: &dice)
            let connection = connections[Int.random(in: 0..<40, using: &dice)]
            if Int.random(in: 0..<20, using: &dice) == 0 {
                // Leaves for good, and another one comes, in effect.
                shard.remove(connection)
                for other in model.indices { model[other].remove(connection.id) }
                shard.add(connection)
            } else if Bool.random(using: &dice) {
                sets[index].insert(connection)
                model[index].insert(connection.id)
            } else {
                sets[index].remove(connection)
                model[index].remove(connection.id)
            }
            #expect(sets[index].members.count == model[index].count)
        }
        for (set, expected) in zip(sets, model) { #expect(Set(set.members.map(\.id)) == expected) }
        for connection in connections {
            // Every place that a connection remembers is its own.
            for membership in connection.memberships {
                #expect(membership.set.members[Int(membership.index)] === connection)
                #expect(Int(membership.set.places[Int(membership.index)]) == connection.shardIndex)
            }
        }
        for connection in connections { shard.remove(connection) }
        #expect(sets.allSatisfy { $0.members.isEmpty && $0.places.isEmpty })
    }

    @Test(arguments: [false, true])
    func `Who joined for itself stays when its user leaves`(isOwnFirst: Bool) {
        let loop = EmbeddedEventLoop()
        let registry = ConnectionRegistry(group: loop, codecs: [], logger: Logger(label: "test"))
        let shard = registry.shard(of: loop)
        let (with, own, both) = (0..<3).map { _ in Connection.forTests(registry, on: loop) }.triple
        for connection in [with, own, both] { shard.add(connection) }
        shard.join(with, group: "g", withUser: true)
        shard.join(own, group: "g")
        shard.join(both, group: "g", withUser: !isOwnFirst)
        shard.join(both, group: "g", withUser: isOwnFirst)
        #expect(shard.count(of: .groups(["g"])) == 3)
        for connection in [with, own, both] { shard.userLeft(connection, group: "g") }
        #expect(Set(shard.members(of: .groups(["g"])).map(\.id)) == [own.id, both.id])
        // Only the first time, and nowhere else.
        for connection in [with, own, both] { shard.userLeft(connection, group: "g") }
        shard.userLeft(own, group: "other")
        #expect(shard.count(of: .groups(["g"])) == 2)
        shard.leave(both, group: "g")
        #expect(shard.count(of: .groups(["g"])) == 1)
    }
}

extension Connection {
    static func forTests(_ registry: ConnectionRegistry, on loop: any EventLoop, user: String? = nil) -> Connection {
        Connection(
            id: ConnectionID(), registry: registry, eventLoop: loop, limits: ConnectionLimits(HubOptions()), user: nil,
            userID: user, request: RequestFeatures(HubRequest(method: .get, path: "/")))
    }
}

extension [Connection] {
    fileprivate var triple: (Connection, Connection, Connection) { (self[0], self[1], self[2]) }
}
