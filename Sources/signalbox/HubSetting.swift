// SignalBox: what one hub has otherwise, as people write it on a command line
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import SignalR
import SignalRService

/// `HUB/OPTION=VALUE`, such as `chat/client-timeout=1m`.
struct HubSetting: Hashable, ExpressibleByArgument {
    let hub: String
    let option: String
    let value: String

    /// The options of connections that a hub may have of its own, and how they get from one set to another.
    private static let connectionOptions: [String: @Sendable (HubOptions, inout HubOptions) -> Void] = [
        "handshake-timeout": { $1.handshakeTimeout = $0.handshakeTimeout },
        "keep-alive-interval": { $1.keepAliveInterval = $0.keepAliveInterval },
        "client-timeout": { $1.clientTimeout = $0.clientTimeout },
        "maximum-message-size": { $1.maximumReceiveMessageSize = $0.maximumReceiveMessageSize },
        "maximum-queue": { $1.maximumOutboundQueue = $0.maximumOutboundQueue },
        "websocket-compression": { $1.webSocketCompression = $0.webSocketCompression },
        "stateful-reconnect": { $1.allowStatefulReconnects = $0.allowStatefulReconnects },
        "detailed-errors": { $1.detailedErrors = $0.detailedErrors },
    ]

    /// All options that may stand for a hub alone.
    static var options: [String] { ["mode"] + connectionOptions.keys.sorted() }

    init?(argument: String) {
        guard let slash = argument.firstIndex(of: "/"),
            let equals = argument[slash...].firstIndex(of: "="),
            let hub = HubName(effective: String(argument[..<slash]))
        else { return nil }
        self.hub = hub.description
        self.option = String(argument[argument.index(after: slash)..<equals])
        self.value = String(argument[argument.index(after: equals)...])
        guard option == "mode" ? ServiceMode(rawValue: value) != nil : (try? change()) != nil else { return nil }
    }

    var argument: String { "\(hub)/\(option)=\(value)" }

    /// What the setting does to the options of a hub's connections.
    private func change() throws -> (inout HubOptions) -> Void {
        guard let copy = Self.connectionOptions[option] else { throw ValidationError("Unknown option.") }
        let setting = Serve.settings.first { $0.name == option }
        let words = try setting.map { $0.arguments(for: try $0.values(in: value)) } ?? []
        let parsed = try Serve.Connections.parse(words).hubOptions
        return { copy(parsed, &$0) }
    }

    /// What hubs have otherwise than `connections`.
    static func exceptions(
        _ settings: [HubSetting], from connections: HubOptions
    ) throws -> [String: HubException] {
        var hubs: [String: HubException] = [:]
        for setting in settings {
            if setting.option == "mode" {
                hubs[setting.hub, default: .init()].mode = ServiceMode(rawValue: setting.value)
            } else {
                var options = hubs[setting.hub]?.connections ?? connections
                try setting.change()(&options)
                hubs[setting.hub, default: .init()].connections = options
            }
        }
        return hubs
    }
}
