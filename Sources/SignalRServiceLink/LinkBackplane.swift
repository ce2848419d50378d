// SignalBox: every send and group change of a hub, as messages to the service
// SPDX-License-Identifier: Apache-2.0

import Logging
import NIOCore
import SignalR
import SignalRWire
import Synchronization

/// The service knows who is in which group, and delivers; here a message is encoded once for each hub protocol
/// (service reference, "Fan-out, users, groups, acks").
final class LinkBackplane: Backplane {
    let pool = ConnectionPool()
    let questions: ClientQuestions
    private let codecs: [any HubCodec]
    private let logger: Logger
    private let isTracing = Atomic(false)

    init(codecs: [any HubCodec], serverName: String, logger: Logger) {
        self.codecs = codecs
        self.logger = logger
        self.questions = ClientQuestions(serverName: serverName)
    }

    /// Whether messages are to be marked, which the service switches.
    func tracing(_ isOn: Bool) { isTracing.store(isOn, ordering: .relaxed) }

    private var mark: ServiceMessage.Extension {
        isTracing.load(ordering: .relaxed) ? .tracing(.random(in: 1...UInt64.max)) : []
    }

    // MARK: Sends

    nonisolated(nonsending) func publish(
        _ message: Outgoing, to target: HubTarget, excluding: [String], in scope: CallScope?
    ) async throws {
        let way = try pool.way(scope, to: Self.receiver(target))
        let payloads = payloads(of: message)
        guard !payloads.isEmpty else { return }
        let multicast = ServiceMessage.Multicast(
            to: .init(target), payloads, excludedConnections: excluding, extension: mark)
        await way.server.send(.multicast(multicast), behind: way.caller)
    }

    /// What stands for the receivers where the order matters.
    private static func receiver(_ target: HubTarget) -> String {
        switch target {
        case .all: ""
        case .connections(let names), .groups(let names), .users(let names): names.first ?? ""
        }
    }

    /// One for each protocol in which the message can be written.
    private func payloads(of message: Outgoing) -> [ServiceMessage.Payload] {
        codecs.indices.compactMap { index in
            let format = Format(codec: UInt8(index), packaging: .bare)
            guard let batch = message.batch(for: format, codecs: codecs) else {
                logger.error(
                    "A message cannot be written in this protocol, so its clients do not get it; JSON has no NaN and no infinity",
                    metadata: ["signalr.protocol": "\(codecs[index].name)"])
                return nil
            }
            return .init(codecs[index].name, batch.bytes())
        }
    }

    // MARK: Groups

    func setMembership(
        of connectionID: String, in group: String, to isMember: Bool, in scope: CallScope?
    ) async throws {
        let mark = mark
        let way = try pool.way(scope, to: group)
        _ = try await way.server.ask(behind: way.caller) { id in
            .membership(.init(.connection(connectionID), group: group, isJoin: isMember, ackID: id, extension: mark))
        }
    }

    // MARK: Client results

    func ask(
        _ connectionID: String, _ invocation: HubMessage.Invocation, in scope: CallScope?
    ) async throws -> HubMessage.Completion.Outcome {
        let way = try pool.way(scope, to: connectionID)
        return try await questions.ask(connectionID, by: way.server) { [self] call in
            var invocation = invocation
            invocation.id = call.invocationID
            let payloads = payloads(of: Outgoing(.invocation(invocation)))
            await way.server.send(.clientInvocation(call, payloads), behind: way.caller)
        }
    }

    func complete(_ completion: HubMessage.Completion, from connection: Connection) -> ClientResults.Match {
        guard let client = connection.request.origin as? RemoteClient else { return .unknown }
        return questions.complete(completion, from: client, codecs[Int(connection.format.codec)])
    }

    func connectionClosed(_ connection: Connection) { questions.lost(connection.name) }
}

extension ServiceMessage.Multicast.Target {
    fileprivate init(_ target: HubTarget) {
        switch target {
        case .all: self = .all
        // Also for a single client of this server: the service holds it behind the handshake response.
        case .connections(let ids): self = .connections(ids)
        case .groups(let names): self = names.count == 1 ? .group(names[0]) : .groups(names)
        case .users(let ids): self = ids.count == 1 ? .user(ids[0]) : .users(ids)
        }
    }
}
