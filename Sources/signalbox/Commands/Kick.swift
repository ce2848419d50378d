// SignalBox: signalbox kick: ends connections of a running service
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import SignalRWire

struct Kick: AsyncParsableCommand, Configurable {
    static let configuration = CommandConfiguration(
        commandName: "kick",
        abstract: "Disconnect a client, a user or a group.",
        discussion: """
            Clients do not come back by themselves, unless --allow-reconnect says so.

            Examples:
              signalbox kick --connection 7bJYYlJ0lT6eOLfPCUkz4A
              signalbox kick --hub chat --user bob --reason "Take a break"
              signalbox kick --hub chat --group blue --allow-reconnect
            """)
    static let settings =
        ["connection", "user", "group", "hub", "reason", .flag("allow-reconnect"), .flag("json")] + AdminAccess.settings

    /// Unconditional, since ids may begin with a hyphen.
    @Option(parsing: .unconditional, help: ArgumentHelp("This connection. [SIGNALBOX_CONNECTION]", valueName: "id"))
    var connection: String?

    @Option(help: ArgumentHelp("All connections of this user; needs --hub. [SIGNALBOX_USER]", valueName: "id"))
    var user: String?

    @Option(help: ArgumentHelp("All connections of this group; needs --hub. [SIGNALBOX_GROUP]", valueName: "name"))
    var group: String?

    @Option(help: ArgumentHelp("The hub of the user or group. [SIGNALBOX_HUB]", valueName: "name"))
    var hub: String?

    @Option(help: ArgumentHelp("What the clients are told. [SIGNALBOX_REASON]", valueName: "text"))
    var reason: String?

    @Flag(help: "Let the clients come back by themselves. [SIGNALBOX_ALLOW_RECONNECT]")
    var allowReconnect = false

    @Flag(help: "Print JSON, for programs. [SIGNALBOX_JSON]")
    var json = false

    @OptionGroup(title: "Service") var access: AdminAccess

    func validate() throws {
        guard [connection, user, group].count(where: { $0 != nil }) == 1 else {
            throw ValidationError("Give exactly one of --connection, --user and --group.")
        }
        if connection == nil, hub == nil { throw ValidationError("--user and --group need --hub.") }
    }

    func run() async throws {
        try await reportingFailures {
            let fields: [(String, String?)] = [
                ("connectionId", connection), ("user", user), ("group", group), ("hub", hub), ("reason", reason),
            ]
            var members = fields.compactMap { name, value in
                value.map { HubValue.Member(key: name, value: .string($0)) }
            }
            members.append(.init(key: "allowReconnect", value: .bool(allowReconnect)))
            let answer = try await access.client().post("/api/disconnect", .map(members))
            if json { return Terminal.write(answer.json + "\n") }
            let count = answer["disconnected"]?.cell ?? "0"
            Terminal.write("Disconnected \(count) \(count == "1" ? "client" : "clients").\n")
        }
    }
}
