// SignalBox: signalbox serve at work: listen, say so, drain
// SPDX-License-Identifier: Apache-2.0

import Foundation
import Hummingbird
import HummingbirdCore
import HummingbirdTLS
import Logging
import NIOCore
import NIOPosix
import NIOSSL
import ServiceLifecycle
import SignalR
import SignalRClassic
import SignalRHummingbird
import SignalRService
import SignalRServiceStore
import UnixSignals

/// One run of the server, from its options to its end.
struct Server {
    /// What clients and requests in progress have to finish after a signal.
    private static let drainTime = Duration.seconds(10)

    private let options: Serve
    private let key: String
    private let metrics: PrometheusMetrics
    private let group: MultiThreadedEventLoopGroup
    private let service: SignalBoxService
    private let logger = Logger(label: "signalbox")

    init(_ options: Serve, metrics: PrometheusMetrics) throws {
        self.options = options
        self.metrics = metrics
        self.key = try options.access.key()
        self.group = MultiThreadedEventLoopGroup(numberOfThreads: options.listening.threads)
        var settings = SignalBoxService.Options(
            keys: AccessKeys(key, secondary: options.access.secondaryAccessKey))
        settings.mode = options.access.mode
        settings.requiresAuthentication = !options.access.noAuth
        settings.connections = options.connections.hubOptions
        if !options.access.allowOrigin.isEmpty { settings.allowedOrigins = options.access.allowOrigin }
        settings.upstream = try options.serverless.options()
        if options.listening.tlsCertificate != nil { settings.scheme = "https" }
        settings.isObserved = !options.admin.noAdmin
        settings.store = try options.access.database.map(Self.store)
        self.service = try SignalBoxService(settings, eventLoopGroup: group, logger: logger)
    }

    private static func store(_ path: String) throws -> SQLiteStore {
        do {
            return try SQLiteStore(path: path)
        } catch {
            throw Failure(.cannotCreate, "cannot use the database \(path): \(error)")
        }
    }

    func run() async throws {
        do {
            try await service.restore()
        } catch {
            throw Failure(.configuration, "cannot read the database \(options.access.database ?? ""): \(error)")
        }
        let folder = DataFolder(path: options.access.dataFolder)
        let adminKey = service.observation == nil ? nil : options.admin.key(in: folder, logger)
        let announcement = Announcement(options, accessKey: key, adminKey: adminKey)
        let router = Router(options: .caseInsensitive)
        router.serve(service)
        WebFile.addRoutes(to: router, playground: options.playground)
        let playground =
            options.playground
            ? try Playground(
                router, options: playgroundOptions, classic: try classicOptions, group: group,
                observation: service.observation) : nil
        let app = Application(
            router: router, server: try server(router),
            configuration: .init(
                address: .hostname(options.listening.host, port: options.listening.port), backlog: 1024),
            onServerRunning: { announcement.listens(on: $0.localAddress?.port ?? 0) },
            eventLoopGroupProvider: .shared(group), logger: logger)
        let draining = Draining {
            await playground?.drain(timeout: Self.drainTime)
            await service.drain(timeout: Self.drainTime)
        }
        // The last service stops first: no new clients, and those there are told to leave; then hub code may finish.
        var services: [any Service] = [draining, app]
        if let observation = service.observation, let adminKey {
            services.append(
                try AdminListener(
                    options.admin, key: adminKey, service, observation, endpoint: { announcement.url },
                    metrics: { [metrics] in metrics.text }, group: group, logger: logger
                ) { announcement.adminListens(on: $0) })
        }
        defer { announcement.withdraw() }
        var configuration = ServiceGroupConfiguration(services: services, logger: logger)
        configuration.maximumGracefulShutdownDuration = Self.drainTime
        try await run(ServiceGroup(configuration: configuration))
    }

    /// Tokens outlive the process, since the key that protects them does.
    private var classicOptions: ClassicOptions {
        get throws {
            var classic = ClassicOptions()
            classic.keys = try ClassicKeys(secrets: [key])
            classic.cors = playgroundOptions.cors
            classic.enableJSONP = options.access.classicJsonp
            classic.maximumOutboundQueue = options.connections.maximumQueue.bytes
            return classic
        }
    }

    private var playgroundOptions: HubOptions {
        var options = options.connections.hubOptions
        options.cors = CrossOrigin(self.options.access.allowOrigin.isEmpty ? ["*"] : self.options.access.allowOrigin)
        return options
    }

    // MARK: TLS

    private func server(_ router: Router<BasicRequestContext>) throws -> HTTPServerBuilder {
        guard let certificate = options.listening.tlsCertificate, let key = options.listening.tlsKey else {
            return .signalR(router)
        }
        return try .tls(.signalR(router), tlsConfiguration: tls(certificate, key))
    }

    private func tls(_ certificate: String, _ key: String) throws -> TLSConfiguration {
        let chain: [NIOSSLCertificate]
        do {
            chain = try NIOSSLCertificate.fromPEMFile(certificate)
        } catch {
            throw Failure(.configuration, "cannot read a certificate from \(certificate)")
        }
        do {
            let key = try NIOSSLPrivateKey(file: key, format: .pem)
            return .makeServerConfiguration(
                certificateChain: chain.map { .certificate($0) }, privateKey: .privateKey(key))
        } catch {
            throw Failure(.configuration, "cannot read a private key from \(key)")
        }
    }

    // MARK: Life

    private func run(_ services: ServiceGroup) async throws {
        // Trapped before anybody is told that the server is ready, since the next thing they do may be to end it.
        let trapped = await UnixSignalsSequence(trapping: .sigterm, .sigint)
        let signals = Task {
            var isEnding = false
            for await signal in trapped {
                if isEnding { exit(128 + (signal == .sigint ? SIGINT : SIGTERM)) }
                isEnding = true
                logger.notice("Ending", metadata: ["signal": "\(signal)"])
                await services.triggerGracefulShutdown()
            }
        }
        defer { signals.cancel() }
        do {
            try await services.run()
        } catch let failure as Failure {
            throw failure
        } catch let error as IOError {
            throw Failure(.unavailable, Self.explain(error, options.listening))
        } catch is CancellationError {
            logger.warning("Clients were still there after the time to leave.")
        } catch {
            throw Failure(.general, "cannot serve: \(error)")
        }
    }

    private static func explain(_ error: IOError, _ listening: Serve.Listening) -> String {
        let place = "\(listening.host):\(listening.port)"
        return switch error.errnoCode {
        case EADDRINUSE: "\(place) is in use by another program; choose another --port, or 0 for a free one"
        case EACCES: "not allowed to listen on \(place); ports below 1024 need special rights"
        case EADDRNOTAVAIL: "\(listening.host) is not an address of this machine"
        default: "cannot listen on \(place): \(String(cString: strerror(error.errnoCode)))"
        }
    }
}

/// Work that comes after the server stopped.
private struct Draining: Service {
    let drain: @Sendable () async -> Void

    func run() async throws {
        try await gracefulShutdown()
        await drain()
    }
}
