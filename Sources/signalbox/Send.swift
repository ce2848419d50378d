// SignalBox: signalbox send: a message to the clients of a running service
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Foundation
import NIOCore
import SignalRAccess
import SignalRService
import SignalRWire

#if canImport(FoundationNetworking)
import FoundationNetworking
#endif

struct Send: AsyncParsableCommand, Configurable {
    static let configuration = CommandConfiguration(
        commandName: "send",
        abstract: "Call a method of clients.",
        discussion: """
            Goes to every client of the hub, unless a user, a group or a connection is named. Arguments that are JSON are sent as such, \
            all others as text.

            Examples:
              signalbox send --hub chat receive alice "Hello, everybody"
              signalbox send --hub chat --user bob notify '{"unread": 3}'
              signalbox send --hub chat --group blue score 12 true
            """)
    static let settings = ["hub", "application", "user", "group", "connection"] + ServiceAccess.settings

    @Option(help: ArgumentHelp("The hub. [SIGNALBOX_HUB]", valueName: "name"))
    var hub: String

    @Option(help: ArgumentHelp("The application that the hub belongs to. [SIGNALBOX_APPLICATION]", valueName: "name"))
    var application: String?

    @Option(help: ArgumentHelp("Only the connections of this user. [SIGNALBOX_USER]", valueName: "id"))
    var user: String?

    @Option(help: ArgumentHelp("Only the connections of this group. [SIGNALBOX_GROUP]", valueName: "name"))
    var group: String?

    @Option(help: ArgumentHelp("Only this connection. [SIGNALBOX_CONNECTION]", valueName: "id"))
    var connection: String?

    @OptionGroup(title: "Service") var access: ServiceAccess

    @Argument(help: "The method of the clients.")
    var target: String

    @Argument(help: "Its arguments.")
    var arguments: [String] = []

    func validate() throws {
        guard [user, group, connection].count(where: { $0 != nil }) <= 1 else {
            throw ValidationError("--user, --group and --connection exclude each other.")
        }
    }

    func run() async throws {
        try await reportingFailures {
            let service = try access.resolved()
            let call = RestCall(hub: hub, application: application, path: receivers + "/:send")
            guard let url = URL(string: service.serverEndpoint + call.pathAndQuery) else {
                throw Failure(.configuration, "\(service.serverEndpoint) is not a URL")
            }
            var request = URLRequest(url: url, timeoutInterval: 30)
            request.httpMethod = "POST"
            request.httpBody = try body()
            request.setValue("application/json", forHTTPHeaderField: "Content-Type")
            let token = AccessKeys(service.accessKey ?? "").restToken(path: call.path, endpoint: service.endpoint)
            request.setValue("Bearer \(token)", forHTTPHeaderField: "Authorization")
            try await Self.perform(request, at: service.serverEndpoint)
        }
    }

    private var receivers: String {
        if let user { return "/users/\(user.percentEncoded)" }
        if let group { return "/groups/\(group.percentEncoded)" }
        return connection.map { "/connections/\($0.percentEncoded)" } ?? ""
    }

    /// JSON arguments stay as they were typed, digit for digit.
    private func body() throws -> Data {
        var text = ByteBuffer(string: "{\"target\":")
        try JSON.write(.string(target), into: &text)
        text.writeString(",\"arguments\":[")
        for (index, argument) in arguments.enumerated() {
            if index > 0 { text.writeString(",") }
            do {
                _ = try JSON.value(from: ByteBuffer(string: argument))
                text.writeString(argument)
            } catch {
                try JSON.write(.string(argument), into: &text)
            }
        }
        text.writeString("]}")
        return Data(text.readableBytesView)
    }

    private static func perform(_ request: URLRequest, at endpoint: String) async throws {
        let (data, response): (Data, URLResponse)
        do {
            (data, response) = try await URLSession.shared.data(for: request)
        } catch {
            throw Failure(.unavailable, "cannot reach \(endpoint): \(error.localizedDescription)")
        }
        let status = (response as? HTTPURLResponse)?.statusCode ?? 0
        switch status {
        case 200..<300: break
        case 401: throw Failure(.noPermission, "\(endpoint) does not accept the access key")
        default: throw Failure(.general, "\(endpoint) answered \(status): \(String(decoding: data, as: UTF8.self))")
        }
    }
}
