// SignalBox: what the commands that list something have in common
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import SignalRWire

struct ListOptions: ParsableArguments {
    static let settings: [Setting] = ["hub", "limit", .flag("json"), .flag("watch")] + AdminAccess.settings

    @Option(help: ArgumentHelp("Only of this hub. [SIGNALBOX_HUB]", valueName: "name"))
    var hub: String?

    @Option(help: ArgumentHelp("At most so many. [SIGNALBOX_LIMIT]", valueName: "number"))
    var limit = 1_000

    @Flag(help: "Print JSON, for programs. [SIGNALBOX_JSON]")
    var json = false

    @Flag(help: "Print it again every two seconds, until Ctrl-C. [SIGNALBOX_WATCH]")
    var watch = false

    @OptionGroup(title: "Service") var access: AdminAccess

    func validate() throws {
        guard (1...1_000_000).contains(limit) else {
            throw ValidationError("--limit must be a number from 1 to 1000000.")
        }
    }

    /// Prints a list, once or again and again.
    func run(_ path: String, _ member: String, _ query: [(String, String?)], _ columns: [Table.Column]) async throws {
        try await reportingFailures {
            let client = try access.client()
            repeat {
                let elements = try await client.list(path, member, [("hub", hub)] + query, limit: limit)
                if watch, !json, Terminal.isThere { Terminal.write("\u{1B}[H\u{1B}[2J") }
                if json {
                    Terminal.write(HubValue.map([.init(key: member, value: .array(elements))]).json + "\n")
                } else if elements.isEmpty {
                    Terminal.write("No \(member).\n")
                } else {
                    let lines = Table(columns: columns).lines(elements, width: Terminal.width)
                    Terminal.write(lines.joined(separator: "\n") + "\n")
                }
                if watch { try await Task.sleep(for: .seconds(2)) }
            } while watch
        }
    }
}
