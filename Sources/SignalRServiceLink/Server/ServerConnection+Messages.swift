// SignalBox: what the service tells an app server
// SPDX-License-Identifier: Apache-2.0

import Logging
import NIOCore
import SignalR
import SignalRWire

extension ServerConnection {
    /// One message of a running connection.
    func receive(_ message: ServiceMessage) {
        switch message {
        case .ping(let pairs): receive(pairs)
        case .openConnection(let introduction): open(introduction)
        case .connectionData(let id, let bytes, _): clients[id]?.receive(bytes)
        case .closeConnection(let id, let error, let headers, _):
            let isMoving = headers.contains { $0.name.lowercased() == ServiceHeader.migrateTo }
            clients[id]?.closedByService(error, isMoving: isMoving)
        case .connectionReconnect(let id, _): clients[id]?.reconnected()
        case .flowControl(let id, kind: FlowControl.client, let operation, _): clients[id]?.flow(operation)
        case .ack(let id, let status, let text, let payload, _): acknowledge(id, Self.answer(status, text, payload))
        case .clientInvocation(let call, _): link.questions.route(call, from: self)
        case .clientCompletion(let call, let name, let bytes):
            link.questions.answer(call.invocationID, in: name, bytes, link.hub.options)
        case .errorCompletion(let call, let error):
            link.questions.fail(call.invocationID, error ?? "The client's answer failed.")
        case .serviceMapping(let invocationID, _, let instance, _): link.questions.map(invocationID, to: instance)
        case .serviceError(let error): log("The service reports an error", level: .error, detail: error)
        case .serviceEvent(let event):
            log("The service reports an event", level: .info, detail: "\(event.kind) \(event.message ?? "")")
        default: log("A message of the service was ignored", level: .debug)
        }
    }

    /// 1 is Ok, 2 NotFound; the rest are failures (service reference, "Notes per message").
    private static func answer(_ status: Int32, _ text: String?, _ payload: ByteBuffer?) -> Result<Answer, any Error> {
        switch status {
        case 1, 2: .success(Answer(isOK: status == 1, payload: payload))
        default: .failure(ServiceLinkError.status(status, text))
        }
    }

    // MARK: Pings

    /// Service reference, "Ping payloads".
    private func receive(_ pairs: [String]) {
        for index in stride(from: 0, to: pairs.count - 1, by: 2) {
            switch (pairs[index], pairs[index + 1]) {
            case ("shutdown", "finack"): finishAcknowledged()
            case ("target", let target): link.connect(to: target)
            case ("echo", let text): write(.ping(["echo", text]))
            case ("offline", let instance): link.instanceLost(instance)
            case ("d-m", let flag): link.backplane.tracing(flag == "1")
            default: break
            }
        }
    }

    // MARK: Clients

    private func open(_ introduction: ServiceMessage.OpenConnection) {
        guard clients[introduction.id] == nil else {
            return log("The service introduced a client twice", level: .warning, detail: introduction.id)
        }
        guard link.admitClient() else {
            let refusal = "The app server has as many clients as it may have."
            return write(.closeConnection(id: introduction.id, error: refusal, headers: [], []))
        }
        let client = RemoteClient(introduction, server: self)
        clients[introduction.id] = client
        client.begin(introduction)
    }

    /// The service instance that these clients are at is gone, and they with it.
    func instanceLost(_ instance: String) {
        for client in Array(clients.values) where client.instance == instance { client.serviceLost("offline") }
    }
}

/// Values of ConnectionFlowControl.
enum FlowControl {
    static let client: Int32 = 1
    static let pause: Int32 = 1
    static let pauseAck: Int32 = 2
    static let resume: Int32 = 3
    static let offline: Int32 = 4
}

/// Headers that only a service may set, in lower case.
enum ServiceHeader {
    static let instanceID = "asrs-instance-id"
    static let migrateFrom = "asrs-migrate-from"
    static let migrateTo = "asrs-migrate-to"
}
