// SignalBox: everything that is kept for operators of a service: events, counts, deliveries, history
// SPDX-License-Identifier: Apache-2.0

import NIOConcurrencyHelpers
import NIOCore
package import SignalR

/// What an operator can see of a service. Nothing of it is there while ``SignalBoxService/Options/isObserved`` is off.
package final class Observation: Sendable {
    /// Since the start, but for `transports`, which is now.
    struct Counts: Sendable {
        var accepted = 0
        var rejected = 0
        var closed = 0
        var reasons: [String: Int] = [:]
        var transports: [TransportKind: Int] = [:]
    }

    let startedAt = UnixTime.now
    let journal = EventJournal()
    let watches = Watches()
    let deliveries = NIOLockedValueBox(Ring<UpstreamDelivery>(capacity: 500))
    let history = History()
    let loopDelay: LoopDelay
    let eventLoops: [any EventLoop]
    private let countsBox = NIOLockedValueBox(Counts())
    /// Hubs that run in this process beside those of the service.
    private let ownHubs = NIOLockedValueBox<[ObservedHub]>([])

    init(eventLoopGroup: any EventLoopGroup) {
        self.eventLoops = eventLoopGroup.makeIterator().map { $0 }
        self.loopDelay = LoopDelay(eventLoops)
    }

    var counts: Counts { countsBox.withLockedValue { $0 } }
    func counted(_ change: (inout Counts) -> Void) { countsBox.withLockedValue { change(&$0) } }

    /// Keeps an event and shows it to those who watch.
    func record(_ event: ServiceEvent) {
        journal.append(event)
        if !watches.isEmpty { watches.offer(event) }
    }

    /// For ``HubOptions``: who is told of the connections of that hub.
    package func observer(ofHub name: String) -> any ConnectionObserver { HubObserver(name, self) }

    /// Shows a hub of this process beside the hubs of the service. It must have been made with ``observer(ofHub:)``.
    package func add(_ name: String, _ server: HubServer) {
        ownHubs.withLockedValue { $0.append(ObservedHub(name: name, server: server, relay: nil)) }
    }

    var hubsOfProcess: [ObservedHub] { ownHubs.withLockedValue { $0 } }

    /// Lets go of everybody who watches.
    package func finish() {
        watches.finish()
        loopDelay.stop()
    }
}

/// A hub that operators see.
struct ObservedHub: Sendable {
    let name: String
    let server: HubServer
    /// nil for hubs whose code is in this process.
    let relay: HubRelay?

    var registry: ConnectionRegistry { server.registry }
}

/// One request to upstream and what came of it.
struct UpstreamDelivery: Sendable {
    let time: Double
    let hub: String
    let event: String
    let connection: String
    /// Without its query, which may hold secrets.
    let url: String
    let status: Int?
    let duration: Duration
    let attempts: Int
    let error: String?
}

extension Observation {
    func delivered(
        _ event: UpstreamEvent, of client: HubCallerContext, hub: String, url: String, answer: UpstreamAnswer,
        tries: Int, duration: Duration
    ) {
        let status: Int? = if case .answer(let status, _) = answer { status } else { nil }
        let name = ServiceEvent.cut(event.name, 100)
        let delivery = UpstreamDelivery(
            time: UnixTime.now, hub: hub, event: name, connection: client.connectionID,
            url: String(url.prefix { $0 != "?" }), status: status, duration: duration, attempts: tries,
            error: answer.isSuccess && status != nil ? nil : answer.summary)
        deliveries.withLockedValue { $0.append(delivery) }
        record(
            ServiceEvent(
                .upstream, hub: hub, connection: client.connection.id, user: client.userID, "\(name): \(answer.summary)"
            ))
    }
}
