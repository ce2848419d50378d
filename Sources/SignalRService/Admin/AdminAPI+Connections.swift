// SignalBox: admin: connections, one with all that is known of it, and ending them
// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import NIOCore
import SignalR
import SignalRWire

extension AdminAPI {
    func connections(_ question: Question) async throws(AdminError) -> HubValue {
        let last = try Question.id(question.after, "after")
        let (user, group, id) = (question.user, question.group, question.connection)
        let found = await observation.connections(
            try hubs(named: question.hub), after: last, limit: question.limit + 1
        ) { connection in
            (user.map { connection.userID == $0 } ?? true) && (id.map { connection.id == $0 } ?? true)
                && (group.map(connection.groupNames.contains) ?? true)
        }
        let page = found.prefix(question.limit)
        let after = page.count < found.count ? page.last?.id.description : nil
        return .members(["connections": .array(page.map { .members($0.json) }), "after": .text(after)])
    }

    /// A live connection, or one that ended lately.
    func connection(_ text: String) async throws(AdminError) -> HubValue {
        guard let id = try Question.id(text, "id") else { throw .unknownPath }
        if let (hub, connection) = live(id) {
            guard
                let facts = try? await connection.eventLoop.submit({ ConnectionFacts(connection, hub: hub.name) }).get()
            else { throw .missing("The service ends.") }
            return details(facts, ended: nil)
        }
        guard let ended = observation.journal.ended(id) else {
            throw .missing("There is no such connection, and none that ended lately.")
        }
        return details(ended.facts, ended: ended)
    }

    private func live(_ id: ConnectionID) -> (ObservedHub, Connection)? {
        for hub in allHubs { if let connection = hub.registry.connection(id) { return (hub, connection) } }
        return nil
    }

    private func details(_ facts: ConnectionFacts, ended: EndedConnection?) -> HubValue {
        let timeline = observation.journal.timeline(of: facts.id)
        var members = facts.json.filter { $0.0 != "groups" }
        members.append(("groups", .array(facts.groups.sorted().map { .string($0) })))
        members.append(("timeline", .array(timeline.map(\.entry))))
        members.append(("transportChoice", TransportChoice(facts, timeline, observation.journal).json))
        if let ended {
            members.append(("closedAt", .time(ended.closedAt)))
            members.append(
                (
                    "closeReason",
                    .members([
                        "reason": .string(ended.reason.name), "detail": .text(ended.reason.detail),
                        "meaning": .text(CloseReason.meanings[ended.reason.name]),
                    ])
                ))
        }
        return .members(members)
    }

    // MARK: Ending

    func disconnect(_ body: HubValue) async throws(AdminError) -> HubValue {
        let reason = CloseReason.kicked(
            body["reason"]?.text, allowReconnect: try Self.flag("allowReconnect", in: body) ?? false)
        let (target, hubs) = try receivers(of: body)
        var count = 0
        for hub in hubs { count += await hub.registry.close(target, reason: reason) }
        return .members(["disconnected": .count(count)])
    }

    private func receivers(of body: HubValue) throws(AdminError) -> (HubTarget, [ObservedHub]) {
        let given = ["connectionId", "user", "group"].filter { body[$0] != nil && body[$0] != .null }
        guard given.count == 1, let kind = given.first, let name = body[kind]?.text else {
            throw .invalid("Give exactly one of 'connectionId', 'user' and 'group', as text.")
        }
        if kind == "connectionId" {
            guard let id = try Question.id(name, kind), let (hub, _) = live(id) else {
                throw .missing("There is no such connection.")
            }
            return (.connections([name]), [hub])
        }
        guard let hub = body["hub"]?.text else { throw .invalid("'\(kind)' needs 'hub'.") }
        return (kind == "user" ? .users([name]) : .groups([name]), try hubs(named: hub))
    }

    static func flag(_ name: String, in body: HubValue) throws(AdminError) -> Bool? {
        switch body[name] {
        case nil, .null: return nil
        case .bool(let flag): return flag
        default: throw .invalid("'\(name)' must be true or false.")
        }
    }

    // MARK: Sending

    /// The try-it console.
    func send(_ body: HubValue) async throws(AdminError) -> HubValue {
        guard let name = body["hub"]?.text else { throw .invalid("'hub' is missing.") }
        guard let method = body["method"]?.text else { throw .invalid("'method' is missing.") }
        let arguments: [HubValue]
        switch body["arguments"] {
        case nil, .null: arguments = []
        case .array(let values): arguments = values
        default: throw .invalid("'arguments' must be an array.")
        }
        let target = try target(of: body)
        let message = Outgoing(
            .invocation(.init(id: nil, target: method, arguments: .payloads(arguments.map { .value($0) }))))
        for hub in try hubs(named: name) {
            do {
                try await hub.server.backplane.publish(message, to: target, excluding: [], in: nil)
            } catch {
                throw AdminError(status: .serviceUnavailable, text: "The message could not be handed on.")
            }
        }
        return .map([])
    }

    /// What lets a client of the console in for ten minutes.
    func token(_ body: HubValue) throws(AdminError) -> HubValue {
        guard let name = body["hub"]?.text.flatMap({ HubName(effective: $0) }) else {
            throw .invalid("'hub' is missing, or no name of a hub.")
        }
        guard let endpoint = endpoint() else { throw .missing("The service does not listen yet.") }
        let token = service.options.keys.clientToken(
            hub: name.description, user: body["user"]?.text, roles: [], claims: [], endpoint: endpoint,
            lifetime: .seconds(600))
        return .members([
            "url": .string("\(endpoint)/client/?hub=\(name.description.percentEncoded)"), "accessToken": .string(token),
        ])
    }

    private func target(of body: HubValue) throws(AdminError) -> HubTarget {
        let kind = body["target"]?.text ?? "all"
        if kind == "all" { return .all }
        guard let to = body["to"]?.text else { throw .invalid("'to' is missing.") }
        switch kind {
        case "user": return .users([to])
        case "group": return .groups([to])
        case "connection": return .connections([to])
        default: throw .invalid("'target' must be all, user, group or connection.")
        }
    }
}
