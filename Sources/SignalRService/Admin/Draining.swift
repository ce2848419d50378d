// SignalBox: taking a service out of use: nobody new, and those there leave in batches
// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import Logging
import NIOConcurrencyHelpers
import NIOCore
package import SignalR
import SignalRWire
import Synchronization

extension SignalBoxService {
    /// Clients that are told to leave each second: so many that all have been told after this time, and no fewer than the batch.
    private static let drainSeconds = 15
    private static let smallestBatch = 500
    private static let retryAfter = 5

    /// Whether new clients are turned away, so that they go to another instance.
    package var isDraining: Bool { drainState.load(ordering: .relaxed) }

    /// From now on the service is not ready, negotiations are answered with 503, and the clients that are here are told to reconnect,
    /// a batch each second. App servers stay.
    /// - Returns: false when that has begun already.
    @discardableResult
    package func beginDraining() -> Bool {
        guard drainState.compareExchange(expected: false, desired: true, ordering: .relaxed).exchanged else {
            return false
        }
        logger.notice("Draining")
        Task { [weak self] in
            while let self, !self.isOver.load(ordering: .relaxed) {
                await self.dismissBatch()
                try? await Task.sleep(for: .seconds(1))
            }
        }
        return true
    }

    private func dismissBatch() async {
        let hubs = observedHubs
        var clients: [Connection] = []
        for hub in hubs { clients += await hub.registry.connections(in: .all) }
        let batch = max(
            Self.smallestBatch,
            batchSize.withLockedValue { size in
                size = max(size, (clients.count + Self.drainSeconds - 1) / Self.drainSeconds)
                return size
            })
        for client in clients.prefix(batch) { client.onLoop { client.close(.shutdown) } }
    }

    /// What a client that comes now is told; nil while it may come. Clients that are here already go on.
    func drainRefusal(_ request: HubRequest) -> HubResponse? {
        guard isDraining else { return nil }
        // Classic clients have negotiated whatever else they ask for.
        let isClassic = request.path.lowercased().hasPrefix("/aspnetclient")
        let isNew =
            request.path.lowercased().hasSuffix("/negotiate")
            || request.method == .get && request.query("id") == nil && !isClassic
        guard isNew else { return nil }
        var response = HubResponse.text(.serviceUnavailable, "The service is going out of use; try again.")
        // Spread, so that those who are turned away together do not come back together.
        response.headers[.retryAfter] = "\(Self.retryAfter + Int.random(in: 0...Self.retryAfter))"
        return response.uncached()
    }

    /// `/live` and `/ready`: 200, or 503 for a service that clients should not be sent to.
    func health(isReadiness: Bool, _ method: HTTPRequest.Method) throws(AdminError) -> HubResponse {
        guard method == .get || method == .head else { throw .wrongMethod("GET") }
        let isReady = !isReadiness || !isDraining
        return .text(isReady ? .ok : .serviceUnavailable, isReady ? "ok\n" : "draining\n")
    }

    /// The same for the public listener.
    package func readiness() -> HubResponse {
        .text(isDraining ? .serviceUnavailable : .ok, isDraining ? "draining\n" : "ok\n").uncached()
    }
}

extension AdminAPI {
    func drain(_ body: HubValue) async throws(AdminError) -> HubValue {
        service.beginDraining()
        return .members(["draining": true])
    }
}
