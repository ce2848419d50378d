// SignalBox: questions to clients of the service: ours, and those of other servers to our clients
// SPDX-License-Identifier: Apache-2.0

import NIOConcurrencyHelpers
import NIOCore
import SignalR
import SignalRWire
import Synchronization

/// Who waits for which client's answer (service reference, "Client results").
final class ClientQuestions: Sendable {
    typealias Outcome = HubMessage.Completion.Outcome

    private struct Waiting {
        let client: String
        let connection: ServerConnection
        var instance: String?
        let continuation: CheckedContinuation<Outcome, any Error>
    }

    /// A question of another server to a client of this one.
    private struct Routed {
        let call: ServiceMessage.ClientCall
        let deadline: NIODeadline
    }

    private struct State {
        /// Ours, by invocation id.
        var waiting: [String: Waiting] = [:]
        var routed: [String: Routed] = [:]
        var nextSweep = NIODeadline.now()
    }

    /// Of either kind; more are refused, or not remembered.
    private static let maximumCount = 100_000
    /// The service forgets them, too.
    private static let lifetime = TimeAmount.minutes(10)
    private static let sweepInterval = TimeAmount.seconds(30)

    private let state = NIOLockedValueBox(State())
    private let serverName: String
    /// Makes ids differ from those of other servers.
    private let prefix = ConnectionID.guid().description
    private let counter = Atomic<UInt64>(0)

    init(serverName: String) { self.serverName = serverName }

    // MARK: Ours

    /// - Throws: ``HubConnectionError``, ``ServiceLinkError``, `CancellationError`.
    func ask(
        _ client: String, by connection: ServerConnection,
        _ send: @escaping @Sendable (ServiceMessage.ClientCall) async -> Void
    ) async throws -> Outcome {
        let number = counter.wrappingAdd(1, ordering: .relaxed).newValue
        let id = "\(client)-\(prefix)-\(number)"
        let call = ServiceMessage.ClientCall(invocationID: id, connectionID: client, callerServerID: serverName)
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                let waiting = Waiting(client: client, connection: connection, continuation: continuation)
                let isAdded = state.withLockedValue { state in
                    guard state.waiting.count < Self.maximumCount else { return false }
                    state.waiting[id] = waiting
                    return true
                }
                guard isAdded else { return continuation.resume(throwing: ServiceLinkError.tooMany) }
                if Task.isCancelled { return resume(id, .failure(CancellationError())) }
                Task.startingHere { await send(call) }
                // It may have been lost in between, with nobody left to say so.
                connection.onLoop {
                    if connection.phase == .over { self.resume(id, .failure(ServiceLinkError.connectionLost)) }
                }
            }
        } onCancel: {
            resume(id, .failure(CancellationError()))
        }
    }

    private func resume(_ id: String, _ result: Result<Outcome, any Error>) {
        state.withLockedValue { $0.waiting.removeValue(forKey: id) }?.continuation.resume(with: result)
    }

    private func resume(_ text: String, where isLost: (Waiting) -> Bool) {
        let lost = state.withLockedValue { state -> [Waiting] in
            guard !state.waiting.isEmpty else { return [] }
            let lost = state.waiting.filter { isLost($0.value) }
            for id in lost.keys { state.waiting[id] = nil }
            return Array(lost.values)
        }
        for waiting in lost {
            waiting.continuation.resume(throwing: HubConnectionError(code: .disconnected, message: text))
        }
    }

    /// The completion of a client of another server, framed in its protocol.
    func answer(_ id: String, in name: String, _ bytes: ByteBuffer, _ options: HubOptions) {
        guard bytes.readableBytes > 0 else { return }
        var bytes = bytes
        let name = name.lowercased()
        guard let codec = options.codecs.first(where: { $0.name == name }),
            case .completion(let completion)? = try? codec.read(from: &bytes, maximumSize: nil)
        else { return fail(id, "The client's answer cannot be read.") }
        resume(id, .success(completion.outcome))
    }

    /// The service says that there will be no answer.
    func fail(_ id: String, _ text: String) {
        resume(id, .failure(HubConnectionError(code: .disconnected, message: text)))
    }

    /// The service instance that the client is at.
    func map(_ id: String, to instance: String) { state.withLockedValue { $0.waiting[id]?.instance = instance } }

    func instanceLost(_ instance: String) {
        resume("The service instance of the client is gone.") { $0.instance == instance }
    }

    func lost(_ connection: ServerConnection) {
        resume(ServiceLinkError.connectionLost.message) { $0.connection === connection }
    }

    /// One of our clients is gone.
    func lost(_ client: String) { resume("Connection '\(client)' disconnected.") { $0.client == client } }

    // MARK: Answers of our clients

    /// Another server asks a client of this one: its answer will come here, and go back from here.
    func route(_ call: ServiceMessage.ClientCall, from server: ServerConnection) {
        let now = NIODeadline.now()
        state.withLockedValue { state in
            if now >= state.nextSweep {
                state.nextSweep = now + Self.sweepInterval
                state.routed = state.routed.filter { $0.value.deadline > now }
            }
            guard state.routed.count < Self.maximumCount else { return }
            state.routed[call.invocationID] = Routed(call: call, deadline: now + Self.lifetime)
        }
    }

    /// A client of this server answered: us, and the service is told to forget the question; or another server.
    func complete(
        _ completion: HubMessage.Completion, from client: RemoteClient, _ codec: any HubCodec
    ) -> ClientResults.Match {
        let id = completion.id
        var call = ServiceMessage.ClientCall(
            invocationID: id, connectionID: client.connectionName, callerServerID: serverName)
        let (ours, routed) = state.withLockedValue { state -> (Waiting?, Routed?) in
            if let waiting = state.waiting[id], waiting.client == client.connectionName {
                return (state.waiting.removeValue(forKey: id), nil)
            }
            guard let routed = state.routed[id], routed.call.connectionID == client.connectionName else {
                return (nil, nil)
            }
            return (nil, state.routed.removeValue(forKey: id))
        }
        var bytes = ByteBuffer()
        if let ours {
            ours.continuation.resume(returning: completion.outcome)
        } else if let routed {
            call.callerServerID = routed.call.callerServerID
            do {
                try codec.write(.completion(completion), into: &bytes)
            } catch {
                return .unknown
            }
        } else {
            return .unknown
        }
        call.extension = .protocol(codec.name)
        client.server.write(.clientCompletion(call, protocol: codec.name, bytes))
        return .answered
    }
}
