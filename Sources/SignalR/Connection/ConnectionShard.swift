// SignalBox: the part of a registry that lives on one event loop: its connections, groups, users, and their heartbeat
// SPDX-License-Identifier: Apache-2.0

import Logging
package import NIOCore
import SignalRWire

/// A connection's place in a set.
struct Membership {
    unowned let set: ConnectionSet
    var index: UInt32
    /// Whether the connection was put there for itself, or with all of its user's, or both.
    var isOwn = false
    var isOfUser = false
}

extension Membership {
    fileprivate mutating func mark(_ withUser: Bool) { withUser ? (isOfUser = true) : (isOwn = true) }
}

/// Connections with O(1) insertion and removal, iterated without gaps. A connection knows its own places.
final class ConnectionSet {
    let name: String
    let isGroup: Bool
    private(set) var members: ContiguousArray<Connection> = []
    /// Where each of `members` stands in its shard: with this a delivery finds their lanes without looking at them.
    private(set) var places: ContiguousArray<UInt32> = []
    var pace = DeliveryPace()
    /// What went to all members at once.
    fileprivate(set) var sharedTraffic = SharedTraffic()

    init(_ name: String, isGroup: Bool) {
        self.name = name
        self.isGroup = isGroup
    }

    /// Does nothing for a connection that is no longer in its shard.
    func insert(_ connection: Connection, withUser: Bool = false) {
        guard connection.shardIndex >= 0 else { return }
        if let index = connection.memberships.firstIndex(where: { $0.set === self }) {
            return connection.memberships[index].mark(withUser)
        }
        var membership = Membership(set: self, index: UInt32(members.count))
        membership.mark(withUser)
        connection.memberships.append(membership)
        if connection.state == .open { connection.share(sharedTraffic, connection.format, isSharing: true) }
        members.append(connection)
        places.append(UInt32(connection.shardIndex))
    }

    /// The shard moved a member.
    func move(_ membership: Membership, to place: Int) { places[Int(membership.index)] = UInt32(place) }

    func remove(_ connection: Connection) {
        guard let found = connection.memberships.firstIndex(where: { $0.set === self }) else { return }
        let index = connection.memberships.remove(at: found).index
        if connection.state == .open { connection.share(sharedTraffic, connection.format, isSharing: false) }
        let (last, place) = (members.removeLast(), places.removeLast())
        guard last !== connection else { return }
        members[Int(index)] = last
        places[Int(index)] = place
        guard let moved = last.memberships.firstIndex(where: { $0.set === self }) else { return }
        last.memberships[moved].index = index
    }
}

/// Who gets nothing of a message that goes to many.
package struct Exclusion: Sendable {
    package var connections: Set<ConnectionID>
    package var users: Set<String>

    package static let nobody = Exclusion()

    package init(connections: Set<ConnectionID> = [], users: Set<String> = []) {
        self.connections = connections
        self.users = users
    }

    package var isEmpty: Bool { connections.isEmpty && users.isEmpty }

    package func contains(_ connection: Connection) -> Bool {
        connections.contains(connection.id) || connection.userID.map(users.contains) == true
    }
}

/// One event loop's connections of a registry.
///
/// Safety: every member is used on `eventLoop` only, but for `start`, `stop` and `becameEmpty`, which go there.
package final class ConnectionShard: @unchecked Sendable {
    package let eventLoop: any EventLoop
    let clock = ShardClock()
    private let codecs: [any HubCodec]
    private let logger: Logger
    private var all: ContiguousArray<Connection> = []
    /// One for each of `all`, kept by ``Connection/updateLane()``.
    var lanes: ContiguousArray<Lane> = []
    private var groups: [String: ConnectionSet] = [:]
    private var users: [String: ConnectionSet] = [:]
    private var dirty: ContiguousArray<Connection> = []
    /// Counts the event loop's ticks in which something was delivered.
    private var tickNumber: UInt64 = 1
    private var isTickNumbered = false
    private var pace = DeliveryPace()
    private var ticker: RepeatedTask?
    private var emptyWaiters: [(waiter: CheckedContinuation<Void, Never>, timeout: Scheduled<Void>)] = []
    /// Of all connections, those that ended included.
    package var traffic = Traffic()
    /// What went to all at once.
    private(set) var sharedTraffic = SharedTraffic()
    /// Numbers and keeps messages for clients that resume by a cursor; nil while there are none.
    package var journal: (any DeliveryJournal)?

    init(eventLoop: any EventLoop, codecs: [any HubCodec], logger: Logger) {
        self.eventLoop = eventLoop
        self.codecs = codecs
        self.logger = logger
    }

    func start() {
        eventLoop.execute { [self] in
            ticker = eventLoop.scheduleRepeatedTask(initialDelay: .seconds(1), delay: .seconds(1)) { [weak self] task in
                if let self { self.tick() } else { task.cancel() }
            }
        }
    }

    func stop() {
        eventLoop.execute { [self] in ticker?.cancel() }
    }

    private func tick() {
        clock.tick()
        for connection in all { connection.heartbeat() }
    }

    // MARK: Membership

    func add(_ connection: Connection) {
        connection.shardIndex = all.count
        all.append(connection)
        lanes.append(connection.lane)
    }

    func register(_ connection: Connection) {
        connection.registry.insert(connection)
        if let user = connection.userID { set(user, in: \.users, isGroup: false).insert(connection) }
    }

    func remove(_ connection: Connection) {
        let index = connection.shardIndex
        guard index >= 0 else { return }
        connection.shardIndex = -1
        let (last, lane) = (all.removeLast(), lanes.removeLast())
        if last !== connection {
            all[index] = last
            lanes[index] = lane
            last.shardIndex = index
            for membership in last.memberships { membership.set.move(membership, to: index) }
        }
        for membership in connection.memberships { leave(connection, membership.set) }
        if all.isEmpty { releaseWaiters() }
    }

    /// - Parameter withUser: whether it joins as one of its user's connections, for as long as the user is in the group.
    package func join(_ connection: Connection, group: String, withUser: Bool = false) {
        guard connection.shardIndex >= 0, connection.state != .closed else { return }
        set(group, in: \.groups, isGroup: true).insert(connection, withUser: withUser)
        connection.tell(.group, "Joined", detail: group)
        connection.session?.membershipChanged(of: group, to: true)
    }

    package func leave(_ connection: Connection, group: String) {
        guard let set = groups[group] else { return }
        leave(connection, set)
        connection.tell(.group, "Left", detail: group)
        connection.session?.membershipChanged(of: group, to: false)
    }

    /// Its user is no longer in the group. A connection that was put there for itself stays.
    package func userLeft(_ connection: Connection, group: String) {
        guard let set = groups[group], let index = connection.memberships.firstIndex(where: { $0.set === set }),
            connection.memberships[index].isOfUser
        else { return }
        connection.memberships[index].isOfUser = false
        if !connection.memberships[index].isOwn { leave(connection, group: group) }
    }

    package func leaveAllGroups(_ connection: Connection) {
        for membership in connection.memberships where membership.set.isGroup {
            // The last member's leaving frees the set.
            let group = membership.set.name
            leave(connection, membership.set)
            connection.tell(.group, "Left", detail: group)
            connection.session?.membershipChanged(of: group, to: false)
        }
    }

    private func set(
        _ name: String, in index: ReferenceWritableKeyPath<ConnectionShard, [String: ConnectionSet]>, isGroup: Bool
    ) -> ConnectionSet {
        if let set = self[keyPath: index][name] { return set }
        let set = ConnectionSet(name, isGroup: isGroup)
        self[keyPath: index][name] = set
        return set
    }

    private func leave(_ connection: Connection, _ set: ConnectionSet) {
        set.remove(connection)
        guard set.members.isEmpty else { return }
        if set.isGroup { groups[set.name] = nil } else { users[set.name] = nil }
    }

    // MARK: Delivery

    package func deliver(_ message: Outgoing, to target: HubTarget, except: Exclusion = .nobody) {
        let message = journal?.record(message, to: target, except: except) ?? message
        switch target {
        case .all:
            var delivery = Delivery(message, in: self, except: except, atOnce: pace.isLone(in: currentTick()))
            delivery.deliver(to: all, at: nil)
            delivery.count(in: &sharedTraffic)
            delivery.sendRests(to: all)
        case .groups(let names):
            // A connection in two of the groups gets the message twice, as in the in-memory original.
            for name in names { if let set = groups[name] { deliver(message, to: set, except) } }
        case .users(let ids):
            for id in Set(ids) { if let set = users[id] { deliver(message, to: set, except) } }
        case .connections: break  // found by the directory
        }
    }

    private func deliver(_ message: Outgoing, to set: ConnectionSet, _ except: Exclusion) {
        var delivery = Delivery(message, in: self, except: except, atOnce: set.pace.isLone(in: currentTick()))
        delivery.deliver(to: set.members, at: set.places)
        delivery.count(in: &set.sharedTraffic)
        delivery.sendRests(to: set.members)
    }

    /// The bytes of a message for one format; nil, and a word in the log, when it cannot be written so.
    func encoded(_ message: Outgoing, _ format: Format) -> Batch? {
        if let batch = message.batch(for: format, codecs: codecs) { return batch }
        let codec = codecs[Int(format.codec)]
        if !message.lacks(codec) {
            logger.error(
                "A message cannot be written in this protocol, so its clients do not get it; JSON has no NaN and no infinity",
                metadata: ["signalr.protocol": "\(codec.name)"])
        }
        return nil
    }

    /// The number of this tick.
    private func currentTick() -> UInt64 {
        if !isTickNumbered {
            isTickNumbered = true
            eventLoop.execute { [self] in
                isTickNumbered = false
                tickNumber += 1
            }
        }
        return tickNumber
    }

    /// One flush per tick: whatever else is queued in this tick joins it.
    func needsFlush(_ connection: Connection) {
        dirty.append(connection)
        if dirty.count == 1 { eventLoop.execute { self.flush() } }
    }

    private func flush() {
        let connections = dirty
        dirty = []
        for connection in connections { connection.flush() }
    }

    // MARK: Presence

    package func members(of target: HubTarget) -> [Connection] {
        switch target {
        case .all: all.filter { $0.state == .open }
        case .groups(let names): distinct(names.compactMap { groups[$0] })
        case .users(let ids): distinct(ids.compactMap { users[$0] })
        case .connections: []
        }
    }

    private func distinct(_ sets: [ConnectionSet]) -> [Connection] {
        guard sets.count > 1 else { return sets.first.map { Array($0.members) } ?? [] }
        var seen: Set<ConnectionID> = []
        return sets.flatMap(\.members).filter { seen.insert($0.id).inserted }
    }

    /// Calls `work` for every connection, those included that server code does not find yet.
    package func forEach(_ work: (Connection) -> Void) { for connection in Array(all) { work(connection) } }

    package func count(of target: HubTarget) -> Int {
        if case .all = target { all.count { $0.state == .open } } else { members(of: target).count }
    }

    package func groupCounts() -> [String: Int] { groups.mapValues(\.members.count) }
    package func userCounts() -> [String: Int] { users.mapValues(\.members.count) }
    package var groupCount: Int { groups.count }
    package var userCount: Int { users.count }
    /// Those included that are not open yet.
    package var connectionCount: Int { all.count }

    /// Returns once no connection is left, or at the deadline.
    func becameEmpty(by deadline: NIODeadline) async {
        await withCheckedContinuation { waiter in
            eventLoop.execute { [self] in
                guard !all.isEmpty else { return waiter.resume() }
                let timeout = eventLoop.scheduleTask(deadline: deadline) { self.releaseWaiters() }
                emptyWaiters.append((waiter, timeout))
            }
        }
    }

    func closeAll(_ reason: CloseReason) {
        for connection in Array(all) { connection.close(reason) }
    }

    private func releaseWaiters() {
        for (waiter, timeout) in emptyWaiters {
            timeout.cancel()
            waiter.resume()
        }
        emptyWaiters = []
    }
}
