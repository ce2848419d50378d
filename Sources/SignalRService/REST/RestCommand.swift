// SignalBox: commands that are carried out for every connection that a filter picks
// SPDX-License-Identifier: Apache-2.0

import NIOCore
import SignalR
import SignalRWire

/// One step of `:execute` (service reference, "Later versions").
enum RestCommand: Sendable {
    case send(Outgoing)
    case join(String)
    case leave(String)
    case close(reason: String?)

    /// How many commands one request may hold.
    private static let most = 100

    /// - Parameter body: `[{"type":"SendMessage","message":{…}},{"type":"JoinGroup","group":…}, …]`.
    /// - Throws: ``RestError`` with 400.
    static func read(_ body: ByteBuffer) throws(RestError) -> [RestCommand] {
        guard body.readableBytes > 0 else { throw .invalid("The commands are missing.") }
        guard case .array(let values) = try RestMessage.jsonValue(body) else {
            throw .invalid("The commands must be an array.")
        }
        guard values.count <= most else { throw .invalid("There are more than \(most) commands.") }
        var commands: [RestCommand] = []
        for (value, text) in zip(values, JSONText.items(of: body)) { commands.append(try RestCommand(value, text)) }
        return commands
    }

    private init(_ value: HubValue, _ text: ByteBuffer) throws(RestError) {
        guard case .map(let members) = value else { throw .invalid("A command must be an object.") }
        func member(_ name: String) -> (offset: Int, element: HubValue.Member)? {
            members.enumerated().reversed().first { $0.element.key.lowercased() == name }
        }
        guard case .string(let type)? = member("type")?.element.value else {
            throw .invalid("A command must have a 'type'.")
        }
        switch type.lowercased() {
        case "sendmessage":
            guard let message = member("message"), case .map = message.element.value else {
                throw .invalid("'SendMessage' must have a 'message'.")
            }
            let call = try RestMessage.json(JSONText.items(of: text)[message.offset])
            self = .send(Outgoing(.invocation(call)))
        case "joingroup": self = .join(try Self.group(member("group")?.element.value, of: type))
        case "leavegroup": self = .leave(try Self.group(member("group")?.element.value, of: type))
        case "closeconnection":
            switch member("reason")?.element.value {
            case nil, .null?: self = .close(reason: nil)
            case .string(let reason)?: self = .close(reason: reason.isEmpty ? nil : reason)
            default: throw .invalid("'reason' must be a string.")
            }
        default: throw .invalid("A command's 'type' is SendMessage, JoinGroup, LeaveGroup or CloseConnection.")
        }
    }

    private static func group(_ value: HubValue?, of type: String) throws(RestError) -> String {
        guard case .string(let group)? = value else { throw .invalid("'\(type)' must have a 'group'.") }
        try RestOperation.check(group: group)
        return group
    }

    /// On the connection's event loop.
    func run(on connection: Connection) {
        switch self {
        case .send(let message): connection.send(message)
        case .join(let group): connection.join(group)
        case .leave(let group): connection.leave(group)
        case .close(let reason): connection.close(.kicked(reason, allowReconnect: true))
        }
    }
}
