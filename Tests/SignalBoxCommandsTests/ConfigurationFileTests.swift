// SignalBox: what a configuration file says, and the place of everything that is wrong with it
// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

@testable import SignalBoxCommands

private func read(_ text: String, name: String = "/etc/signalbox/config.yaml") throws -> ConfigurationFile {
    try ConfigurationFile(text, name: name)
}

/// The values of an option, without their places.
private func values(_ text: String, _ option: String) throws -> [String]? {
    let file = try read(text)
    #expect(file.problems.isEmpty, "\(BadConfiguration(file: "file", problems: file.problems))")
    return file.values[option]?.map(\.text)
}

@Suite struct ConfigurationFileTests {
    @Test(arguments: [
        ("mode: serverless", "mode", ["serverless"]),
        ("listen:\n  port: 9000\n", "port", ["9000"]),
        ("{\"listen\": {\"port\": 9000, \"host\": \"::1\"}}", "host", ["::1"]),
        ("{\n\t\"listen\": {\n\t\t\"port\": 9000\n\t}\n}", "port", ["9000"]),
        ("listen: {port: '9000'}", "port", ["9000"]),
        ("access: {noAuth: yes}", "no-auth", ["true"]),
        ("access: {noAuth: Off}", "no-auth", ["false"]),
        ("access:\n  allowedOrigins: [http://a, http://b]", "allow-origin", ["http://a", "http://b"]),
        ("access:\n  allowedOrigins: http://a", "allow-origin", ["http://a"]),
        ("access:\n  allowedOrigins: []", "allow-origin", []),
        ("connections: {clientTimeout: 1m, maximumQueue: 2m}", "client-timeout", ["1m"]),
        ("connections: {maximumQueue: 2m}", "maximum-queue", ["2m"]),
        ("storage: {database: state.sqlite}", "database", ["/etc/signalbox/state.sqlite"]),
        ("storage: {database: ../state.sqlite}", "database", ["/etc/state.sqlite"]),
        ("storage: {folder: /var/lib}", "data-folder", ["/var/lib"]),
        ("listen: [{port: 1}, {port: 2}, {host: '::1', port: 3}]", "listen", ["http://127.0.0.1:2", "http://[::1]:3"]),
        ("listen: [{port: 1}, {port: 2}]", "port", ["1"]),
        ("upstream:\n  templates: ['http://a/{hub}']", "upstream", ["*/*/*=http://a/{hub}"]),
        (
            "upstream:\n  templates:\n  - {url: http://a, hub: 'chat, board', event: \"*\"}", "upstream",
            ["chat, board/*/*=http://a"]
        ),
        (
            "upstream: {templates: [http://a]}\nhubs: {Chat: {upstream: [{url: http://b, category: messages}]}}",
            "upstream",
            ["chat/messages/*=http://b", "*/*/*=http://a"]
        ),
        (
            "hubs:\n  Chat: {mode: serverless, clientTimeout: 1m, detailedErrors: yes}\n  board:\n", "hub-setting",
            ["chat/mode=serverless", "chat/client-timeout=1m", "chat/detailed-errors=true"]
        ),
    ])
    func keysBecomeOptions(text: String, option: String, expected: [String]) throws {
        #expect(try values(text, option) == expected)
    }

    @Test(arguments: ["", "# nothing\n", "---\n", "listen:\n", "listen:\n  tls:\n"])
    func emptyFilesSayNothing(_ text: String) throws { #expect(try read(text).values.isEmpty) }

    /// The first word of a problem is its place.
    @Test(arguments: [
        ("listen:\n  prot: 1\n", ["2:3: 'listen' has no key 'prot'; did you mean 'port'?"]),
        ("port: 1", ["1:1: there is no key 'port'; did you mean 'listen.port'?"]),
        ("access:\n  accesskey: 1", ["2:3: 'access' has no key 'accesskey'; known are"]),
        ("listen:\n  port: many\n", ["2:9: 'listen.port' must be a number, not 'many'"]),
        ("listen:\n  port: [1]\n", ["2:9: 'listen.port' must be one value, not a list"]),
        ("listen:\n  port:\n", ["'listen.port' has no value"]),
        ("listen: 8888", ["1:9: 'listen' holds keys with values, not a single value"]),
        ("connections:\n  clientTimeout: soon", ["2:18: 'connections.clientTimeout' must be a time"]),
        ("connections: {maximumQueue: much}", ["1:29: 'connections.maximumQueue' must be a number of bytes"]),
        ("access: {noAuth: perhaps}", ["1:18: 'access.noAuth' must be true or false, not 'perhaps'"]),
        (
            "listen:\n  tls:\n    certificate: none.pem\n",
            ["3:18: 'listen.tls.certificate': there is no file /etc/signalbox/none.pem"]
        ),
        ("upstream:\n  templates:\n    - ftp://a\n", ["3:7: 'upstream.templates': an upstream must be a URL"]),
        (
            "upstream:\n  templates:\n    - {url: 'http://a/{user}'}\n",
            ["3:7: 'upstream.templates': an upstream must be a URL"]
        ),
        ("upstream:\n  templates:\n    - {hub: a}\n", ["3:7: a template in 'upstream.templates' needs a url"]),
        (
            "upstream:\n  templates:\n    - {url: http://a, hub: a/b}\n",
            ["3:7: patterns in 'upstream.templates' may not contain"]
        ),
        ("upstream:\n  templates: http://a\n", ["2:14: 'upstream.templates' must be a list of templates"]),
        (
            "upstream:\n  templates:\n    - {uri: http://a}\n",
            ["3:8: 'upstream.templates' has no key 'uri'; did you mean 'url'?"]
        ),
        ("hubs:\n  7: {mode: classic}\n", ["2:3: '7' is not the name of a hub"]),
        ("hubs:\n  chat: {mode: other}\n", ["2:16: 'hubs.chat.mode' cannot be 'other'"]),
        ("hubs:\n  chat: {port: 1}\n", ["2:10: 'hubs.chat' has no key 'port'"]),
        ("hubs:\n  chat: {clientTimeout: soon}\n", ["2:25: 'hubs.chat.clientTimeout' must be a time"]),
        ("listen: [{port: 1}, {host: a}]", ["1:21: a further listener needs a port"]),
        ("listen: [{port: 1}, {port: 70000}]", ["1:28: 'listen.port' must be a number from 0 to 65535"]),
        ("listen: [{port: 1}, {port: 2, tls: {key: none.pem}}]", ["'listen.tls.key': there is no file"]),
        ("[1, 2]", ["1:1: a configuration file holds keys with values, not a list"]),
        ("hello", ["1:1: a configuration file holds keys with values, not a single value"]),
        ("? [a]\n: b\n", ["a key must be a name, not a list"]),
    ])
    func problemsHaveTheirPlace(text: String, expected: [String]) throws {
        let lines = "\(BadConfiguration(file: "f", problems: try read(text).problems))".split(separator: "\n")
        #expect(lines.count == expected.count, "\(lines)")
        for (line, problem) in zip(lines, expected) {
            #expect(line.contains(problem), "\(line)")
            #expect(line.prefixMatch(of: #/f:\d+:\d+: /#) != nil, "\(line)")
        }
    }

    @Test func allProblemsAreFoundAtOnce() throws {
        let file = try read("lisen: {}\nlisten: {port: x}\nthreads: y\naccess:\n  noAuth: maybe\n")
        #expect(file.problems.map(\.mark.line).sorted() == [1, 2, 3, 5])
    }

    @Test func duplicatesAreProblemsAmongOthers() throws {
        let file = try read("listen:\n  port: 1\n  \"port\": 2\n  port: 3\n  prot: 4\nmode: classic\nmode: default\n")
        let lines = "\(BadConfiguration(file: "f", problems: file.problems))".split(separator: "\n").map(String.init)
        #expect(lines.count == 4, "\(lines)")
        #expect(lines.filter { $0.contains("'port' is here more than once") }.count == 2)
        #expect(lines.contains { $0.hasPrefix("f:5:3: 'listen' has no key 'prot'") })
        #expect(lines.contains { $0.hasPrefix("f:6:1: 'mode' is here more than once") })
        #expect(file.values["port"]?.map(\.text) == ["3"])
    }

    @Test(arguments: [
        ("a: b: c", "config.yaml", "config.yaml:1:5: this is not YAML"),
        ("a:\n\t- b", "config.yaml", "config.yaml:2:1: this is not YAML"),
        ("{\"a\": }}", "config.json", "this is not JSON"), ("{\"listen\": {\"port\": 1}", "c.json", "this is not JSON"),
    ])
    func brokenTextSaysWhere(text: String, name: String, expected: String) {
        let error = #expect(throws: BadConfiguration.self) { try read(text, name: name) }
        #expect(error?.description.contains(expected) == true, "\(error?.description ?? "")")
    }

    @Test func secretsAreNotInProblems() throws {
        let file = try read(
            "access:\n  primaryKey: [geheim]\n  secondaryKy: geheim\nupstream: {templates: ['ftp://a?code=geheim']}")
        #expect(file.problems.count == 3)
        #expect(!file.problems.contains { $0.text.contains("geheim") })
    }

    @Test func aMissingFileIsNoInput() {
        let error = #expect(throws: Failure.self) { try ConfigurationFile(path: "/nonexistent/config.yaml") }
        #expect(error?.code == .noInput)
    }

    @Test(arguments: ["UpstreamSettings", "upstreamsettings"])
    func theEmulatorsSettingsAreKnown(_ root: String) throws {
        let text = """
            {"\(root)": {"Templates": [
              {"UrlTemplate": "http://localhost:7071/api", "EventPattern": "*", "HubPattern": "chat", "CategoryPattern": "messages"},
              {"urlTemplate": "http://localhost:7072/{hub}"}
            ]}, "Logging": {"LogLevel": {"Default": "Information"}}}
            """
        #expect(try values(text, "mode") == ["serverless"])
        #expect(
            try values(text, "upstream") == [
                "chat/messages/*=http://localhost:7071/api", "*/*/*=http://localhost:7072/{hub}",
            ])
    }

    @Test func theEmulatorsProblemsHaveTheirPlace() throws {
        let file = try read(
            "{\"UpstreamSettings\":{\"Templates\":[\n{\"UrlTemplate\":\"nowhere\"},\n{\"HubPattern\":\"a\"}]}}")
        #expect(file.problems.map(\.mark.line) == [2, 3])
    }
}

@Suite struct SuggestionTests {
    @Test(arguments: [("prot", "port"), ("Port", "port"), ("ports", "port"), ("hst", "host")])
    func closeNamesAreFound(name: String, meant: String) {
        #expect(Suggestion.text(for: name, among: ["host", "port", "tls"]).contains("'\(meant)'"))
    }

    @Test(arguments: ["", "certificate", "x", String(repeating: "port", count: 1000)])
    func othersAreNot(_ name: String) { #expect(Suggestion.text(for: name, among: ["host", "port", "tls"]).isEmpty) }
}
