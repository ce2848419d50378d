// SignalBox: a classic endpoint at work, as the app that serves it sees it
// SPDX-License-Identifier: Apache-2.0

public import Logging
public import NIOCore
public import SignalR

/// Serves clients of ASP.NET SignalR 2.x: to hubs that clients of ASP.NET Core use as well, or over a persistent connection.
public final class ClassicServer: Sendable {
    package let endpoint: ClassicEndpoint
    /// The registry behind a persistent connection; nil with hubs, which have their own.
    private let persistent: HubServer?

    /// - Throws: `HubDefinitionError` for hubs whose names cannot be told apart or have a dot.
    public init(
        hubs: [ClassicHub], options: ClassicOptions = ClassicOptions(), eventLoopGroup: any EventLoopGroup,
        logger: Logger = Logger(label: "SignalR")
    ) throws(HubDefinitionError) {
        self.endpoint = try ClassicEndpoint(hubs, options: options, eventLoopGroup: eventLoopGroup, logger: logger)
        self.persistent = nil
    }

    /// - Parameter hubOptions: who may enter and who they are; of the rest, nothing concerns persistent connections.
    public init<C: PersistentConnection>(
        _ connection: C, options: ClassicOptions = ClassicOptions(), hubOptions: HubOptions = HubOptions(),
        eventLoopGroup: any EventLoopGroup, logger: Logger = Logger(label: "SignalR")
    ) throws(HubDefinitionError) {
        let server = try HubServer(NoHub(), options: hubOptions, eventLoopGroup: eventLoopGroup, logger: logger)
        self.persistent = server
        self.endpoint = ClassicEndpoint(
            ClassicApplication(connection, server), options: options, eventLoopGroup: eventLoopGroup, logger: logger)
    }

    /// The clients of a persistent connection, for code outside of it; nil with hubs, which have `HubServer.context`.
    public var peers: PersistentPeers? { self.persistent.map { PersistentPeers(server: $0) } }

    /// Whose connections must end before the server may.
    package var registry: ConnectionRegistry { self.persistent?.registry ?? self.endpoint.carriers }

    /// A classic client, as operators may see it.
    public struct Client: Sendable, Hashable {
        public let connectionID: String
        /// Names of the hubs that it listed.
        public let hubs: [String]
        /// What it receives on, or received on last.
        public let transport: ClassicTransport
        /// Whether it has a transport right now. Between two polls it has none.
        public let isAttached: Bool
        /// The transport in use, those before it, and why each of them is not.
        public let transports: TransportHistory
    }

    /// The clients of this endpoint, those included that may come back.
    public func clients() async -> [Client] {
        var clients: [Client] = []
        for session in self.endpoint.sessions.all { clients.append(await session.described()) }
        return clients
    }
}

extension ClassicSession {
    fileprivate func described() async -> ClassicServer.Client {
        await withCheckedContinuation { waiter in
            self.carrier.onLoop { [self] in
                waiter.resume(
                    returning: ClassicServer.Client(
                        connectionID: self.carrier.id.description,
                        hubs: self.seats.filter(\.application.isListed).compactMap { $0.application.name },
                        transport: self.transport, isAttached: self.carrier.transport != nil,
                        transports: self.carrier.transportHistory))
            }
        }
    }
}
