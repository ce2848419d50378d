// SignalBox: the seam to other nodes: every send and group change goes through it
// SPDX-License-Identifier: Apache-2.0

package import SignalRWire

/// Carries sends and group changes to wherever the connections are. The hub does not know whether there is one node or many.
package protocol Backplane: Sendable {
    /// Hands a message to every node that may have receivers; on each it enters at ``ConnectionRegistry/deliver(_:to:excluding:)``.
    /// Messages of one caller to one target arrive in order.
    nonisolated(nonsending) func publish(
        _ message: Outgoing, to target: HubTarget, excluding: Set<ConnectionID>) async throws
    /// Returns when the change is effective on the node that has the connection. Does nothing for unknown connections.
    func setMembership(of connectionID: String, in group: String, to isMember: Bool) async throws
    /// Asks a client, on whatever node it is, and waits for its completion.
    func ask(_ connectionID: String, _ invocation: HubMessage.Invocation) async throws -> HubMessage.Completion.Outcome
}

/// One node: everything is a direct call.
package struct MemoryBackplane: Backplane {
    let registry: ConnectionRegistry
    let results: ClientResults

    nonisolated(nonsending) package func publish(
        _ message: Outgoing, to target: HubTarget, excluding: Set<ConnectionID>
    ) async throws {
        registry.deliver(message, to: target, excluding: excluding)
    }

    package func setMembership(of connectionID: String, in group: String, to isMember: Bool) async throws {
        _ = await registry.setMembership(of: connectionID, in: group, to: isMember)
    }

    package func ask(
        _ connectionID: String, _ invocation: HubMessage.Invocation
    ) async throws -> HubMessage.Completion.Outcome {
        try await results.ask(connectionID, invocation, in: registry)
    }
}
