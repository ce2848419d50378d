// SignalBox: what a configuration file may say: the table of its keys
// SPDX-License-Identifier: Apache-2.0

/// A key of the configuration file: another way to write an option of `signalbox serve`.
///
/// Meaning and default are those of the option's help text, so that this table is all there is to add for a new option.
struct ConfigurationKey {
    enum Kind {
        case text, number, flag, time, size, list
        /// A path; a relative one starts at the folder of the configuration file.
        case file
        /// Paths of PEM files, which are looked into.
        case certificate, privateKey
        /// Shown as `***`.
        case secret
    }

    /// Whether a change takes effect by a reload.
    enum Effect { case reloads, restarts }

    /// Its place in the file, sections first: `access.primaryKey`.
    let path: String
    /// The option's name, without dashes.
    let option: String
    let kind: Kind
    let effect: Effect
    /// The default as documents name it, where it depends on the machine.
    let standard: String?

    private init(
        _ path: String, _ option: String, _ kind: Kind = .text, _ effect: Effect = .restarts, standard: String? = nil
    ) {
        self.path = path
        self.option = option
        self.kind = kind
        self.effect = effect
        self.standard = standard
    }

    var section: String { path.split(separator: ".").dropLast().joined(separator: ".") }
    var name: String { path.split(separator: ".").last.map(String.init) ?? path }

    /// One line per option, in the order of documents. Sections with a shape of their own are in ``ConfigurationSection``.
    static let all: [ConfigurationKey] = [
        .init("mode", "mode"),
        .init("threads", "threads", .number, standard: "one per core"),
        .init("playground", "playground", .flag),
        .init("listen.host", "host"),
        .init("listen.port", "port", .number),
        .init("listen.tls.certificate", "tls-certificate", .certificate),
        .init("listen.tls.key", "tls-key", .privateKey),
        .init("access.primaryKey", "access-key", .secret, .reloads),
        .init("access.secondaryKey", "secondary-access-key", .secret, .reloads),
        .init("access.noAuth", "no-auth", .flag),
        .init("access.allowedOrigins", "allow-origin", .list, .reloads),
        .init("access.allowedHubs", "allow-hub", .list, .reloads),
        .init("access.classicJsonp", "classic-jsonp", .flag),
        .init("storage.folder", "data-folder", .file, standard: "`~/.local/share/signalbox`"),
        .init("storage.database", "database", .file),
        .init("upstream.timeout", "upstream-timeout", .time, .reloads),
        .init("upstream.concurrency", "upstream-concurrency", .number, .reloads),
        .init("upstream.refusals", "upstream-refusals", .flag, .reloads),
        .init("connections.negotiateTimeout", "negotiate-timeout", .time),
        .init("connections.handshakeTimeout", "handshake-timeout", .time, .reloads),
        .init("connections.keepAliveInterval", "keep-alive-interval", .time, .reloads),
        .init("connections.clientTimeout", "client-timeout", .time, .reloads),
        .init("connections.maximumMessageSize", "maximum-message-size", .size, .reloads),
        .init("connections.maximumQueue", "maximum-queue", .size, .reloads),
        .init("connections.websocketCompression", "websocket-compression", .flag, .reloads),
        .init("connections.statefulReconnect", "stateful-reconnect", .flag, .reloads),
        .init("connections.detailedErrors", "detailed-errors", .flag, .reloads),
        .init("connections.transports", "transports", .text, .reloads),
        .init("limits.connections", "maximum-connections", .number, .reloads),
        .init("limits.connectionsPerHub", "maximum-connections-per-hub", .number, .reloads),
        .init("limits.connectionsPerUser", "maximum-connections-per-user", .number, .reloads),
        .init("limits.connectionsOfHub", "hub-quota", .list, .reloads),
        .init("limits.connectionsOfUser", "user-quota", .list, .reloads),
        .init("limits.connectsPerSecond", "connects-per-second", .text, .reloads),
        .init("limits.messagesPerSecond", "messages-per-second", .text, .reloads),
        .init("limits.bytesPerSecond", "bytes-per-second", .text, .reloads),
        .init("limits.messagesPerSecondPerUser", "messages-per-second-per-user", .text, .reloads),
        .init("limits.bytesPerSecondPerUser", "bytes-per-second-per-user", .text, .reloads),
        .init("limits.requestsPerSecond", "requests-per-second", .text, .reloads),
        .init("limits.serverConnections", "maximum-server-connections", .number, .reloads),
        .init("admin.host", "admin-host"),
        .init("admin.port", "admin-port", .number),
        .init("admin.key", "admin-key", .secret),
        .init("admin.off", "no-admin", .flag),
        .init("logging.format", "log-format"),
        .init("logging.level", "log-level", .text, .reloads),
    ]

    /// Options whose place in the file has a shape of its own.
    static let items: [(option: String, path: String, effect: Effect)] = [
        ("listen", "listen", .restarts), ("upstream", "upstream.templates", .reloads),
        ("hub-setting", "hubs", .reloads),
    ]

    static func path(ofOption option: String) -> String? {
        all.first { $0.option == option }?.path ?? items.first { $0.option == option }?.path
    }

    static func effect(ofOption option: String) -> Effect {
        all.first { $0.option == option }?.effect ?? items.first { $0.option == option }?.effect ?? .restarts
    }
}
