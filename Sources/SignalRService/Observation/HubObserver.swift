// SignalBox: what one hub's connections have to tell, for the journal and for those who watch
// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import NIOCore
import SignalR
import SignalRWire

/// Gives the events of one hub to the ``Observation``.
final class HubObserver: ConnectionObserver {
    let hub: String
    private let observation: Observation

    init(_ hub: String, _ observation: Observation) {
        self.hub = hub
        self.observation = observation
    }

    var followsMessages: Bool { observation.watches.wantsMessages }

    private func tell(
        _ kind: ConnectionEventKind, _ text: String, detail: String? = nil, of connection: Connection,
        from request: HubRequest? = nil
    ) {
        var event = ServiceEvent(
            kind, hub: hub, connection: connection.id, user: connection.userID, text, detail: detail)
        if let request { event.client = client(request) }
        observation.record(event)
    }

    // MARK: Requests

    func negotiated(_ request: HubRequest, _ id: ConnectionID, offered: [TransportKind]) {
        let names = offered.map(\.jsonName).joined(separator: ", ")
        var event = ServiceEvent(.negotiate, hub: hub, connection: id, "Offered \(names)", detail: agent(request))
        event.client = client(request)
        observation.record(event)
    }

    func connects(_ request: HubRequest, _ connection: Connection, _ transport: TransportKind) {
        tell(.connect, transport.jsonName, detail: agent(request), of: connection, from: request)
    }

    func refused(_ request: HubRequest, isNegotiate: Bool, status: Int, text: String) {
        observation.counted { $0.rejected += 1 }
        let what = isNegotiate ? "negotiate" : transport(of: request)?.jsonName ?? "\(request.method)"
        // Only an id that was negotiated without a token names a connection; a token is a secret.
        var event = ServiceEvent(
            .refused, hub: hub.isEmpty ? ServiceEvent.cut(request.query("hub") ?? "", 128) : hub,
            "\(what) answered with \(status)", detail: text)
        event.client = client(request)
        observation.record(event)
    }

    private func transport(of request: HubRequest) -> TransportKind? {
        guard request.method == .get else { return nil }
        if request.headers[.upgrade]?.lowercased().contains("websocket") == true { return .webSockets }
        return request.headers[.accept]?.contains("text/event-stream") == true ? .serverSentEvents : .longPolling
    }

    /// The same for requests of one browser on one machine, different for most others. Never 0.
    private func client(_ request: HubRequest) -> Int {
        var hasher = Hasher()
        hasher.combine(hub)
        hasher.combine(request.remoteAddress?.ipAddress)
        hasher.combine(request.headers[.userAgent])
        return hasher.finalize() | 1
    }

    private func agent(_ request: HubRequest) -> String? { request.headers[.userAgent] }

    // MARK: Connections

    func opened(_ connection: Connection) {
        observation.counted { counts in
            counts.accepted += 1
            if let transport = connection.request.transport { counts.transports[transport, default: 0] += 1 }
        }
    }

    func happened(_ kind: ConnectionEventKind, _ text: String, detail: String?, to connection: Connection) {
        guard kind == .handshake else { return tell(kind, text, detail: detail, of: connection) }
        tell(
            kind, text, detail: connection.registry.codecs[Int(connection.format.codec)].name, of: connection)
    }

    func ended(_ connection: Connection, _ reason: CloseReason) {
        observation.counted { counts in
            counts.closed += 1
            counts.reasons[reason.name, default: 0] += 1
            if let transport = connection.request.transport { counts.transports[transport, default: 0] -= 1 }
        }
        tell(.disconnect, reason.name, detail: reason.detail, of: connection)
        observation.journal.append(
            EndedConnection(
                facts: ConnectionFacts(connection, hub: hub), closedAt: UnixTime.now, reason: reason))
    }

    /// An app server came or went.
    func server(_ text: String, detail: String) {
        observation.record(ServiceEvent(.server, hub: hub, text, detail: detail))
    }

    // MARK: Messages

    func received(_ message: HubMessage, on connection: Connection) { tell(message, .in, of: connection) }

    func sent(_ message: HubMessage, to connection: Connection) {
        if message.isNumbered { tell(message, .out, of: connection) }
    }

    private func tell(_ message: HubMessage, _ direction: MessageFacts.Direction, of connection: Connection) {
        var event = ServiceEvent(
            .message, hub: hub, connection: connection.id, user: connection.userID,
            "\(direction.rawValue) \(message.summary)")
        event.message = MessageFacts(
            direction, message, bytes: message.size(in: connection.codec),
            withPayload: observation.watches.wantsPayloads)
        observation.watches.offer(event)
    }

    /// One event for those who see all; for those who look at a connection or a user, one for each of their connections that gets it.
    func sent(_ message: Outgoing, to target: HubTarget, in registry: ConnectionRegistry) {
        let (content, bytes) = message.readable(registry)
        var event = ServiceEvent(.message, hub: hub, "out \(content?.summary ?? "bytes") to \(target.summary)")
        event.message = MessageFacts(.out, content, bytes: bytes, withPayload: observation.watches.wantsPayloads)
        for watch in observation.watches.all where watch.filter.wantsMessages {
            offer(event, sentTo: target, in: registry, to: watch)
        }
    }

    private func offer(
        _ event: ServiceEvent, sentTo target: HubTarget, in registry: ConnectionRegistry, to watch: Watch
    ) {
        if let id = watch.filter.connection {
            guard let connection = registry.connection(id) else { return }
            connection.onLoop { if connection.isIn(target) { watch.offer(event.addressed(to: connection)) } }
        } else if let user = watch.filter.user {
            for shard in registry.shards {
                shard.eventLoop.execute {
                    for connection in shard.members(of: .users([user])) where connection.isIn(target) {
                        watch.offer(event.addressed(to: connection))
                    }
                }
            }
        } else {
            watch.offer(event)
        }
    }
}

extension ServiceEvent {
    fileprivate func addressed(to connection: Connection) -> ServiceEvent {
        var event = ServiceEvent(kind, hub: hub, connection: connection.id, user: connection.userID, text)
        event.message = message
        return event
    }
}

extension Connection {
    fileprivate var codec: any HubCodec { registry.codecs[Int(format.codec)] }

    /// Whether a message to `target` is for this connection, too. On the event loop.
    fileprivate func isIn(_ target: HubTarget) -> Bool {
        switch target {
        case .all: state == .open
        case .connections(let ids): ids.contains(id.description)
        case .groups(let names): groupNames.contains { names.contains($0) }
        case .users(let users): userID.map(users.contains) == true
        }
    }
}
