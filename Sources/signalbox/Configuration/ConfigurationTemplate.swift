// SignalBox: everything that can be configured: as a file to start from, and as a table
// SPDX-License-Identifier: Apache-2.0

/// The keys of the configuration file, told to people.
struct ConfigurationTemplate {
    /// A file that says what would be so without it, and tells what else there is.
    var yaml: String {
        """
        # The configuration of `signalbox serve --config FILE`.
        # Options on the command line and SIGNALBOX_… variables count more than this file. Relative paths start at its folder.
        # Keys marked (reload) take effect when the program gets SIGHUP, the others when it starts.


        """ + section("", indent: "")
    }

    private func section(_ path: String, indent: String) -> String {
        ConfigurationFile.children(of: path).map { name in
            let path = path.isEmpty ? name : "\(path).\(name)"
            if let key = ConfigurationKey.all.first(where: { $0.path == path }) { return line(key, indent) }
            if let example = Self.examples[path] {
                return example.split(separator: "\n").map { indent + $0 + "\n" }.joined()
            }
            let more = Self.examples["\(path).more"] ?? ""
            return "\n\(indent)\(name):\n" + section(path, indent: indent + "  ")
                + more.split(separator: "\n").map { indent + $0 + "\n" }.joined()
        }.joined()
    }

    private func line(_ key: ConfigurationKey, _ indent: String) -> String {
        let meaning = OptionHelp.ofServe[key.option]?.meaning ?? ""
        let standard = key.kind == .flag ? "false" : OptionHelp.ofServe[key.option]?.standard
        let isSet = standard != nil && key.standard == nil
        return "\(indent)# \(meaning)\(key.effect == .reloads ? " (reload)" : "")\n"
            + "\(indent)\(isSet ? "" : "# ")\(key.name): \(isSet ? standard ?? "" : "")".trimmingTrailingSpaces + "\n"
    }

    /// The parts with a shape of their own.
    private static let examples = [
        "listen.more": """
        # Several places: a list of these, such as
        # listen:
        #   - port: 8888
        #   - {host: 0.0.0.0, port: 8443, tls: {certificate: certificate.pem, key: key.pem}}
        """,
        "upstream.templates": """
        # Who hears of clients and answers their calls in serverless mode; the first that fits counts. (reload)
        # templates:
        #   - url: http://localhost:7071/runtime/webhooks/signalr
        #   - url: https://example.com/{hub}/{category}/{event}
        #     hub: chat, board
        #     category: messages
        #     event: "*"
        """,
        "hubs": """

        # What single hubs have otherwise: mode, upstream (templates without hub), and the keys of connections. (reload, but for mode)
        # hubs:
        #   chat:
        #     mode: serverless
        #     clientTimeout: 1m
        #     upstream:
        #       - url: http://localhost:7071/chat
        """,
    ]

    /// A row per key, for documents.
    var table: String {
        let rows = ConfigurationKey.all.map { key in
            let help = OptionHelp.ofServe[key.option]
            let standard =
                key.standard ?? (key.kind == .flag ? "`false`" : help?.standard.map { "`\($0)`" } ?? "")
            let meaning = (help?.meaning ?? "").replacing("|", with: "\\|")
            return "| `\(key.path)` | `--\(key.option)` | \(key.kind.description) | \(standard) | "
                + "\(key.effect == .reloads ? "yes" : "") | \(meaning) |"
        }
        return (["| key | option | value | default | reload | meaning |", "|---|---|---|---|---|---|"] + rows)
            .joined(separator: "\n")
    }
}

extension String {
    fileprivate var trimmingTrailingSpaces: String { replacing(/\ +$/, with: "") }
}
