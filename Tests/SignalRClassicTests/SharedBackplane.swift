// SignalBox: several nodes in one process: every message goes to all of them, with one number
// SPDX-License-Identifier: Apache-2.0

import NIOConcurrencyHelpers
import SignalR
import SignalRWire

/// What the backplanes of all nodes talk over, as a broker would be.
final class Broker: Sendable {
    private struct State {
        var position: UInt64 = 0
        var nodes: [SharedBackplane] = []
    }
    private let state = NIOLockedValueBox(State())
    let id = UInt32.random(in: 1...UInt32.max)

    func join(_ registry: ConnectionRegistry, _ results: ClientResults) -> SharedBackplane {
        self.state.withLockedValue { state in
            let node = SharedBackplane(self, MemoryBackplane(registry: registry, results: results))
            state.nodes.append(node)
            return node
        }
    }

    var stream: BackplaneStream {
        BackplaneStream(id: self.id, position: self.state.withLockedValue { $0.position })
    }

    var nodes: [SharedBackplane] { self.state.withLockedValue { $0.nodes } }

    /// Under the lock, so that every node is handed the messages in one order.
    func publish(_ message: Outgoing, to target: HubTarget, excluding: Set<ConnectionID>, from origin: SharedBackplane)
    {
        self.state.withLockedValue { state in
            state.position += 1
            for node in state.nodes {
                let copy = Outgoing(
                    message.content, from: node === origin ? message.call : nil, position: state.position)
                node.local.registry.deliver(copy, to: target, excluding: excluding)
            }
        }
    }
}

/// One node's way to the others.
final class SharedBackplane: Backplane {
    private let broker: Broker
    let local: MemoryBackplane
    var stream: BackplaneStream? { self.broker.stream }

    init(_ broker: Broker, _ local: MemoryBackplane) {
        self.broker = broker
        self.local = local
    }

    func publish(
        _ message: Outgoing, to target: HubTarget, excluding: [String], in scope: CallScope?
    ) async throws {
        let excluded = Set(excluding.compactMap { ConnectionID($0) })
        self.broker.publish(message, to: target, excluding: excluded, from: self)
    }

    func setMembership(
        of connectionID: String, in group: String, to isMember: Bool, in scope: CallScope?
    ) async throws {
        for node in self.broker.nodes {
            try await node.local.setMembership(of: connectionID, in: group, to: isMember, in: scope)
        }
    }

    func ask(
        _ connectionID: String, _ invocation: HubMessage.Invocation, in scope: CallScope?
    ) async throws -> HubMessage.Completion.Outcome {
        try await self.local.ask(connectionID, invocation, in: scope)
    }

    func complete(_ completion: HubMessage.Completion, from connection: Connection) -> ClientResults.Match {
        self.local.complete(completion, from: connection)
    }

    func connectionClosed(_ connection: Connection) { self.local.connectionClosed(connection) }
}
