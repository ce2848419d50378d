// SignalBox: configurations that are printed: in force, as a template, as a table
// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

@testable import SignalBoxCommands

private func tree(_ text: String, _ arguments: [String] = [], showsSecrets: Bool = false) throws -> ConfigurationTree {
    try withFile(text) { path in
        ConfigurationTree(try resolve(["serve", "--config", path] + arguments), showsSecrets: showsSecrets)
    }
}

private let everything = """
    mode: serverless
    listen:
      - {host: 127.0.0.2, port: 1}
      - {host: "::1", port: 2}
    access:
      primaryKey: "a key with 'quotes' and \\"more\\", 32 characters"
      allowedOrigins: ["http://a", "null"]
      allowedHubs: [chat]
      noAuth: false
    upstream:
      timeout: 3s
      templates:
        - {url: "http://a/{hub}?code=geheim", hub: "chat, board", event: x}
        - http://b
    connections: {maximumQueue: 2m}
    hubs:
      Chat: {mode: classic, clientTimeout: 1m, detailedErrors: true}
      "a[b]": {statefulReconnect: on}
    """

@Suite struct ConfigurationTreeTests {
    /// What is printed says the same as what was read.
    @Test(arguments: [false, true]) func printedConfigurationsAreConfigurations(_ asJSON: Bool) throws {
        let tree = try tree(everything, showsSecrets: true)
        let first = try ConfigurationFile(everything, name: "/f.yaml")
        let second = try ConfigurationFile(asJSON ? tree.json : tree.yaml, name: asJSON ? "/f.json" : "/f.yaml")
        #expect(second.problems.isEmpty, "\(second.problems)")
        for (option, values) in first.values {
            #expect(second.values[option]?.map(\.text) == values.map(\.text), "\(option)")
        }
    }

    @Test func jsonIsJSON() throws {
        let json = try tree(everything).json
        let root = try #require(try JSONSerialization.jsonObject(with: Data(json.utf8)) as? [String: Any])
        #expect((root["listen"] as? [[String: Any]])?.map { $0["port"] as? Int } == [1, 2])
        #expect((root["access"] as? [String: Any])?["noAuth"] as? Bool == false)
        #expect((root["connections"] as? [String: Any])?["clientTimeout"] as? String == "30s")
    }

    @Test func secretsAreHidden() throws {
        let tree = try tree(everything)
        for text in [tree.yaml, tree.json] {
            #expect(!text.contains("quotes") && !text.contains("geheim"))
            #expect(text.contains("\"***\"") && text.contains("?***"))
        }
    }

    @Test func originsAreComments() throws {
        let yaml = try tree(everything, ["--port", "7"]).yaml
        #expect(yaml.contains("port: 7  # --port\n"))
        #expect(yaml.contains(/timeout: 3s  # .*config.yaml:11\n/))
        #expect(yaml.contains("clientTimeout: 30s  # default\n"))
    }

    @Test func textThatCouldBeMisreadIsQuoted() {
        let tree = ConfigurationTree.section([
            ("a", .value("null", isText: true, comment: "")), ("b", .value("x: y # z", isText: true, comment: "")),
            ("c", .value("plain-1.0/x", isText: true, comment: "")), ("d", .list([])),
        ])
        #expect(tree.yaml == "a: \"null\"\nb: \"x: y # z\"\nc: plain-1.0/x\nd: []\n")
    }
}

@Suite struct ConfigurationTemplateTests {
    /// Whoever adds an option adds its line to ``ConfigurationKey/all``.
    @Test func everyOptionOfServeHasAKey() {
        let known = ConfigurationKey.all.map(\.option) + ConfigurationKey.items.map(\.option) + ["config"]
        #expect(Set(known) == Set(Serve.settings.map(\.name)))
        #expect(known.count == Set(known).count)
    }

    @Test func everyKeyHasAMeaning() {
        for key in ConfigurationKey.all {
            let help = OptionHelp.ofServe[key.option]
            #expect(help.map { !$0.meaning.isEmpty && !$0.meaning.contains("SIGNALBOX") } == true, "\(key.option)")
        }
        #expect(OptionHelp.ofServe["port"]?.standard == "8888")
        #expect(OptionHelp.ofServe["mode"]?.standard == "classic")
        #expect(OptionHelp.ofServe["database"]?.standard == nil)
    }

    @Test func theTemplateSaysWhatIsSoWithoutIt() throws {
        let file = try ConfigurationFile(ConfigurationTemplate().yaml, name: "/f.yaml")
        #expect(file.problems.isEmpty, "\(file.problems)")
        for (option, values) in file.values {
            let standard = OptionHelp.ofServe[option]?.standard ?? "false"
            #expect(values.map(\.text) == [standard], "\(option)")
        }
        #expect(file.values.count > 10)
    }

    /// The examples in it are right, too.
    @Test func theTemplateWithItsExamplesIsAccepted() throws {
        let examples = ["upstream", "hubs"].map { name in
            let lines = ConfigurationTemplate().yaml.split(separator: "\n")
            let start = lines.firstIndex { $0.hasSuffix("# \(name == "upstream" ? "templates" : name):") } ?? 0
            let example = lines[start...].prefix { $0.contains("# ") }.map {
                $0.replacing("# ", with: "", maxReplacements: 1)
            }
            return (name == "upstream" ? "upstream:\n" : "") + example.joined(separator: "\n")
        }
        let file = try ConfigurationFile(examples.joined(separator: "\n") + "\n", name: "/f.yaml")
        #expect(file.problems.isEmpty, "\(file.problems)")
        #expect(file.values["upstream"]?.count == 3)
        #expect(file.values["hub-setting"]?.count == 2)
    }

    /// SIGNALBOX_WRITE_DOCS=1 writes it anew.
    @Test func theDocumentHasTheTable() throws {
        let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let path = root.appending(path: "docs/Configuration.md")
        var text = try String(contentsOf: path, encoding: .utf8)
        let (begin, end) = ("<!-- keys -->\n", "\n<!-- end of keys -->")
        let start = try #require(text.firstRange(of: begin)).upperBound
        let stop = try #require(text.firstRange(of: end)).lowerBound
        let table = ConfigurationTemplate().table
        if ProcessInfo.processInfo.environment["SIGNALBOX_WRITE_DOCS"] != nil {
            text.replaceSubrange(start..<stop, with: table)
            try Data(text.utf8).write(to: path)
        } else {
            #expect(text[start..<stop] == table)
        }
    }
}
