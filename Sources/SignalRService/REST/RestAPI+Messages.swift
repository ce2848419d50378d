// SignalBox: REST operations that send to clients, ask them, or end them
// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import NIOCore
import SignalR
import SignalRWire

extension RestAPI {
    // MARK: Send

    func send(to target: HubTarget, of name: HubName, _ call: Call) async throws(RestError) -> HubResponse {
        let message = try RestMessage.read(try await body(call), type: call.request.headers[.contentType])
        try await publish(message, to: target, of: name, excluding: excluded(call))
        return HubResponse(.accepted)
    }

    /// An item of a stream that the client reads; with `completed=true` its last.
    func sendItem(
        to id: String, _ stream: String, of name: HubName, _ call: Call
    ) async throws(RestError) -> HubResponse {
        let isLast: Bool
        switch call.query("completed")?.lowercased() {
        case nil, "false": isLast = false
        case "true": isLast = true
        default: throw .invalid("'completed' must be true or false.")
        }
        let item = try RestMessage.readItem(
            try await body(call), of: stream, type: call.request.headers[.contentType])
        try await publish(item, to: .connections([id]), of: name)
        if isLast { try await end(stream, of: id, .void, name) }
        return HubResponse(.accepted)
    }

    /// Ends a stream: in order, or with the error that the documents call `reason` and the SDK `error`.
    func complete(
        _ stream: String, of id: String, of name: HubName, _ call: Call
    ) async throws(RestError) -> HubResponse {
        let reason = call.query("reason") ?? call.query("error")
        try await end(stream, of: id, reason.map { .failure($0) } ?? .void, name)
        return HubResponse(.accepted)
    }

    private func end(
        _ stream: String, of id: String, _ outcome: HubMessage.Completion.Outcome, _ name: HubName
    ) async throws(RestError) {
        try await publish(
            Outgoing(.completion(.init(id: stream, outcome: outcome))), to: .connections([id]), of: name)
    }

    private func publish(
        _ message: Outgoing, to target: HubTarget, of name: HubName, excluding: Set<ConnectionID> = []
    ) async throws(RestError) {
        // A hub that nobody used has nobody to send to.
        guard let hub = service.existingHub(name) else { return }
        do {
            try await hub.server.backplane.publish(
                message, to: target, excluding: excluding.map(\.description), in: nil)
        } catch {
            throw .tooMany("The message could not be handed on.")
        }
    }

    // MARK: Ask

    /// Calls a client and answers with its result (service reference, "Later versions").
    func invoke(_ id: String, of name: HubName, _ call: Call) async throws(RestError) -> HubResponse {
        let invocation = try RestMessage.readCall(try await body(call), type: call.request.headers[.contentType])
        guard let hub = service.existingHub(name), hub.registry.connection(named: id) != nil else {
            throw .noConnection
        }
        let outcome: HubMessage.Completion.Outcome
        do {
            outcome = try await withDeadline(service.options.clientResultTimeout) { try await hub.ask(id, invocation) }
        } catch is DeadlineExceeded {
            throw .clientTimeout
        } catch let failure as ClientInvocations.Failure where !failure.isLoss {
            throw .clientFailed(failure.text)
        } catch {
            // It was there, and is not any more.
            throw .noConnection
        }
        switch outcome {
        case .failure(let text): throw .clientFailed(text)
        case .void: return try result(.value(.null))
        case .result(let payload): return try result(payload)
        }
    }

    private func result(_ payload: HubPayload) throws(RestError) -> HubResponse {
        var text = ByteBuffer(string: #"{"result":"#)
        switch payload {
        case .json(let json): text.writeImmutableBuffer(json)
        case .value, .messagePack:
            do {
                try JSON.write(try payload.value(), into: &text)
            } catch {
                throw .clientFailed("The client's result cannot be written as JSON.")
            }
        }
        text.writeStaticString(#","protocol":"json"}"#)
        return .json(.ok, text)
    }

    // MARK: Execute

    /// Commands for every connection that the filter picks; each connection gets all of them in order, with nothing in between.
    func execute(on name: HubName, _ call: Call) async throws(RestError) -> HubResponse {
        let filter = try call.query("filter").map { text throws(RestError) in try RestFilter(text) } ?? .always
        let commands = try RestCommand.read(try await body(call))
        await service.existingHub(name)?.registry.forEach { connection in
            filter == .always || filter.matches(.init(connection))
        } _: { connection in
            for command in commands { command.run(on: connection) }
        }
        return HubResponse(.accepted)
    }

    // MARK: Close

    func close(_ target: HubTarget, of name: HubName, _ call: Call) async -> HubResponse {
        await end(target, of: name, call)
        return HubResponse(.noContent)
    }

    func closeConnection(_ id: String, of name: HubName, _ call: Call) async -> HubResponse {
        await end(.connections([id]), of: name, call)
        return HubResponse(call.isDated ? .ok : .accepted)
    }

    private func end(_ target: HubTarget, of name: HubName, _ call: Call) async {
        await service.existingHub(name)?.registry.close(
            target, excluding: excluded(call), reason: .kicked(call.query("reason"), allowReconnect: true))
    }
}
