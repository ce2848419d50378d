// SignalBox: group changes and questions of app servers, answered once they hold for the whole hub
// SPDX-License-Identifier: Apache-2.0

import NIOConcurrencyHelpers
import NIOCore
import SignalR
import SignalRClassic
import SignalRWire

/// The status of an Ack (service reference, "Notes per message").
enum AckStatus: Int32, Sendable {
    case ok = 1
    case notFound = 2
    case failed = 4
}

extension ServerLane {
    /// On the lane's event loop; behind what the lane did before.
    func acknowledge(_ id: Int32, _ status: AckStatus) { send(.ack(id: id, status: status.rawValue)) }
}

extension Connection {
    /// On the event loop.
    fileprivate func change(_ membership: ServiceMessage.Membership) {
        switch (membership.group, membership.isJoin) {
        case (let group?, true): shard.join(self, group: group)
        case (let group?, false): shard.leave(self, group: group)
        case (nil, _): shard.leaveAllGroups(self)
        }
    }
}

extension ServiceMessage {
    static func ack(id: Int32, status: Int32) -> ServiceMessage {
        .ack(id: id, status: status, message: "", payload: nil, [])
    }
}

extension ServerSession {
    func acknowledge(_ id: Int32?, _ status: AckStatus) {
        if let id { write(.ack(id: id, status: status.rawValue)) }
    }

    // MARK: Groups

    func receive(_ membership: ServiceMessage.Membership, _ relay: HubRelay) {
        switch membership.member {
        case .connection(let id): changeConnection(id, membership, relay)
        case .user(let id): changeUser(id, membership, relay)
        }
    }

    private func changeConnection(_ id: String, _ membership: ServiceMessage.Membership, _ relay: HubRelay) {
        guard let connection = relay.registry.connection(named: id), let lane = lane(for: connection.eventLoop) else {
            return acknowledge(membership.ackID, .notFound)
        }
        let isClassic = generation == .classic
        lane.run {
            // ASP.NET app servers may send to a group by any hub of their application.
            if isClassic {
                for place in connection.classicPlaces { place.change(membership) }
            } else {
                connection.change(membership)
            }
            if let ackID = membership.ackID { lane.acknowledge(ackID, .ok) }
        }
    }

    /// A user's membership is for its connections of now and of later (service reference, "Fan-out, users, groups").
    private func changeUser(_ user: String, _ membership: ServiceMessage.Membership, _ relay: HubRelay) {
        let groups: [String]
        // A time of 0 is for those only who are here now.
        let lifetime = membership.extension.lifetime
        if membership.isJoin {
            guard let group = membership.group else { return }
            if lifetime != 0 {
                let seconds = lifetime.map { Double(max(0, $0)) }
                guard relay.userGroups.add(user, to: group, lifetime: seconds) else {
                    return acknowledge(membership.ackID, .failed)
                }
            }
            groups = [group]
        } else {
            groups = membership.group.map { [$0] } ?? relay.userGroups.groups(of: user)
            relay.userGroups.remove(user, from: membership.group)
        }
        let isJoin = membership.isJoin
        count(relay, then: { _ in .ok }, membership.ackID) { shard in
            for connection in shard.members(of: .users([user])) {
                for group in groups {
                    isJoin
                        ? shard.join(connection, group: group, withUser: lifetime != 0)
                        : shard.leave(connection, group: group)
                }
            }
            return 0
        }
    }

    // MARK: Questions

    func receive(_ check: ServiceMessage.Check, _ relay: HubRelay) {
        switch check.subject {
        case .connection(let id):
            acknowledge(check.ackID, relay.registry.connection(named: id) == nil ? .notFound : .ok)
        case .userInGroup(let user, let group):
            acknowledge(check.ackID, relay.userGroups.groups(of: user).contains(group) ? .ok : .notFound)
        case .group(let name):
            // A user counts, whether it is here or not.
            if relay.userGroups.hasMembers(name) { return acknowledge(check.ackID, .ok) }
            exists(.groups([name]), check.ackID, relay)
        case .user(let id): exists(.users([id]), check.ackID, relay)
        }
    }

    private func exists(_ target: HubTarget, _ ackID: Int32, _ relay: HubRelay) {
        count(relay, then: { $0 > 0 ? .ok : .notFound }, ackID) { $0.count(of: target) }
    }

    /// Runs `work` on every event loop and answers with what their sum means, from the last one.
    func count(
        _ relay: HubRelay, then status: @escaping @Sendable (Int) -> AckStatus, _ ackID: Int32?,
        _ work: @escaping @Sendable (ConnectionShard) -> Int
    ) {
        let tally = Tally<Int>(relay.registry.shards.count, 0)
        onEveryLoop(relay) { shard, lane in
            let number = work(shard)
            guard let sum = tally.report({ $0 += number }), let ackID else { return }
            lane.acknowledge(ackID, status(sum))
        }
    }

    // MARK: Members

    /// A page of a group's connections in the order of their ids; the token is the last id of the page before.
    func receive(_ query: ServiceMessage.GroupMemberQuery, _ relay: HubRelay) {
        let size = Int(min(max(query.maximum ?? GroupPage.largest, 1), GroupPage.largest))
        let after = query.continuationToken ?? ""
        let tally = Tally<[GroupPage.Member]>(relay.registry.shards.count, [])
        onEveryLoop(relay) { shard, lane in
            let members = shard.members(of: .groups([query.group])).lazy
                .map { GroupPage.Member(id: $0.id.description, user: $0.userID) }
                .filter { $0.id > after }
            // One more than a page tells whether another one follows.
            let page = members.sorted { $0.id < $1.id }.prefix(size + 1)
            guard let all = tally.report({ $0 += page }) else { return }
            let answer = GroupPage(all.sorted { $0.id < $1.id }, size: size)
            let isKnown = !all.isEmpty || !after.isEmpty
            lane.send(
                .ack(
                    id: query.ackID, status: (isKnown ? AckStatus.ok : .notFound).rawValue, message: "",
                    payload: answer.bytes, []))
        }
    }
}

/// Some of a group's connections, as the payload of an Ack.
struct GroupPage {
    struct Member: Sendable {
        let id: String
        let user: String?
    }

    static let largest: Int32 = 200

    let bytes: ByteBuffer

    /// - Parameter members: those of the page, and one more if another page follows.
    init(_ members: [Member], size: Int) {
        let page = members.prefix(size)
        let token: HubValue = members.count > size ? page.last.map { .string($0.id) } ?? .null : .null
        let list = page.map { HubValue.array([.string($0.id), $0.user.map { .string($0) } ?? .null]) }
        var bytes = ByteBuffer()
        do {
            try MessagePack.write(.array([.array(Array(list)), token]), into: &bytes)
        } catch {
            bytes.clear()
        }
        self.bytes = bytes
    }
}

/// Collects one report from each of several event loops.
final class Tally<Total: Sendable>: Sendable {
    private let state: NIOLockedValueBox<(left: Int, total: Total)>

    init(_ count: Int, _ total: Total) { self.state = NIOLockedValueBox((count, total)) }

    /// - Returns: the total, to the last one.
    func report(_ change: (inout Total) -> Void) -> Total? {
        state.withLockedValue { state in
            change(&state.total)
            state.left -= 1
            return state.left == 0 ? state.total : nil
        }
    }
}
