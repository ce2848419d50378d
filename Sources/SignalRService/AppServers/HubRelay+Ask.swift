// SignalBox: the service itself asks a client of an app server, for a REST caller
// SPDX-License-Identifier: Apache-2.0

import NIOConcurrencyHelpers
import NIOCore
import SignalR
import SignalRWire

extension HubRelay {
    /// Calls a client that an app server serves. Its answer is a message to that server, which therefore hears of the question first,
    /// as if another server had asked, and sends the answer back (service reference, "Client results").
    /// - Returns: nil when no app server serves the client.
    /// - Throws: ``ClientInvocations/Failure``, `CancellationError`.
    func ask(
        _ id: String, _ invocation: HubMessage.Invocation
    ) async throws -> HubMessage.Completion.Outcome? {
        guard let connection = registry.connection(named: id) else { return nil }
        let call = ServiceMessage.ClientCall(
            invocationID: "\(connection.id)-\(ConnectionID())-1", connectionID: connection.id.description,
            callerServerID: instanceID)
        var invocation = invocation
        invocation.id = call.invocationID
        guard let answer = try await answer(to: call, frames(of: invocation), from: connection) else { return nil }
        return try outcome(in: answer, of: call)
    }

    private func frames(of invocation: HubMessage.Invocation) -> [ServiceMessage.Payload] {
        clients.codecs.compactMap { codec in
            var bytes = ByteBuffer()
            do {
                try codec.write(.invocation(invocation), into: &bytes)
                return ServiceMessage.Payload(codec.name, bytes)
            } catch {
                // A value that this protocol cannot express; a client of it cannot be asked.
                return nil
            }
        }
    }

    private func answer(
        to call: ServiceMessage.ClientCall, _ frames: [ServiceMessage.Payload], from connection: Connection
    ) async throws -> ClientInvocations.Answer? {
        let isCancelled = NIOLockedValueBox(false)
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                connection.onLoop { [self] in
                    guard !isCancelled.withLockedValue({ $0 }) else {
                        return continuation.resume(throwing: CancellationError())
                    }
                    guard let session = connection.session as? RelaySession, let owner = session.owner else {
                        return continuation.resume(returning: nil)
                    }
                    guard frames.contains(where: { $0.protocol == session.protocolName }) else {
                        return continuation.resume(
                            throwing: ClientInvocations.Failure(text: "The client's protocol cannot express the call."))
                    }
                    let caller = ClientInvocations.Caller.service { continuation.resume(with: $0.map { $0 }) }
                    guard session.canBeAsked, invocations.add(call, from: caller) else {
                        return continuation.resume(
                            throwing: ClientInvocations.Failure(text: "The client is asked too much at once."))
                    }
                    owner.send(.clientInvocation(call, frames))
                    session.ask(
                        call.invocationID,
                        Outgoing(.encoded(Dictionary(frames.map { ($0.protocol, $0.bytes) }, uniquingKeysWith: { $1 })))
                    )
                }
            }
        } onCancel: {
            isCancelled.withLockedValue { $0 = true }
            connection.eventLoop.execute { [self] in
                (connection.session as? RelaySession)?.answered(call.invocationID)
                invocations.fail(call.invocationID, "Nobody waits for the answer any more.")
            }
        }
    }

    private func outcome(
        in answer: ClientInvocations.Answer, of call: ServiceMessage.ClientCall
    ) throws -> HubMessage.Completion.Outcome {
        guard let codec = clients.codecs.first(where: { $0.name == answer.protocolName }) else {
            throw ClientInvocations.Failure(text: "The answer's protocol is not known.")
        }
        var bytes = answer.bytes
        guard case .completion(let completion)? = try? codec.read(from: &bytes, maximumSize: nil),
            completion.id == call.invocationID
        else { throw ClientInvocations.Failure(text: "The answer is none.") }
        return completion.outcome
    }
}
