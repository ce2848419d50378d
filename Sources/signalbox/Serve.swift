// SignalBox: signalbox serve: its options
// SPDX-License-Identifier: Apache-2.0

public import ArgumentParser
import CoreMetrics
import Foundation
public import Logging
import SignalR
public import SignalRService

extension ServiceMode: ExpressibleByArgument {}

extension Logger.Level: @retroactive ExpressibleByArgument {}

struct Serve: AsyncParsableCommand, Configurable {
    static let configuration = CommandConfiguration(
        commandName: "serve",
        abstract: "Serve clients and REST callers.",
        discussion: """
            Prints a line with the connection string once it listens, and one with the dashboard's address. SIGTERM and SIGINT end it \
            in order: clients are told to come back, and have 10 seconds; a second signal ends it at once. With --config, SIGHUP reads \
            the file again: keys, origins, upstream, limits, certificates and the log level change without anybody being disconnected.

            Examples:
              signalbox serve
              signalbox serve --config signalbox.yaml
              signalbox serve --playground --port 0
              signalbox serve --host 0.0.0.0 --tls-certificate cert.pem --tls-key key.pem
              signalbox serve --no-auth --allow-origin http://localhost:3000
              signalbox serve --mode serverless --upstream 'http://localhost:7071/runtime/webhooks/signalr'
              signalbox serve --mode serverless --upstream 'chat/messages/*=http://localhost:3000/{hub}/{event}'
            """)

    static let settings: [Setting] =
        [
            "config", "host", "port", "tls-certificate", "tls-key", .list("listen"), "threads",
            "access-key", "secondary-access-key", "data-folder", "mode", .flag("no-auth"), .list("allow-origin"),
            .list("allow-hub"), .list("hub-setting"),
            .flag("playground"), .flag("classic-jsonp"),
            .list("upstream"), "upstream-timeout", "upstream-concurrency", .flag("upstream-refusals"), "database",
            "negotiate-timeout", "handshake-timeout", "keep-alive-interval", "client-timeout", "maximum-message-size",
            "maximum-queue",
            "transports", .flag("websocket-compression"), .flag("stateful-reconnect"), .flag("detailed-errors"),
            "log-level", "log-format",
        ] + Limits.settings + AdminOptions.settings

    @Option(
        help: ArgumentHelp(
            "A file with settings, YAML or JSON; options and variables win. signalbox print-config --defaults shows what it may say. [SIGNALBOX_CONFIG]",
            valueName: "file"),
        completion: .file(extensions: ["yaml", "yml", "json"]))
    var config: String?

    @OptionGroup(title: "Listening") var listening: Listening
    @OptionGroup(title: "Access") var access: Access
    @OptionGroup(title: "Serverless mode") var serverless: Serverless
    @OptionGroup(title: "Connections") var connections: Connections
    @OptionGroup(title: "Limits (0 is no limit)") var limits: Limits
    @OptionGroup(title: "Dashboard and admin API") var admin: AdminOptions

    @Flag(help: "Serve a chat and a whiteboard at /, over hubs of this program. [SIGNALBOX_PLAYGROUND]")
    var playground = false

    @Option(
        help: ArgumentHelp(
            "What to log on standard error: trace, debug, info, notice, warning, error or critical. [SIGNALBOX_LOG_LEVEL]",
            valueName: "level"))
    var logLevel = Logger.Level.notice

    @Option(
        help: ArgumentHelp(
            "How to log: text for people, json for programs, an object per line. [SIGNALBOX_LOG_FORMAT]",
            valueName: "format"))
    var logFormat = LogFormat.text

    func validate() throws {
        let isServerless =
            access.mode == .serverless || access.hubSetting.contains { $0.option == "mode" && $0.value == "serverless" }
        if !serverless.upstream.isEmpty, !isServerless {
            throw ValidationError("--upstream needs --mode serverless.")
        }
    }

    func run() async throws {
        try await reportingFailures {
            let threshold = LogThreshold(logLevel)
            LoggingSystem.bootstrap { [logFormat] in threshold.applied(to: logFormat.handler($0, .trace)) }
            let metrics = PrometheusMetrics()
            if !admin.noAdmin { MetricsSystem.bootstrap(metrics) }
            try await Server(self, threshold: threshold, metrics: metrics).run()
        }
    }
}

extension Serve {
    struct Listening: ParsableArguments {
        @Option(help: ArgumentHelp("The address to listen on; 0.0.0.0 for all. [SIGNALBOX_HOST]", valueName: "address"))
        var host = "127.0.0.1"

        @Option(help: ArgumentHelp("The port to listen on; 0 for a free one. [SIGNALBOX_PORT]", valueName: "number"))
        var port = 8888

        @Option(
            help: ArgumentHelp(
                "Serve https with this certificate chain (PEM). [SIGNALBOX_TLS_CERTIFICATE]", valueName: "file"),
            completion: .file(extensions: ["pem", "crt"]))
        var tlsCertificate: String?

        @Option(
            help: ArgumentHelp("The certificate's private key (PEM). [SIGNALBOX_TLS_KEY]", valueName: "file"),
            completion: .file(extensions: ["pem", "key"]))
        var tlsKey: String?

        @Option(
            help: ArgumentHelp(
                "A further place to listen at: http://HOST:PORT, or 'https://HOST:PORT;certificate=FILE;key=FILE'; repeat it for several (commas in the variable). [SIGNALBOX_LISTEN]",
                valueName: "place"))
        var listen: [Listener] = []

        @Option(help: ArgumentHelp("Event loops, one thread each. [SIGNALBOX_THREADS]", valueName: "number"))
        var threads = ProcessInfo.processInfo.activeProcessorCount

        func validate() throws {
            guard (0...65_535).contains(port) else { throw ValidationError("--port must be a number from 0 to 65535.") }
            guard (1...1024).contains(threads) else {
                throw ValidationError("--threads must be a number from 1 to 1024.")
            }
            guard (tlsCertificate == nil) == (tlsKey == nil) else {
                throw ValidationError("--tls-certificate and --tls-key go together.")
            }
        }

        /// Every place, the one that is named first of all.
        var places: [Listener] {
            var tls: TLSFiles?
            if let tlsCertificate, let tlsKey { tls = TLSFiles(certificate: tlsCertificate, key: tlsKey) }
            return [Listener(host: host, port: port, tls: tls)] + listen
        }
    }

    struct Access: ParsableArguments {
        @Option(
            help: ArgumentHelp(
                "The secret that signs tokens, 32 characters or more. Without it, one is made and kept in the data folder. [SIGNALBOX_ACCESS_KEY]",
                valueName: "key"))
        var accessKey: String?

        @Option(
            help: ArgumentHelp(
                "A second secret whose tokens are accepted too, so that the first one can be replaced without a pause. [SIGNALBOX_SECONDARY_ACCESS_KEY]",
                valueName: "key"))
        var secondaryAccessKey: String?

        @Option(
            help: ArgumentHelp("Where the made key is kept. [SIGNALBOX_DATA_FOLDER]", valueName: "folder"),
            completion: .directory)
        var dataFolder = DataFolder.standard

        @Option(
            help: ArgumentHelp(
                """
                Who answers what clients call. classic: an app server where one is attached, else nobody. default: app servers, and \
                clients are refused while there is none. serverless: webhooks. [SIGNALBOX_MODE]
                """,
                valueName: "mode"))
        var mode = ServiceMode.classic

        @Option(
            help: ArgumentHelp(
                "An SQLite file that keeps which groups users are in; it is made if there is none. (default: kept in memory only) [SIGNALBOX_DATABASE]",
                valueName: "file"),
            completion: .file(extensions: ["sqlite", "db"]))
        var database: String?

        @Flag(
            help:
                "Let everybody in, for play. A client may choose its user by the query key userId. [SIGNALBOX_NO_AUTH]")
        var noAuth = false

        @Option(
            help: ArgumentHelp(
                "A browser origin that may connect; repeat it for several (commas in the variable). (default: all) [SIGNALBOX_ALLOW_ORIGIN]",
                valueName: "origin"))
        var allowOrigin: [String] = []

        @Option(
            help: ArgumentHelp(
                "A hub that may be used; repeat it for several (commas in the variable). (default: all) [SIGNALBOX_ALLOW_HUB]",
                valueName: "name"))
        var allowHub: [String] = []

        @Option(
            help: ArgumentHelp(
                "An option for one hub alone: chat/mode=serverless, chat/client-timeout=1m …, for mode and the options of connections; repeat it for several (commas in the variable). [SIGNALBOX_HUB_SETTING]",
                valueName: "hub/option=value"))
        var hubSetting: [HubSetting] = []

        @Flag(
            help:
                "Answer JSONP requests of ASP.NET SignalR 2.x clients, which any page can send. [SIGNALBOX_CLASSIC_JSONP]"
        )
        var classicJsonp = false

        func validate() throws {
            if let name = allowHub.first(where: { HubName(effective: $0) == nil }) {
                throw ValidationError("--allow-hub: '\(name)' is not the name of a hub.")
            }
            guard !noAuth else { return }
            if let accessKey, !AccessKeys.isLongEnough(accessKey) {
                throw ValidationError(
                    """
                    The access key has \(accessKey.count) characters, and \(AccessKeys.minimumLength) are needed. \
                    Leave --access-key out to have a good one made, or let everybody in with --no-auth for play.
                    """)
            }
            if let secondaryAccessKey, !AccessKeys.isLongEnough(secondaryAccessKey) {
                throw ValidationError(
                    """
                    The second key has \(secondaryAccessKey.count) characters, and \(AccessKeys.minimumLength) are needed; \
                    make a longer one for --secondary-access-key, or leave it out.
                    """)
            }
        }

        /// The key in use. In play mode it is shown but asked of nobody, so a made-up one is not kept.
        func key() throws -> String {
            if let accessKey { return accessKey }
            return noAuth ? AccessKeys.makeKey() : try DataFolder(path: dataFolder).accessKeyOrNew()
        }
    }

    struct Serverless: ParsableArguments {
        private static let standard = UpstreamOptions()

        @Option(
            help: ArgumentHelp(
                "Who hears of clients and answers their calls: a URL in which {hub}, {category} and {event} are filled in. hub/category/event= before it limits it to these (* for all); repeat it for several, the first that fits counts (commas in the variable). [SIGNALBOX_UPSTREAM]",
                valueName: "url"))
        var upstream: [String] = []

        @Option(
            help: ArgumentHelp(
                "How long upstream may take for one event. [SIGNALBOX_UPSTREAM_TIMEOUT]", valueName: "time"))
        var upstreamTimeout = Interval.seconds(100)

        @Option(
            help: ArgumentHelp(
                "Requests under way to one upstream; more wait. [SIGNALBOX_UPSTREAM_CONCURRENCY]",
                valueName: "number"))
        var upstreamConcurrency = standard.maximumConcurrency

        @Flag(
            help:
                "Disconnect a client whose connecting upstream answers with 401 or 403. [SIGNALBOX_UPSTREAM_REFUSALS]")
        var upstreamRefusals = false

        func validate() throws {
            guard (1...4096).contains(upstreamConcurrency) else {
                throw ValidationError("--upstream-concurrency must be a number from 1 to 4096.")
            }
            _ = try rules()
        }

        private func rules() throws -> [UpstreamRule] {
            try upstream.map { text in
                do {
                    return try UpstreamRule(text)
                } catch {
                    throw ValidationError("--upstream: \(error)")
                }
            }
        }

        func options() throws -> UpstreamOptions {
            var options = UpstreamOptions(rules: try rules())
            options.timeout = upstreamTimeout.duration
            options.maximumConcurrency = upstreamConcurrency
            options.refusalsEndClients = upstreamRefusals
            return options
        }
    }

    struct Connections: ParsableArguments {
        private static let standard = HubOptions()

        @Option(
            help: ArgumentHelp(
                "How long a client that negotiated has to connect. [SIGNALBOX_NEGOTIATE_TIMEOUT]", valueName: "time"))
        var negotiateTimeout = Interval.seconds(5)

        @Option(
            help: ArgumentHelp(
                "How long a client's handshake may take. [SIGNALBOX_HANDSHAKE_TIMEOUT]", valueName: "time"))
        var handshakeTimeout = Interval.seconds(15)

        @Option(help: ArgumentHelp("How often clients are pinged. [SIGNALBOX_KEEP_ALIVE_INTERVAL]", valueName: "time"))
        var keepAliveInterval = Interval.seconds(15)

        @Option(help: ArgumentHelp("How long a client may be silent. [SIGNALBOX_CLIENT_TIMEOUT]", valueName: "time"))
        var clientTimeout = Interval.seconds(30)

        @Option(
            help: ArgumentHelp(
                "Bytes of one message from a client; 0 for no limit. [SIGNALBOX_MAXIMUM_MESSAGE_SIZE]",
                valueName: "size"))
        var maximumMessageSize = ByteCount(standard.maximumReceiveMessageSize ?? 0)

        @Option(
            help: ArgumentHelp(
                "Bytes that may wait for a slow client before it is disconnected. [SIGNALBOX_MAXIMUM_QUEUE]",
                valueName: "size"))
        var maximumQueue = ByteCount(standard.maximumOutboundQueue)

        @Option(
            help: ArgumentHelp(
                "The transports that clients may use, separated by commas: webSockets, serverSentEvents, longPolling, and foreverFrame for old browsers. [SIGNALBOX_TRANSPORTS]",
                valueName: "names"))
        var transports = TransportList.all

        @Flag(help: "Compress WebSocket messages for clients that offer it. [SIGNALBOX_WEBSOCKET_COMPRESSION]")
        var websocketCompression = false

        @Flag(help: "Let clients resume lost WebSockets without a new connection. [SIGNALBOX_STATEFUL_RECONNECT]")
        var statefulReconnect = false

        @Flag(help: "Tell clients the details of errors. [SIGNALBOX_DETAILED_ERRORS]")
        var detailedErrors = false

        var hubOptions: HubOptions {
            var options = HubOptions()
            options.negotiateTimeout = negotiateTimeout.duration
            options.handshakeTimeout = handshakeTimeout.duration
            options.keepAliveInterval = keepAliveInterval.duration
            options.clientTimeout = clientTimeout.duration
            options.maximumReceiveMessageSize = maximumMessageSize.bytes == 0 ? nil : maximumMessageSize.bytes
            options.maximumOutboundQueue = maximumQueue.bytes
            options.transports = transports.kinds
            options.webSocketCompression = websocketCompression
            options.allowStatefulReconnects = statefulReconnect
            options.detailedErrors = detailedErrors
            return options
        }
    }
}
