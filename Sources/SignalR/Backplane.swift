// SignalBox: the seam to other nodes: every send and group change goes through it
// SPDX-License-Identifier: Apache-2.0

package import SignalRWire

/// Carries sends and group changes to wherever the connections are. The hub does not know whether there is one node or many.
package protocol Backplane: Sendable {
    /// What the positions of its messages belong to; nil where messages have none, since there is no other node to compare them with.
    ///
    /// A backplane with a stream hands every message to every node, with an ``Outgoing/position`` that is the same on all of them. Each
    /// node is handed the messages in the order of their positions, by one thread at a time.
    var stream: BackplaneStream? { get }
    /// Hands a message to every node that may have receivers; on each it enters at ``ConnectionRegistry/deliver(_:to:excluding:)``.
    /// Messages of one caller to one target arrive in order.
    /// - Parameters:
    ///   - excluding: connection ids.
    ///   - scope: the call that sends; nil outside of hub methods.
    nonisolated(nonsending) func publish(
        _ message: Outgoing, to target: HubTarget, excluding: [String], in scope: CallScope?) async throws
    /// Returns when the change is effective on the node that has the connection. Does nothing for unknown connections.
    func setMembership(
        of connectionID: String, in group: String, to isMember: Bool, in scope: CallScope?) async throws
    /// Asks a client, on whatever node it is, and waits for its completion.
    func ask(
        _ connectionID: String, _ invocation: HubMessage.Invocation, in scope: CallScope?
    ) async throws -> HubMessage.Completion.Outcome
    /// A client of this node sent a completion. On its event loop.
    func complete(_ completion: HubMessage.Completion, from connection: Connection) -> ClientResults.Match
    /// A client of this node is gone. On its event loop.
    func connectionClosed(_ connection: Connection)
}

extension Backplane {
    package var stream: BackplaneStream? { nil }
}

/// The messages of one hub on all nodes, in one order.
package struct BackplaneStream: Sendable {
    /// Tells streams apart, those of other hubs and those of the past. The same on all nodes.
    package let id: UInt32
    /// The last position that this node was handed when it asked.
    package let position: UInt64

    package init(id: UInt32, position: UInt64) {
        self.id = id
        self.position = position
    }
}

/// One node: everything is a direct call.
package struct MemoryBackplane: Backplane {
    package let registry: ConnectionRegistry
    package let results: ClientResults

    package init(registry: ConnectionRegistry, results: ClientResults) {
        self.registry = registry
        self.results = results
    }

    nonisolated(nonsending) package func publish(
        _ message: Outgoing, to target: HubTarget, excluding: [String], in scope: CallScope?
    ) async throws {
        registry.deliver(message, to: target, excluding: Set(excluding.compactMap { ConnectionID($0) }))
    }

    package func setMembership(
        of connectionID: String, in group: String, to isMember: Bool, in scope: CallScope?
    ) async throws {
        _ = await registry.setMembership(of: connectionID, in: group, to: isMember)
    }

    package func ask(
        _ connectionID: String, _ invocation: HubMessage.Invocation, in scope: CallScope?
    ) async throws -> HubMessage.Completion.Outcome {
        try await results.ask(connectionID, invocation, in: registry)
    }

    package func complete(
        _ completion: HubMessage.Completion, from connection: Connection
    ) -> ClientResults.Match {
        results.complete(completion, from: connection.id)
    }

    package func connectionClosed(_ connection: Connection) { results.connectionClosed(connection.id) }
}
