// SignalBox: signalbox token: tokens for clients and REST callers
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Foundation
import NIOCore
import SignalRAccess
import SignalRService
import SignalRWire

struct Token: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "token", abstract: "Make a token for a client or a REST caller.",
        subcommands: [ClientToken.self, RestToken.self])
}

/// What both kinds of tokens have in common.
struct TokenOptions: ParsableArguments {
    static let settings: [Setting] = ["hub", "application", "lifetime", .flag("json")]

    @Option(help: ArgumentHelp("The hub. [SIGNALBOX_HUB]", valueName: "name"))
    var hub: String

    @Option(help: ArgumentHelp("The application that the hub belongs to. [SIGNALBOX_APPLICATION]", valueName: "name"))
    var application: String?

    @Option(
        help: ArgumentHelp("How long the token is valid: 90s, 15m, 1h, 7d … [SIGNALBOX_LIFETIME]", valueName: "time"))
    var lifetime = Interval.hours(1)

    @Flag(help: "Print the URL that the token is for, too, as JSON: {\"url\":…,\"accessToken\":…} [SIGNALBOX_JSON]")
    var json = false

    func printed(_ token: String, url: String) throws -> String {
        guard json else { return token }
        var text = ByteBuffer()
        try JSON.write(
            .map([.init(key: "url", value: .string(url)), .init(key: "accessToken", value: .string(token))]),
            into: &text)
        return String(buffer: text)
    }
}

struct ClientToken: AsyncParsableCommand, Configurable {
    static let configuration = CommandConfiguration(
        commandName: "client", abstract: "Make a token that lets a client into a hub.",
        discussion: """
            Examples:
              signalbox token client --hub chat --user bob
              signalbox token client --hub chat --user bob --role admin --claim team=blue --lifetime 15m --json
            """)
    static let settings = TokenOptions.settings + ["user", .list("role"), .list("claim")] + ServiceAccess.settings

    @OptionGroup var token: TokenOptions

    @Option(help: ArgumentHelp("Who the client is. (default: nobody) [SIGNALBOX_USER]", valueName: "id"))
    var user: String?

    @Option(help: ArgumentHelp("A role of the user; repeat it for several. [SIGNALBOX_ROLE]", valueName: "name"))
    var role: [String] = []

    @Option(help: ArgumentHelp("A further claim; repeat it for several. [SIGNALBOX_CLAIM]", valueName: "name=value"))
    var claim: [String] = []

    @OptionGroup(title: "Service") var access: ServiceAccess

    func validate() throws {
        for claim in claim where !claim.dropFirst().contains("=") {
            throw ValidationError("--claim must be of the form name=value, not '\(claim)'.")
        }
    }

    func run() async throws {
        try await reportingFailures {
            let service = try access.resolved()
            let hub = (token.application.map { "\($0)_" } ?? "") + token.hub
            let signed = AccessKeys(service.accessKey ?? "").clientToken(
                hub: hub, user: user, roles: role, claims: claims, endpoint: service.endpoint,
                lifetime: token.lifetime.duration)
            print(
                try token.printed(
                    signed, url: "\(service.clientEndpoint)/client/?hub=\(hub.lowercased().percentEncoded)"))
        }
    }

    private var claims: [HubValue.Member] {
        claim.map { claim in
            let parts = claim.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            return .init(key: String(parts[0]), value: .string(String(parts[1])))
        }
    }
}

struct RestToken: AsyncParsableCommand, Configurable {
    static let configuration = CommandConfiguration(
        commandName: "rest", abstract: "Make a token for one REST operation.",
        discussion: """
            A token is for one path; without --path it is for a broadcast.

            Examples:
              signalbox token rest --hub chat
              signalbox token rest --hub chat --path /users/bob/:send --json
            """)
    static let settings = TokenOptions.settings + ["path"] + ServiceAccess.settings

    @OptionGroup var token: TokenOptions

    @Option(help: ArgumentHelp("The path below the hub's. [SIGNALBOX_PATH]", valueName: "path"))
    var path = "/:send"

    @OptionGroup(title: "Service") var access: ServiceAccess

    func run() async throws {
        try await reportingFailures {
            let service = try access.resolved()
            let call = RestCall(hub: token.hub, application: token.application, path: path)
            let signed = AccessKeys(service.accessKey ?? "").restToken(
                path: call.path, endpoint: service.endpoint, lifetime: token.lifetime.duration)
            print(try token.printed(signed, url: service.serverEndpoint + call.pathAndQuery))
        }
    }
}

/// Where a REST operation of a hub is.
struct RestCall {
    let path: String
    let pathAndQuery: String

    /// - Parameter path: below the hub's, escaped, such as `/users/bob/:send`.
    init(hub: String, application: String?, path: String) {
        self.path = "/api/hubs/\(hub.lowercased().percentEncoded)" + (path.hasPrefix("/") ? path : "/" + path)
        let application = application.map { "application=\($0.lowercased().percentEncoded)&" } ?? ""
        self.pathAndQuery = "\(self.path)?\(application)api-version=2022-06-01"
    }
}
