// SignalBox: app servers that ask clients for results
// SPDX-License-Identifier: Apache-2.0

import NIOCore
import SignalR
import SignalRWire

extension ServerSession {
    /// Passes a question on. Another server that owns the client must see it first, to know the type of the answer
    /// (service reference, "Client results").
    func ask(_ call: ServiceMessage.ClientCall, _ payloads: [ServiceMessage.Payload], _ relay: HubRelay) {
        guard let connection = relay.registry.connection(named: call.connectionID),
            let lane = lane(for: connection.eventLoop)
        else {
            return write(ClientInvocations.failure(of: call, "Connection '\(call.connectionID)' does not exist."))
        }
        let frames = Dictionary(payloads.map { ($0.protocol.lowercased(), $0.bytes) }, uniquingKeysWith: { $1 })
        lane.run {
            guard let session = connection.session as? RelaySession, let owner = session.owner else {
                return lane.send(
                    ClientInvocations.failure(of: call, "Connection '\(call.connectionID)' has no app server."))
            }
            guard frames[session.protocolName] != nil else {
                return lane.send(
                    ClientInvocations.failure(of: call, "The client's protocol is not among the payloads."))
            }
            guard session.canBeAsked, relay.invocations.add(call, from: .server(self)) else {
                return lane.send(ClientInvocations.failure(of: call, "There are too many calls, or this one is known."))
            }
            if owner.session.serverID != self.serverID {
                var question = call
                question.extension = call.extension.handedOn(withProtocol: false)
                owner.send(.clientInvocation(question, payloads))
                lane.send(
                    .serviceMapping(
                        invocationID: call.invocationID, connectionID: call.connectionID, instanceID: relay.instanceID,
                        []))
            }
            session.ask(call.invocationID, Outgoing(.encoded(frames)))
        }
    }

    /// The owner of a client has its answer. Without a payload it was its own question.
    func complete(
        _ call: ServiceMessage.ClientCall, _ protocolName: String, _ payload: ByteBuffer, _ relay: HubRelay
    ) {
        let caller = relay.invocations.take(call.invocationID)
        if let connection = relay.registry.connection(named: call.connectionID) {
            lane(for: connection.eventLoop)?.run {
                (connection.session as? RelaySession)?.answered(call.invocationID)
            }
        }
        switch caller {
        case .server(let caller) where caller !== self && payload.readableBytes > 0:
            var answer = call
            answer.extension = call.extension.handedOn(withProtocol: true)
            caller.send(.clientCompletion(answer, protocol: protocolName, payload))
        case .service(let callback):
            callback(.success(.init(protocolName: protocolName.lowercased(), bytes: payload)))
        case .server, nil: break
        }
    }
}
