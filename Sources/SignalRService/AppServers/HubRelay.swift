// SignalBox: what the clients and the app servers of one hub share
// SPDX-License-Identifier: Apache-2.0

import Logging
import NIOCore
import SignalR

/// Times and bounds between clients and app servers.
struct RelayOptions: Sendable {
    /// The service sends something at least this often, so that app servers do not give it up (service reference, "Ping payloads").
    var pingInterval: Duration = .seconds(5)
    /// An app server that says nothing for this long is gone.
    var serverTimeout: Duration = .seconds(30)
    /// How long an app server's handshake may take.
    var handshakeTimeout: Duration = .seconds(15)
    /// How long clients wait for an app server that was there a moment ago.
    var serverPatience: Duration = .seconds(3)
    /// Bytes that wait for an app server before its clients are read no more.
    var serverWindow = 1 << 20
    /// Bytes that wait for an app server before it is given up: what comes in spite of that is bounded by the number of its clients.
    var maximumServerQueue = 64 << 20
    /// Clients of every connection of a hub before its app servers are asked for one more.
    var clientsPerConnection = 10_000
    /// How long a client that is to move may take to come to rest.
    var pauseTimeout: Duration = .seconds(5)
}

/// One hub, seen from between.
final class HubRelay: Sendable {
    let mode: ServiceMode
    let registry: ConnectionRegistry
    let servers: ServerConnections
    let invocations: ClientInvocations
    let userGroups: UserGroups
    let options: RelayOptions
    let clients: HubOptions
    /// Names this service to app servers.
    let instanceID: String
    let logger: Logger

    init(
        mode: ServiceMode, registry: ConnectionRegistry, userGroups: UserGroups, options: RelayOptions,
        clients: HubOptions, instanceID: String, logger: Logger
    ) {
        self.mode = mode
        self.registry = registry
        self.servers = ServerConnections(
            patience: options.serverPatience, clientsPerConnection: options.clientsPerConnection)
        self.invocations = ClientInvocations()
        self.userGroups = userGroups
        self.options = options
        self.clients = clients
        self.instanceID = instanceID
        self.logger = logger
    }

    /// The same hub under other options for clients to come.
    init(_ other: HubRelay, clients: HubOptions) {
        self.mode = other.mode
        self.registry = other.registry
        self.servers = other.servers
        self.invocations = other.invocations
        self.userGroups = other.userGroups
        self.options = other.options
        self.clients = clients
        self.instanceID = other.instanceID
        self.logger = other.logger
    }

    /// Whether a client that comes now belongs to an app server (service reference, "Modes").
    var routesNewClients: Bool {
        switch mode {
        case .default: true
        case .serverless: false
        case .classic: servers.serve(.core)
        }
    }

    /// What a client may use: its app may allow fewer transports, and its app servers have to know of stateful reconnect.
    func offer(to user: HubUser?) -> HubEndpoint.Offer {
        var transports = clients.transports
        if let mask = user?.claims["asrs.s.htt"]?.seconds {
            let bits: [TransportKind: Int] = [.webSockets: 1, .serverSentEvents: 2, .longPolling: 4]
            let allowed = Int(exactly: mask) ?? 0
            transports = transports.filter { allowed & (bits[$0] ?? 0) != 0 }
        }
        let isStateful = routesNewClients ? servers.allowStatefulReconnects : clients.allowStatefulReconnects
        return HubEndpoint.Offer(transports: transports, statefulReconnects: isStateful)
    }
}
