// SignalBox: who is here: connections, groups and users of one hub, and delivery to any of them
// SPDX-License-Identifier: Apache-2.0

package import Logging
import NIOConcurrencyHelpers
package import NIOCore
package import SignalRWire

/// Who receives a message.
public enum HubTarget: Sendable, Hashable {
    case all
    case connections([String])
    case groups([String])
    case users([String])
}

/// The connections of one hub, with the indexes by group and user (SignalR's "lifetime manager").
///
/// There is one ``ConnectionShard`` per event loop, touched only there; a delivery makes one hop per event loop and takes no lock per
/// receiver. The only shared state is the directory from connection ids to connections, behind one short lock per stripe.
package final class ConnectionRegistry: Sendable {
    package let codecs: [any HubCodec]
    package let logger: Logger
    /// Who wants to know what happens here; nil for nobody.
    package let observer: (any ConnectionObserver)?
    /// nil for connections that are counted elsewhere.
    private let metrics: ConnectionMetrics?
    /// One per event loop; one is added when a connection turns up on a loop outside of the group.
    private let allShards: NIOLockedValueBox<[ConnectionShard]>
    private let directory: [NIOLockedValueBox<[ConnectionID: Connection]>]

    package init(
        group: any EventLoopGroup, codecs: [any HubCodec], logger: Logger, isCounted: Bool = true,
        observer: (any ConnectionObserver)? = nil
    ) {
        self.observer = observer
        self.codecs = codecs
        self.logger = logger
        self.metrics = isCounted ? ConnectionMetrics() : nil
        let shards = group.makeIterator().map { ConnectionShard(eventLoop: $0, codecs: codecs, logger: logger) }
        self.allShards = NIOLockedValueBox(shards)
        self.directory = (0..<16).map { _ in NIOLockedValueBox([:]) }
        for shard in shards { shard.start() }
    }

    package var shards: [ConnectionShard] { allShards.withLockedValue { $0 } }

    package func shard(of eventLoop: any EventLoop) -> ConnectionShard {
        allShards.withLockedValue { shards in
            if let shard = shards.first(where: { $0.eventLoop === eventLoop }) { return shard }
            let shard = ConnectionShard(eventLoop: eventLoop, codecs: codecs, logger: logger)
            shard.start()
            shards.append(shard)
            return shard
        }
    }

    /// An event loop that the registry knows, for connections that have no socket of their own.
    package func anyEventLoop(for id: ConnectionID) -> any EventLoop {
        let shards = shards
        return shards[Int(UInt(bitPattern: id.hashValue) % UInt(shards.count))].eventLoop
    }

    // MARK: Directory

    private func stripe(_ id: ConnectionID) -> NIOLockedValueBox<[ConnectionID: Connection]> {
        directory[Int(UInt(bitPattern: id.hashValue) % UInt(directory.count))]
    }

    package func connection(_ id: ConnectionID) -> Connection? { stripe(id).withLockedValue { $0[id] } }

    package func connection(named id: String) -> Connection? { connection(ConnectionID(named: id)) }

    /// Before the session starts, so that server code can reach the connection from `onConnected` on.
    func insert(_ connection: Connection) { stripe(connection.id).withLockedValue { $0[connection.id] = connection } }

    func transportStarted(_ kind: TransportKind, of connection: Connection) {
        metrics?.started(kind)
        observer?.opened(connection)
    }

    func connectionEnded(_ connection: Connection, _ reason: CloseReason) {
        stripe(connection.id).withLockedValue { _ = $0.removeValue(forKey: connection.id) }
        metrics?.ended(connection, reason)
        observer?.ended(connection, reason)
        logger.debug(
            "Connection closed",
            metadata: [
                "signalr.connection.id": "\(connection.name)", "signalr.close.reason": "\(reason)",
            ])
    }

    // MARK: Delivery

    /// Queues `message` for every receiver of `target` on this node; returns when it is on its way to the event loops.
    package func deliver(_ message: Outgoing, to target: HubTarget, excluding: Set<ConnectionID> = []) {
        if let observer, observer.followsMessages { observer.sent(message, to: target, in: self) }
        if case .connections(let ids) = target {
            for id in ids.count == 1 ? ids : Array(Set(ids)) {
                guard let connection = connection(named: id) else {
                    if message.position != nil { keep(message, forAbsent: id) }
                    continue
                }
                guard !excluding.contains(connection.id) else { continue }
                inOrder(message, on: connection.eventLoop) { connection.send(message) }
            }
            return
        }
        let except = Exclusion(connections: excluding)
        for shard in shards {
            inOrder(message, on: shard.eventLoop) { shard.deliver(message, to: target, except: except) }
        }
    }

    /// At once when already there; but messages with a position must not overtake each other.
    private func inOrder(_ message: Outgoing, on eventLoop: any EventLoop, _ work: @escaping @Sendable () -> Void) {
        eventLoop.inEventLoop && message.position == nil ? work() : eventLoop.execute(work)
    }

    /// For a client of another node that may come back on this one.
    private func keep(_ message: Outgoing, forAbsent id: String) {
        for shard in shards {
            shard.eventLoop.execute { _ = shard.journal?.record(message, to: .connections([id]), except: .nobody) }
        }
    }

    // MARK: Groups

    /// Returns false when no such connection is here.
    package func setMembership(of id: String, in group: String, to isMember: Bool) async -> Bool {
        guard let connection = connection(named: id) else { return false }
        await connection.run {
            isMember
                ? connection.shard.join(connection, group: group) : connection.shard.leave(connection, group: group)
        }
        return true
    }

    package func leaveAllGroups(_ id: String) async -> Bool {
        guard let connection = connection(named: id) else { return false }
        await connection.run { connection.shard.leaveAllGroups(connection) }
        return true
    }

    // MARK: Presence

    /// Collects one value per shard.
    package func collect<T: Sendable>(_ read: @escaping @Sendable (ConnectionShard) -> T) async -> [T] {
        var values: [T] = []
        for shard in shards {
            if let value = try? await shard.eventLoop.submit({ read(shard) }).get() { values.append(value) }
        }
        return values
    }

    /// The open connections of `target`, in no order.
    package func connections(in target: HubTarget) async -> [Connection] {
        if case .connections(let ids) = target { return Set(ids).compactMap { connection(named: $0) } }
        return await collect { $0.members(of: target) }.flatMap { $0 }
    }

    /// How many connections `target` has.
    package func count(of target: HubTarget) async -> Int {
        if case .connections(let ids) = target { return Set(ids).count { connection(named: $0) != nil } }
        return await collect { $0.count(of: target) }.reduce(0, +)
    }

    /// Ends every connection of `target` and returns how many.
    @discardableResult
    package func close(_ target: HubTarget, excluding: Set<ConnectionID> = [], reason: CloseReason) async -> Int {
        let connections = await connections(in: target).filter { !excluding.contains($0.id) }
        for connection in connections { connection.onLoop { connection.close(reason) } }
        return connections.count
    }

    /// Ends all connections with ``CloseReason/shutdown`` and waits until the application is done with them, at most `timeout`.
    /// - Returns: how many were left when the time was over.
    package func drain(timeout: Duration) async -> Int {
        for shard in shards { shard.eventLoop.execute { shard.closeAll(.shutdown) } }
        return await waitUntilEmpty(timeout: timeout)
    }

    /// Waits until no connection is left, at most `timeout`.
    /// - Returns: how many were left when the time was over.
    package func waitUntilEmpty(timeout: Duration) async -> Int {
        let deadline = NIODeadline.now() + TimeAmount(timeout)
        for shard in shards { await shard.becameEmpty(by: deadline) }
        return await collect { $0.connectionCount }.reduce(0, +)
    }

    /// Stops the timers; connections must be closed before.
    package func stop() { for shard in shards { shard.stop() } }
}

extension Connection {
    /// Runs `work` on the event loop and waits for it.
    package func run(_ work: @escaping @Sendable () -> Void) async {
        if eventLoop.inEventLoop { return work() }
        await withCheckedContinuation { done in
            eventLoop.execute {
                work()
                done.resume()
            }
        }
    }
}
