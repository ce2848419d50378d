// SignalBox: the admin listener: the dashboard, its hub and the admin API, apart from what clients reach
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Foundation
import HTTPTypes
import Hummingbird
import Logging
import NIOCore
import ServiceLifecycle
import SignalR
import SignalRHummingbird
import SignalRService

/// A server of its own, on the same event loops.
struct AdminListener: Service {
    private let options: AdminOptions
    private let api: AdminAPI
    private let hub: HubServer
    private let endpoint: HubEndpoint
    private let observation: Observation
    private let group: any EventLoopGroup
    private let logger: Logger
    private let onListening: @Sendable (_ port: Int) -> Void

    /// - Parameters:
    ///   - endpoint: the public URL, once it is known.
    ///   - onListening: called with the port once it is open.
    init(
        _ options: AdminOptions, key: String, _ service: SignalBoxService, _ observation: Observation,
        endpoint: @escaping @Sendable () -> String?, metrics: @escaping @Sendable () -> String,
        group: any EventLoopGroup, logger: Logger,
        onListening: @escaping @Sendable (_ port: Int) -> Void
    ) throws {
        self.options = options
        self.observation = observation
        self.group = group
        self.logger = logger
        self.onListening = onListening
        let key = AdminKey(key)
        self.api = AdminAPI(
            service, observation, key: key, version: SignalBox.configuration.version, endpoint: endpoint,
            metrics: metrics)
        self.hub = try AdminHub.server(api, key: key, eventLoopGroup: group, logger: logger)
        self.endpoint = HubEndpoint(hub)
    }

    func run() async throws {
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { await AdminHub.keepTime(api, hub) }
            // Streams of the trace would hold up the end.
            try await withGracefulShutdownHandler {
                try await listen()
            } onGracefulShutdown: {
                observation.finish()
            }
            tasks.cancelAll()
        }
        _ = await hub.registry.drain(timeout: .seconds(1))
        endpoint.stop()
        hub.registry.stop()
    }

    private func listen() async throws {
        do {
            try await application(port: options.adminPort ?? AdminOptions.standardPort).run()
        } catch let error as IOError where error.errnoCode == EADDRINUSE && options.adminPort == nil {
            try await application(port: 0).run()
        } catch let error as IOError {
            let place = "\(options.adminHost):\(options.adminPort ?? 0)"
            throw Failure(
                .unavailable,
                """
                cannot listen on \(place) for the dashboard: \(String(cString: strerror(error.errnoCode))); choose another \
                --admin-host or --admin-port, or do without it by --no-admin
                """)
        }
    }

    private func application(port: Int) -> some ApplicationProtocol {
        let router = Router(options: .caseInsensitive)
        WebFile.addDashboard(to: router)
        router.serve(endpoint, at: "/hubs/admin")
        let methods: [HTTPRequest.Method] = [.get, .post, .head, .put, .delete, .patch]
        for path: RouterPath in ["/api/**", "/metrics", "/live", "/ready"] {
            for method in methods {
                router.on(path, method: method) { [api] request, _ in
                    Response(await api.respond(to: HubRequest(request, from: nil)))
                }
            }
        }
        return Application(
            router: router, server: .signalR(router),
            configuration: .init(address: .hostname(options.adminHost, port: port), backlog: 128),
            onServerRunning: { [onListening] in onListening($0.localAddress?.port ?? port) },
            eventLoopGroupProvider: .shared(group), logger: logger)
    }
}
