// SignalBox: what happened lately, to be looked up by connection
// SPDX-License-Identifier: Apache-2.0

import NIOConcurrencyHelpers
import SignalR

/// The latest events and the connections that ended lately, in a bounded memory.
///
/// Events of one connection are in one stripe, so that its timeline is read under one short lock, and so that event loops seldom meet.
/// Joining and leaving groups has a ring of its own: a hub that does little else would push everything else out.
final class EventJournal: Sendable {
    private struct Stripe: Sendable {
        var life = Ring<ServiceEvent>(capacity: 1_024)
        var chatter = Ring<ServiceEvent>(capacity: 512)
        var ended = Ring<EndedConnection>(capacity: 128)
    }

    private let stripes = (0..<16).map { _ in NIOLockedValueBox(Stripe()) }

    private func stripe(_ connection: ConnectionID?) -> NIOLockedValueBox<Stripe> {
        stripes[Int(UInt(bitPattern: connection.hashValue) % UInt(stripes.count))]
    }

    func append(_ event: ServiceEvent) {
        stripe(event.connection).withLockedValue { stripe in
            event.kind == .group ? stripe.chatter.append(event) : stripe.life.append(event)
        }
    }

    func append(_ ended: EndedConnection) { stripe(ended.facts.id).withLockedValue { $0.ended.append(ended) } }

    /// Of one connection, oldest first.
    func timeline(of connection: ConnectionID) -> [ServiceEvent] {
        let (life, chatter) = stripe(connection).withLockedValue { ($0.life.all, $0.chatter.all) }
        return (life + chatter).filter { $0.connection == connection }.sorted { $0.time < $1.time }
    }

    func ended(_ connection: ConnectionID) -> EndedConnection? {
        stripe(connection).withLockedValue { $0.ended.all }.last { $0.facts.id == connection }
    }

    /// Of one client, within a time; oldest first.
    func events(ofClient client: Int, in time: ClosedRange<Double>) -> [ServiceEvent] {
        stripes.flatMap { stripe in
            stripe.withLockedValue { $0.life.all }.filter { $0.client == client && time.contains($0.time) }
        }.sorted { $0.time < $1.time }
    }
}
