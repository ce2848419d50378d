// SignalBox: options, variables and the values that people may give them
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Configuration
import Foundation
import SignalR
import SignalRAccess
import SignalRService
import Testing

@testable import SignalBoxCommands

private func environment(_ variables: [String: String]) -> SignalBoxCommands.Environment {
    SignalBoxCommands.Environment(ConfigReader(provider: EnvironmentVariablesProvider(environmentVariables: variables)))
}

@Suite struct EnvironmentTests {
    @Test func variablesBecomeOptions() throws {
        let variables = [
            "SIGNALBOX_PORT": "1234", "SIGNALBOX_NO_AUTH": "true", "SIGNALBOX_PLAYGROUND": "false",
            "SIGNALBOX_ALLOW_ORIGIN": "http://a, http://b", "SIGNALBOX_ACCESS_KEY": "k",
        ]
        let arguments = try environment(variables).adding(to: ["serve", "--host", "::"], of: SignalBox.self)
        #expect(arguments.first == "serve")
        #expect(arguments.suffix(2) == ["--host", "::"])
        let serve = try #require(try SignalBox.parseAsRoot(arguments) as? Serve)
        #expect(serve.listening.port == 1234)
        #expect(serve.access.noAuth)
        #expect(!serve.playground)
        #expect(serve.access.allowOrigin == ["http://a", "http://b"])
        #expect(serve.access.accessKey == "k")
    }

    @Test(arguments: [["serve", "--port", "1"], ["serve", "--port=1"]])
    func theCommandLineWins(_ given: [String]) throws {
        #expect(try environment(["SIGNALBOX_PORT": "2"]).adding(to: given, of: SignalBox.self) == given)
    }

    @Test func argumentsAreNotOptions() throws {
        let arguments = try environment(["SIGNALBOX_HUB": "h"]).adding(
            to: ["send", "t", "--", "--hub"], of: SignalBox.self)
        #expect(arguments == ["send", "--hub=h", "t", "--", "--hub"])
    }

    @Test(arguments: [[], ["--help"], ["token"], ["serv"]])
    func withoutACommandNothingIsAdded(_ arguments: [String]) throws {
        #expect(try environment(["SIGNALBOX_PORT": "2"]).adding(to: arguments, of: SignalBox.self) == arguments)
    }

    @Test func commandsBelowCommandsAreFound() throws {
        let arguments = try environment(["SIGNALBOX_HUB": "h"]).adding(to: ["token", "client"], of: SignalBox.self)
        #expect(arguments == ["token", "client", "--hub=h"])
    }

    @Test func flagsAreTrueOrFalse() {
        let error = #expect(throws: ValidationError.self) {
            try environment(["SIGNALBOX_NO_AUTH": "perhaps"]).adding(to: ["serve"], of: SignalBox.self)
        }
        #expect(error?.message.contains("SIGNALBOX_NO_AUTH") == true)
    }

    static let commands: [any Configurable.Type] = [
        Serve.self, ClientToken.self, RestToken.self, Send.self, CheckConfig.self, PrintConfig.self,
        SignalBoxCommands.Connections.self, Groups.self, Users.self, Kick.self, Tail.self, Keys.self, Drain.self,
    ]

    /// An option without a variable, or a help text without its name, is a mistake.
    @Test(arguments: commands.indices)
    func everyOptionHasAVariableAndSaysSo(_ index: Int) {
        let command = Self.commands[index]
        let help = command.helpMessage(columns: 10_000)
        let named = Set(help.matches(of: /(?m)^ +--([a-z-]+)/).map { String($0.1) }).subtracting(["help", "version"])
        #expect(named == Set(command.settings.map(\.name)))
        for setting in command.settings { #expect(help.contains("[\(setting.variable)]")) }
    }
}

@Suite struct ServeOptionTests {
    @Test(arguments: [
        ["--port", "65536"], ["--port", "x"], ["--threads", "0"], ["--tls-key", "f"], ["--access-key", "short"],
        ["--mode", "serverless", "--upstream", "nowhere"], ["--upstream", "http://localhost"],
        ["--mode", "serverless", "--upstream", "http://localhost/{user}"], ["--upstream-concurrency", "0"],
        ["--upstream-timeout", "never"], ["--handshake-timeout", "0"], ["--maximum-queue", "many"],
        ["--listen", "localhost"], ["--listen", "https://localhost:1"], ["--hub-setting", "chat/port=1"],
        ["--hub-setting", "chat/client-timeout=soon"], ["--allow-hub", "7"], ["--mode", "other"], ["extra"],
        ["--unknown"], ["--transports", "foreverFrame"], ["--transports", "carrierPigeon"], ["--transports", ""],
    ])
    func mistakesAreUsageErrors(_ options: [String]) {
        let error = #expect(throws: (any Error).self) { try SignalBox.parseAsRoot(["serve"] + options) }
        #expect(error.map { SignalBox.exitCode(for: $0) } == .validationFailure)
        #expect(ExitCode.validationFailure.rawValue == 64)
    }

    @Test func optionsReachUpstream() throws {
        let serve = try Serve.parse([
            "--mode", "serverless", "--upstream", "chat/messages/*=http://localhost/{event}", "--upstream",
            "http://localhost/rest", "--upstream-timeout", "5s", "--upstream-concurrency", "7", "--upstream-refusals",
        ])
        let options = try serve.serverless.options()
        #expect(options.rules.map(\.urlTemplate) == ["http://localhost/{event}", "http://localhost/rest"])
        #expect(options.timeout == .seconds(5))
        #expect(options.maximumConcurrency == 7)
        #expect(options.refusalsEndClients)
        let standard = UpstreamOptions()
        let plain = try Serve.parse([]).serverless.options()
        #expect(plain.rules.isEmpty && plain.timeout == standard.timeout && !plain.refusalsEndClients)
    }

    @Test func shortKeysAreForPlayOnly() throws {
        let serve = try Serve.parse(["--access-key", "short", "--no-auth"])
        #expect(try serve.access.key() == "short")
        let error = #expect(throws: (any Error).self) { try Serve.parse(["--access-key", "short"]) }
        #expect(error.map { Serve.message(for: $0) }?.contains("32 are needed") == true)
    }

    @Test func optionsReachTheConnections() throws {
        let serve = try Serve.parse([
            "--handshake-timeout", "500ms", "--keep-alive-interval", "2", "--client-timeout", "1m",
            "--maximum-message-size", "0",
            "--maximum-queue", "2m", "--websocket-compression", "--stateful-reconnect", "--detailed-errors",
        ])
        let options = serve.connections.hubOptions
        #expect(options.handshakeTimeout == .milliseconds(500))
        #expect(options.keepAliveInterval == .seconds(2))
        #expect(options.clientTimeout == .seconds(60))
        #expect(options.maximumReceiveMessageSize == nil)
        #expect(options.maximumOutboundQueue == 2 << 20)
        #expect(options.webSocketCompression && options.allowStatefulReconnects && options.detailedErrors)
    }

    @Test func transportsAreAListInAnyCase() throws {
        let transports = try Serve.parse(["--transports", "longpolling, WEBSOCKETS"]).connections.transports
        #expect(transports.names == [.longPolling, .webSockets])
        #expect(transports.kinds == [.webSockets, .longPolling])
        #expect(transports.description == "longPolling,webSockets")
    }

    @Test func defaultsAreThoseOfTheLibrary() throws {
        let (options, standard) = (try Serve.parse([]).connections.hubOptions, HubOptions())
        #expect(options.handshakeTimeout == standard.handshakeTimeout)
        #expect(options.keepAliveInterval == standard.keepAliveInterval)
        #expect(options.clientTimeout == standard.clientTimeout)
        #expect(options.maximumReceiveMessageSize == standard.maximumReceiveMessageSize)
        #expect(options.maximumOutboundQueue == standard.maximumOutboundQueue)
        #expect(options.transports == standard.transports)
    }
}

@Suite struct QuantityTests {
    @Test(arguments: [
        ("15", 15_000), ("15s", 15_000), ("250ms", 250), ("2m", 120_000), ("1h", 3_600_000), ("1d", 86_400_000),
    ])
    func intervals(text: String, milliseconds: Int) {
        #expect(Interval(argument: text)?.duration == .milliseconds(milliseconds))
    }

    @Test(arguments: ["", "0", "-1", "s", "1y", "1.5s", "99999999999999999999", "9223372036854775807d"])
    func noIntervals(_ text: String) { #expect(Interval(argument: text) == nil) }

    @Test(arguments: [
        ("0", 0, "0"), ("100", 100, "100"), ("32k", 32_768, "32k"), ("1M", 1 << 20, "1m"), ("1024", 1024, "1k"),
    ])
    func byteCounts(text: String, bytes: Int, description: String) {
        #expect(ByteCount(argument: text)?.bytes == bytes)
        #expect(ByteCount(argument: text)?.description == description)
    }

    @Test(arguments: ["", "k", "-1", "1g", "9223372036854775807k"])
    func noByteCounts(_ text: String) { #expect(ByteCount(argument: text) == nil) }
}

@Suite struct DataFolderTests {
    private func withFolder(_ work: (String) throws -> Void) throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "signalbox-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: folder) }
        try work(folder.path)
    }

    @Test func theKeyIsMadeOnceAndKeptPrivate() throws {
        try withFolder { path in
            let folder = DataFolder(path: path + "/deep/down")
            #expect(try folder.accessKey() == nil)
            let key = try folder.accessKeyOrNew()
            #expect(key.count == 44)
            #expect(try folder.accessKeyOrNew() == key)
            let attributes = try FileManager.default.attributesOfItem(atPath: folder.path + "/access-key")
            #expect((attributes[.posixPermissions] as? NSNumber)?.intValue == 0o600)
        }
    }

    @Test func aBrokenKeyIsReported() throws {
        try withFolder { path in
            try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
            try Data("short\n".utf8).write(to: URL(filePath: path + "/access-key"))
            let error = #expect(throws: Failure.self) { try DataFolder(path: path).accessKey() }
            #expect(error?.code == .configuration)
        }
    }
}

@Suite struct ServiceAccessTests {
    @Test(arguments: [
        (["--connection-string", "Endpoint=http://a:1;AccessKey=k"], "http://a:1", "k"),
        (["--connection-string", "Endpoint=http://a:1;AccessKey=k", "--endpoint", "http://b:2"], "http://b:2", "k"),
        (["--connection-string", "Endpoint=http://a:1;AccessKey=k", "--access-key", "l"], "http://a:1", "l"),
        (["--access-key", "l"], "http://127.0.0.1:8888", "l"),
    ])
    func options(arguments: [String], endpoint: String, key: String) throws {
        let service = try ServiceAccess.parse(arguments).resolved()
        #expect(service.endpoint == endpoint)
        #expect(service.accessKey == key)
    }

    @Test func withoutAKeyNothingWorks() throws {
        let access = try ServiceAccess.parse(["--data-folder", "/nonexistent"])
        #expect(throws: Failure.self) { try access.resolved() }
    }

    @Test func restCallsEscapeTheHub() {
        let call = RestCall(hub: "Ch`at", application: "App", path: "users/bob/:send")
        #expect(call.path == "/api/hubs/ch%60at/users/bob/:send")
        #expect(call.pathAndQuery == call.path + "?application=app&api-version=2022-06-01")
    }
}
