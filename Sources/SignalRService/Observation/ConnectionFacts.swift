// SignalBox: what is known of one connection, taken on its event loop
// SPDX-License-Identifier: Apache-2.0

import NIOCore
import SignalR
import SignalRWire

/// A client's connection at one moment.
struct ConnectionFacts: Sendable {
    let id: ConnectionID
    let hub: String
    let user: String?
    let transport: TransportKind?
    /// What came before it, too.
    let transports: TransportHistory
    let hubProtocol: String
    let remoteAddress: String?
    /// In seconds since 1970.
    let connectedAt: Double
    let groups: [String]
    let server: String?
    let traffic: Traffic
    let queuedBytes: Int

    /// On the connection's event loop.
    init(_ connection: Connection, hub: String) {
        self.id = connection.id
        self.hub = hub
        self.user = connection.userID
        self.transport = connection.request.transport
        self.transports = connection.transportHistory
        self.hubProtocol = connection.registry.codecs[Int(connection.format.codec)].name
        self.remoteAddress = connection.request.remoteAddress.flatMap { address in
            guard let ip = address.ipAddress else { return nil }
            return ip.contains(":") ? "[\(ip)]:\(address.port ?? 0)" : "\(ip):\(address.port ?? 0)"
        }
        self.connectedAt = connection.request.startTime
        self.groups = connection.groupNames
        self.server = (connection.session as? RelaySession)?.owner?.session.serverID
        self.traffic = connection.traffic
        self.queuedBytes = connection.queuedBytes
    }

    /// As clients write it in their lists.
    var transportName: String? { transports.current?.rawValue ?? transport?.jsonName }

    /// In the order of a list, then what only a single connection shows.
    var json: [(String, HubValue?)] {
        [
            ("connectionId", .string(id.description)), ("hub", .string(hub)), ("user", .text(user)),
            ("transport", .text(transportName)), ("protocol", .string(hubProtocol)),
            ("remoteAddress", .text(remoteAddress)), ("connectedAt", .time(connectedAt)),
            ("groups", .count(groups.count)), ("serverConnection", .text(server)),
            ("messagesIn", .count(traffic.messagesIn)), ("messagesOut", .count(traffic.messagesOut)),
            ("bytesIn", .count(traffic.bytesIn)), ("bytesOut", .count(traffic.bytesOut)),
            ("queuedBytes", .count(queuedBytes)),
        ]
    }
}

/// A connection that is over.
struct EndedConnection: Sendable {
    let facts: ConnectionFacts
    let closedAt: Double
    let reason: CloseReason
}

extension TransportKind {
    /// As clients write it in their lists.
    var jsonName: String {
        switch self {
        case .webSockets: "webSockets"
        case .serverSentEvents: "serverSentEvents"
        case .longPolling: "longPolling"
        }
    }
}

extension HubValue {
    static func members(_ members: [(String, HubValue?)]) -> HubValue {
        .map(members.compactMap { key, value in value.map { Member(key: key, value: $0) } })
    }
}
