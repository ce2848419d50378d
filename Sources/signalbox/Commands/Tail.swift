// SignalBox: signalbox tail: what happens in a running service, as it happens
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import NIOCore
import SignalRWire

struct Tail: AsyncParsableCommand, Configurable {
    static let configuration = CommandConfiguration(
        commandName: "tail",
        abstract: "Follow connections and messages of a running service, until Ctrl-C.",
        discussion: """
            Who does not keep up loses events, and is told how many.

            Examples:
              signalbox tail
              signalbox tail --hub chat --user bob
              signalbox tail --kind connect --kind disconnect --kind refused
              signalbox tail --kind message --payloads --json
            """)
    static let settings =
        ["hub", "user", "connection", .list("kind"), .flag("payloads"), .flag("json")] + AdminAccess.settings

    @Option(help: ArgumentHelp("Only of this hub. [SIGNALBOX_HUB]", valueName: "name"))
    var hub: String?

    @Option(help: ArgumentHelp("Only of this user. [SIGNALBOX_USER]", valueName: "id"))
    var user: String?

    /// Unconditional, since ids may begin with a hyphen.
    @Option(
        parsing: .unconditional, help: ArgumentHelp("Only of this connection. [SIGNALBOX_CONNECTION]", valueName: "id"))
    var connection: String?

    @Option(
        help: ArgumentHelp(
            "Only this kind of event: negotiate, connect, transport, handshake, message, group, server, upstream, disconnect or refused; repeat it for several (commas in the variable). [SIGNALBOX_KIND]",
            valueName: "kind"))
    var kind: [String] = []

    @Flag(help: "Show what messages carry. [SIGNALBOX_PAYLOADS]")
    var payloads = false

    @Flag(help: "Print JSON, an object per line. [SIGNALBOX_JSON]")
    var json = false

    @OptionGroup(title: "Service") var access: AdminAccess

    func run() async throws {
        try await reportingFailures {
            let query: [(String, String?)] = [
                ("hub", hub), ("user", user), ("connection", connection),
                ("kinds", kind.isEmpty ? nil : kind.joined(separator: ",")), ("payloads", payloads ? "true" : nil),
            ]
            let hasColour = Terminal.hasColour
            try await access.client().follow("/api/trace", query) { line in
                if json { return Terminal.write(String(buffer: line) + "\n") }
                guard let event = try? JSON.value(from: line) else { return }
                Terminal.write(Self.text(of: event, hasColour: hasColour) + "\n")
            }
        }
    }

    /// `17:04:05.678  chat  connect  7bJYYl…  bob  webSockets  (detail)`
    static func text(of event: HubValue, hasColour: Bool) -> String {
        let kind = event["kind"]?.cell ?? ""
        if kind == "lost" { return "… \(event["count"]?.cell ?? "some") events were lost" }
        let time = String((event["time"]?.cell ?? "").dropFirst(11).prefix(12))
        let padded = kind + String(repeating: " ", count: max(0, 10 - kind.count))
        let who = [event["hub"]?.cell, event["user"]?.cell, event["connectionId"]?.cell]
            .compactMap { $0.map(Table.plain) }.filter { !$0.isEmpty }.joined(separator: " ")
        var text = Table.plain(event["text"]?.cell ?? "")
        switch event["detail"] {
        case nil, .null: break
        case .map(let facts)?:
            if let bytes = facts.first(where: { $0.key == "bytes" }) { text += " (\(bytes.value.cell) bytes)" }
            if let payload = facts.first(where: { $0.key == "arguments" }) {
                text += " \(Table.plain(payload.value.cell))"
            }
        case let detail?: text += " (\(Table.plain(detail.cell)))"
        }
        guard hasColour else { return "\(time)  \(padded)  \(who)  \(text)" }
        return
            "\u{1B}[2m\(time)\u{1B}[0m  \u{1B}[\(colour(of: kind))m\(padded)\u{1B}[0m  \u{1B}[1m\(who)\u{1B}[0m  \(text)"
    }

    private static func colour(of kind: String) -> Int {
        switch kind {
        case "refused": 31
        case "disconnect": 33
        case "connect", "handshake", "negotiate": 32
        case "message": 36
        case "upstream", "server": 35
        default: 34
        }
    }
}
