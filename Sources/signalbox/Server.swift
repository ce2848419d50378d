// SignalBox: signalbox serve at work: listen, say so, drain
// SPDX-License-Identifier: Apache-2.0

import Foundation
import Hummingbird
import Logging
import NIOConcurrencyHelpers
import NIOCore
import NIOPosix
import ServiceLifecycle
import SignalR
import SignalRAccess
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
    private let doors: [Door]
    private let threshold: LogThreshold
    private let logger = Logger(label: "signalbox")

    /// - Parameter threshold: what the log goes by.
    init(_ options: Serve, threshold: LogThreshold, metrics: PrometheusMetrics) throws {
        self.options = options
        self.threshold = threshold
        self.metrics = metrics
        self.key = try options.access.key()
        self.doors = try options.listening.places.map { try Door($0) }
        self.group = MultiThreadedEventLoopGroup(numberOfThreads: options.listening.threads)
        var settings = try options.serviceOptions(key: key)
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
        let ready = Ready(count: doors.count) { channels in
            announcement.listens(
                at: zip(doors, channels).map { $0.url(of: $1) }, on: channels[0].localAddress?.port ?? 0)
        }
        let apps = try doors.enumerated().map { index, door in
            try door.service(router, group: group, logger: logger) { ready.note($0, of: index) }
        }
        let draining = Draining {
            await playground?.drain(timeout: Self.drainTime)
            await service.drain(timeout: Self.drainTime)
        }
        // The last service stops first: no new clients, and those there are told to leave; then hub code may finish.
        // One that fails ends the others in order, too.
        var services = ([draining as any Service] + apps).map {
            ServiceGroupConfiguration.ServiceConfiguration(
                service: $0, failureTerminationBehavior: .gracefullyShutdownGroup)
        }
        if let observation = service.observation, let adminKey {
            let listener = try AdminListener(
                options.admin, key: adminKey, service, observation, endpoint: { announcement.url },
                metrics: { [metrics] in metrics.text }, group: group, logger: logger
            ) { announcement.adminListens(on: $0) }
            services.append(.init(service: listener, failureTerminationBehavior: .gracefullyShutdownGroup))
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
            classic.transports = options.connections.transports.names
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

    // MARK: Life

    private func run(_ services: ServiceGroup) async throws {
        // Trapped before anybody is told that the server is ready, since the next thing they do may be to end it.
        // Without a file there is nothing to read again, and SIGHUP says that the terminal is gone.
        let reload =
            options.config == nil
            ? nil : try Reload(service, doors: doors, threshold: threshold, key: key, logger: logger)
        let trapped = await UnixSignalsSequence(trapping: [.sigterm, .sigint] + (reload == nil ? [] : [.sighup]))
        let signals = Task {
            var (isEnding, reload) = (false, reload)
            for await signal in trapped {
                if signal == .sighup {
                    await reload?.run()
                    continue
                }
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
        } catch is CancellationError {
            logger.warning("Clients were still there after the time to leave.")
        } catch {
            throw Failure(.general, "cannot serve: \(error)")
        }
    }

}

/// Collects the doors' channels until all are there.
private final class Ready: Sendable {
    private let channels: NIOLockedValueBox<[Int: any Channel]> = .init([:])
    private let count: Int
    private let done: @Sendable ([any Channel]) -> Void

    init(count: Int, done: @escaping @Sendable ([any Channel]) -> Void) {
        self.count = count
        self.done = done
    }

    func note(_ channel: any Channel, of index: Int) {
        let all: [any Channel]? = channels.withLockedValue { channels in
            channels[index] = channel
            return channels.count == count ? channels.sorted { $0.key < $1.key }.map(\.value) : nil
        }
        if let all { done(all) }
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
