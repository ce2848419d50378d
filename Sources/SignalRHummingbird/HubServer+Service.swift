// SignalBox: a hub among the services of an app: at shutdown it waits for what the hub still does
// SPDX-License-Identifier: Apache-2.0

import Logging
public import ServiceLifecycle
public import SignalR
public import SignalRClassic

/// Added to an app's services (`app.addServices(chat)`), a hub holds the end of the app until `onDisconnected` has run for every
/// connection, at most 10 seconds. The server itself tells clients to come back, with or without it.
extension HubServer: Service {
    public func run() async throws { await registry.drainAtShutdown() }
}

/// The same for raw connections: it waits for their handlers.
extension RawServer: Service {
    public func run() async throws { await registry.drainAtShutdown() }
}

/// The same for classic clients, of a persistent connection above all: hubs of their own wait for themselves.
extension ClassicServer: Service {
    public func run() async throws { await registry.drainAtShutdown() }
}

extension ConnectionRegistry {
    fileprivate func drainAtShutdown() async {
        try? await gracefulShutdown()
        let left = await drain(timeout: .seconds(10))
        if left > 0 { logger.warning("Connections were still in use at shutdown", metadata: ["count": "\(left)"]) }
        stop()
    }
}
