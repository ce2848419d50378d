// SignalBox: the command line, the environment and a configuration file together
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Configuration
import Foundation
import SignalR
import SignalRService
import Testing

@testable import SignalBoxCommands

/// A configuration file that ends with the test.
func withFile<R>(_ text: String, name: String = "config.yaml", _ work: (String) throws -> R) throws -> R {
    let folder = FileManager.default.temporaryDirectory.appending(path: "signalbox-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let path = folder.appending(path: name).path
    try Data(text.utf8).write(to: URL(filePath: path))
    return try work(path)
}

func resolve(_ arguments: [String], _ variables: [String: String] = [:]) throws -> Resolution {
    let provider = EnvironmentVariablesProvider(environmentVariables: variables)
    return try SignalBoxCommands.Environment(ConfigReader(provider: provider)).resolve(arguments, of: SignalBox.self)
}

private func serve(_ arguments: [String], _ variables: [String: String] = [:]) throws -> Serve {
    try #require(try SignalBox.parseAsRoot(try resolve(arguments, variables).arguments) as? Serve)
}

@Suite struct ResolutionTests {
    private static let file = """
        mode: serverless
        playground: true
        listen: {host: 127.0.0.2, port: 1}
        access: {allowedOrigins: [http://file]}
        upstream: {templates: [http://file], timeout: 3s}
        connections: {detailedErrors: true}
        """

    @Test func flagsWinOverVariablesAndTheseOverTheFile() throws {
        try withFile(Self.file) { path in
            let serve = try serve(
                ["serve", "--port", "3", "--upstream=http://flag"],
                [
                    "SIGNALBOX_CONFIG": path, "SIGNALBOX_PORT": "2", "SIGNALBOX_HOST": "127.0.0.3",
                    "SIGNALBOX_PLAYGROUND": "false", "SIGNALBOX_ALLOW_ORIGIN": "http://a,http://b",
                ])
            #expect(serve.listening.port == 3)
            #expect(serve.listening.host == "127.0.0.3")
            #expect(!serve.playground)
            #expect(serve.access.allowOrigin == ["http://a", "http://b"])
            #expect(serve.serverless.upstream == ["http://flag"])
            #expect(serve.access.mode == .serverless)
            #expect(serve.serverless.upstreamTimeout.duration == .seconds(3))
            #expect(serve.connections.detailedErrors)
        }
    }

    @Test func theFlagForTheFileWins() throws {
        try withFile("listen: {port: 7}") { path in
            let serve = try serve(["serve", "--config=\(path)"], ["SIGNALBOX_CONFIG": "/nonexistent"])
            #expect(serve.listening.port == 7)
        }
    }

    @Test func helpNeedsNoFile() throws {
        let arguments = ["serve", "--config", "/nonexistent", "--help"]
        #expect(try resolve(arguments).arguments == arguments)
    }

    @Test func otherCommandsReadNoFile() throws {
        _ = try resolve(["token", "client", "--hub", "h"], ["SIGNALBOX_CONFIG": "/nonexistent"])
    }

    @Test func hubsAndPlacesOfTheFileReachTheService() throws {
        let text = """
            listen: [{port: 1}, {host: 127.0.0.2, port: 2}]
            access: {allowedHubs: [Chat]}
            connections: {clientTimeout: 5s, maximumQueue: 2m}
            hubs: {Chat: {mode: default, clientTimeout: 1m}}
            """
        try withFile(text) { path in
            let serve = try serve(["serve", "--config", path])
            #expect(serve.listening.places.map(\.description) == ["http://127.0.0.1:1", "http://127.0.0.2:2"])
            let options = try serve.serviceOptions(key: "k")
            #expect(options.allowedHubs == ["chat"])
            #expect(options.hubs["chat"]?.mode == .default)
            #expect(options.hubs["chat"]?.connections?.clientTimeout == .seconds(60))
            #expect(options.hubs["chat"]?.connections?.maximumOutboundQueue == 2 << 20)
            #expect(options.connections.clientTimeout == .seconds(5))
        }
    }

    // MARK: Problems

    private func problems(
        _ text: String, _ arguments: [String] = [], _ variables: [String: String] = [:]
    ) throws -> [String] {
        try withFile(text) { path in
            do {
                _ = try resolve(["serve", "--config", path] + arguments, variables)
                return []
            } catch let error as BadConfiguration {
                return error.description.split(separator: "\n").map { "\($0)".replacing("\(path):", with: "") }
            }
        }
    }

    @Test func theParsersProblemsHaveTheirPlace() throws {
        let text = """
            threads: 0
            listen:
              port: 70000
            access:
              primaryKey: short
              secondaryKey: short
            upstream:
              concurrency: 0
              templates:
                - http://localhost
            logging: {level: loud}
            lisen: 1
            """
        let found = try problems(text)
        let expected = [
            ("1:10: ", "'threads' must be a number from 1 to 1024"),
            ("3:9: ", "'listen.port' must be a number from 0 to 65535"),
            ("5:15: ", "32 are needed"), ("6:17: ", "32 are needed"),
            ("8:16: ", "'upstream.concurrency' must be a number from 1 to 4096"),
            ("10:7: ", "'upstream.templates' needs 'mode' serverless"), ("11:18: ", "'logging.level'"),
            ("12:1: ", "did you mean 'listen'?"),
        ]
        #expect(found.count == expected.count, "\(found)")
        for (line, (place, text)) in zip(found, expected) {
            #expect(line.hasPrefix(place) && line.contains(text), "\(line)")
        }
        #expect(!found.joined().contains("--"))
    }

    @Test func whatFollowsFromAProblemIsNone() throws {
        let found = try problems("mode: serverles\nupstream: {templates: [http://localhost]}")
        #expect(found.count == 1 && found[0].hasPrefix("1:7: "), "\(found)")
    }

    @Test func halfACertificateIsAProblem() throws {
        // The other half comes from elsewhere.
        let text = "listen: {host: 127.0.0.1}"
        #expect(try problems(text, ["--tls-key", "f"]).isEmpty)
    }

    @Test func whatTheCommandLineMendsIsNoProblem() throws {
        #expect(try problems("upstream: {templates: [http://localhost]}", ["--mode", "serverless"]).isEmpty)
        #expect(try problems("upstream: {templates: [http://localhost]}", [], ["SIGNALBOX_MODE": "serverless"]).isEmpty)
        #expect(try problems("access: {primaryKey: short}", ["--no-auth"]).isEmpty)
    }

    // MARK: Changes

    @Test func changesAreThoseOfValues() throws {
        let before = try withFile("listen: {port: 1}\naccess: {allowedOrigins: [http://a]}") {
            try resolve(["serve", "--config", $0, "--host", "::"])
        }
        let after = try withFile(
            "listen: {port: 1, host: '::1'}\naccess: {allowedOrigins: [http://b]}\nplayground: yes"
        ) {
            try resolve(["serve", "--config", $0, "--host", "::"])
        }
        // The path of the file is an option as any other.
        #expect(after.changes(since: before).filter { $0 != "config" } == ["allow-origin", "playground"])
    }
}
