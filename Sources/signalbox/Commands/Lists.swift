// SignalBox: signalbox connections, groups, users
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import SignalRService
import SignalRWire

struct Connections: AsyncParsableCommand, Configurable {
    static let configuration = CommandConfiguration(
        commandName: "connections",
        abstract: "List the clients of a running service, or tell everything about one.",
        discussion: """
            Examples:
              signalbox connections --hub chat --watch
              signalbox connections --user bob --json
              signalbox connections 7bJYYlJ0lT6eOLfPCUkz4A
            """)
    static let settings = ["user", "group"] + ListOptions.settings

    @Option(help: ArgumentHelp("Only of this user. [SIGNALBOX_USER]", valueName: "id"))
    var user: String?

    @Option(help: ArgumentHelp("Only of this group. [SIGNALBOX_GROUP]", valueName: "name"))
    var group: String?

    @OptionGroup var list: ListOptions

    @Argument(
        help: "A connection id: what happened to it, and why it has its transport. Behind --, it may begin with -.")
    var id: String?

    private static let columns = [
        Table.Column("CONNECTION", "connectionId"), Table.Column("HUB", "hub"), Table.Column("USER", "user"),
        Table.Column("TRANSPORT", "transport"), Table.Column("PROTOCOL", "protocol"),
        Table.Column("ADDRESS", "remoteAddress"), Table.Column("SINCE", "connectedAt"),
        Table.Column("GROUPS", "groups", isNumber: true), Table.Column("IN", "messagesIn", isNumber: true),
        Table.Column("OUT", "messagesOut", isNumber: true), Table.Column("QUEUED", "queuedBytes", isNumber: true),
    ]

    func run() async throws {
        guard let id else {
            return try await list.run(
                "/api/connections", "connections", [("user", user), ("group", group)], Self.columns)
        }
        try await reportingFailures {
            let connection = try await list.access.client().get("/api/connections/\(id.percentEncoded)")
            Terminal.write(list.json ? connection.json + "\n" : Self.text(of: connection))
        }
    }

    private static func text(of connection: HubValue) -> String {
        guard case .map(let members) = connection else { return "" }
        let facts = members.filter { !["timeline", "transportChoice", "closeReason", "groups"].contains($0.key) }
        let width = facts.map(\.key.count).max() ?? 0
        var lines = facts.map { fact in
            "\(fact.key)\(String(repeating: " ", count: width - fact.key.count))  \(Table.plain(fact.value.cell))"
        }
        if case .array(let groups)? = connection["groups"], !groups.isEmpty {
            lines.append("groups: " + groups.map { Table.plain($0.cell) }.joined(separator: ", "))
        }
        if let reason = connection["closeReason"] {
            let parts = ["reason", "detail", "meaning"].compactMap { reason[$0]?.cell }
            lines.append("ended: " + Table.plain(parts.joined(separator: ": ")))
        }
        if let choice = connection["transportChoice"], let text = choice["explanation"]?.cell {
            lines += ["", "Why this transport: " + Table.plain(text)]
        }
        if case .array(let events)? = connection["timeline"], !events.isEmpty {
            let columns = [
                Table.Column("TIME", "time"), Table.Column("EVENT", "event"), Table.Column("WHAT", "text"),
                Table.Column("DETAIL", "detail"),
            ]
            lines += [""] + Table(columns: columns).lines(events, width: Terminal.width)
        }
        return lines.joined(separator: "\n") + "\n"
    }
}

struct Groups: AsyncParsableCommand, Configurable {
    static let configuration = CommandConfiguration(
        commandName: "groups", abstract: "List the groups of a running service and how many connections they have.")
    static let settings = ListOptions.settings

    @OptionGroup var list: ListOptions

    func run() async throws {
        try await list.run(
            "/api/groups", "groups", [],
            [
                Table.Column("HUB", "hub"), Table.Column("GROUP", "name"),
                Table.Column("CONNECTIONS", "connections", isNumber: true),
            ])
    }
}

struct Users: AsyncParsableCommand, Configurable {
    static let configuration = CommandConfiguration(
        commandName: "users", abstract: "List the users of a running service and how many connections they have.")
    static let settings = ListOptions.settings

    @OptionGroup var list: ListOptions

    func run() async throws {
        try await list.run(
            "/api/users", "users", [],
            [
                Table.Column("HUB", "hub"), Table.Column("USER", "user"),
                Table.Column("CONNECTIONS", "connections", isNumber: true),
            ])
    }
}
