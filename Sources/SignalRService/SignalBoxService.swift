// SignalBox: the service: hubs by name, made on first use, each with its clients
// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
public import Logging
import NIOConcurrencyHelpers
public import NIOCore
public import SignalR
import SignalRWire
import Synchronization

/// Hosts the clients of hubs whose code runs elsewhere, and delivers what REST callers send them.
///
/// ```swift
/// let service = try SignalBoxService(.init(keys: AccessKeys(key)), eventLoopGroup: group)
/// router.serve(service)
/// ```
public final class SignalBoxService: Sendable {
    public struct Options: Sendable {
        /// The keys that sign tokens of clients and REST callers.
        public var keys: AccessKeys
        /// Who answers what clients call. Default ``ServiceMode/default``: app servers.
        public var mode = ServiceMode.default
        /// Off lets everybody in, for play; a client may then choose its user by the query key `userId`. Default on.
        public var requiresAuthentication = true
        /// The browser origins that may connect, with credentials. Default `*`: every one.
        public var allowedOrigins = ["*"]
        /// Limits and timers of client connections. Authentication and CORS in it are replaced by the service's own.
        public var connections = HubOptions()
        /// Times and bounds between clients and app servers.
        var relay = RelayOptions()
        /// How long a client that a REST caller asks may take for its result before the caller is told 408. Default 30 s.
        public var clientResultTimeout: Duration = .seconds(30)
        /// The scheme of links in answers: `https` where the listener has TLS or is behind it. Default `http`.
        public var scheme = "http"
        /// Whom serverless mode tells of clients, and who answers what they call. Other modes do not use it.
        public var upstream = UpstreamOptions()
        /// What keeps user groups over a restart; nil keeps them as long as the process lasts. Default nil.
        public var store: (any ServiceStore)?
        /// Whether ``SignalBoxService`` keeps what operators look at: timelines, recent ends, counts by reason. Default off.
        package var isObserved = false
        /// How many hubs may exist; a request for one more is answered with 503. Default 1,000.
        public var maximumHubs = 1_000

        public init(keys: AccessKeys) { self.keys = keys }
    }

    let options: Options
    /// Names this process to app servers.
    let instanceID = ConnectionID().description
    private let eventLoopGroup: any EventLoopGroup
    let logger: Logger
    /// nil unless ``Options/isObserved`` is on.
    package let observation: Observation?
    let drainState = Atomic(false)
    let isOver = Atomic(false)
    /// How many clients leave each second while the service drains.
    let batchSize = NIOLockedValueBox(0)
    private let hubs = NIOLockedValueBox<[HubName: ServiceHub]>([:])
    private let upstream: Upstream?
    private let log: MembershipLog?
    /// Answers in place of hubs that do not exist to those who may not create them.
    private let closedDoor: HubEndpoint
    /// Answers app servers, of every hub.
    private let serverEndpoint: HubEndpoint

    /// - Throws: ``HubDefinitionError``, in theory.
    public init(
        _ options: Options, eventLoopGroup: any EventLoopGroup, logger: Logger = Logger(label: "SignalBox")
    ) throws(HubDefinitionError) {
        self.options = options
        self.eventLoopGroup = eventLoopGroup
        self.logger = logger
        self.observation = options.isObserved ? Observation(eventLoopGroup: eventLoopGroup) : nil
        self.upstream =
            options.mode == .serverless
            ? Upstream(options.upstream, eventLoopGroup: eventLoopGroup, logger: logger) : nil
        self.log = options.store.map { MembershipLog($0, logger: logger) }
        var closed = options.connections
        closed.cors = CrossOrigin(options.allowedOrigins)
        closed.authenticator = NoIdentity()
        closed.requiresAuthentication = true
        closed.observer = observation?.observer(ofHub: "")
        self.closedDoor = try ServiceHub(
            mode: .serverless, options: closed, relayOptions: options.relay, userGroups: UserGroups(), upstream: nil,
            instanceID: instanceID, eventLoopGroup: eventLoopGroup, logger: logger
        ).endpoint
        let servers = Self.serverOptions(options)
        self.serverEndpoint = HubEndpoint(
            registry: ConnectionRegistry(group: eventLoopGroup, codecs: servers.codecs, logger: logger),
            options: servers, logger: logger
        ) { [hubs] connection in
            let name = Query.value(of: "hub", in: connection.request.rawQuery).flatMap { HubName(effective: $0) }
            return ServerSession(connection, relay: name.flatMap { name in hubs.withLockedValue { $0[name] } }?.relay)
        }
    }

    /// Reads what the store kept. Call it once, before the service is served.
    /// - Throws: what the store throws.
    public func restore() async throws {
        guard let store = options.store else { return }
        for (hub, memberships) in Dictionary(grouping: try await store.memberships(), by: \.hub) {
            guard let name = HubName(effective: hub) else { continue }
            try hubs.withLockedValue { hubs in
                guard hubs[name] == nil, hubs.count < self.options.maximumHubs else { return }
                hubs[name] = try make(name, kept: memberships)
            }
        }
    }

    // MARK: Hubs

    /// The hub that has this name, if it was used before.
    func existingHub(_ name: HubName) -> ServiceHub? { hubs.withLockedValue { $0[name] } }

    /// - Throws: ``TooManyHubs``.
    func hub(_ name: HubName) throws -> ServiceHub {
        try hubs.withLockedValue { hubs in
            if let hub = hubs[name] { return hub }
            guard hubs.count < options.maximumHubs else { throw TooManyHubs() }
            let hub = try make(name, kept: [])
            hubs[name] = hub
            return hub
        }
    }

    private func make(_ name: HubName, kept: [UserMembership]) throws(HubDefinitionError) -> ServiceHub {
        let answerLimit = options.connections.maximumOutboundQueue
        let upstream = upstream.map {
            UpstreamHub(
                upstream: $0, hub: name.description, keys: options.keys, answerLimit: answerLimit, logger: logger,
                observation: observation)
        }
        return try ServiceHub(
            mode: options.mode, options: connectionOptions(name), relayOptions: options.relay,
            userGroups: UserGroups(hub: name.description, log: log, kept: kept), upstream: upstream,
            instanceID: instanceID, eventLoopGroup: eventLoopGroup, logger: logger)
    }

    var observedHubs: [ObservedHub] {
        hubs.withLockedValue { hubs in
            hubs.map { ObservedHub(name: $0.key.description, server: $0.value.server, relay: $0.value.relay) }
        }
    }

    /// A hub seen by code in this process; nil when no client or caller used it yet.
    public func context(ofHub name: String) -> HubContext? {
        HubName(effective: name).flatMap { existingHub($0) }?.server.context
    }

    private func connectionOptions(_ name: HubName) -> HubOptions {
        var connections = options.connections
        let isOpen = !options.requiresAuthentication
        connections.authenticator = ClientIdentity(keys: options.keys, hub: name.description, isOpen: isOpen)
        connections.requiresAuthentication = !isOpen
        connections.userID = { user, request in
            user?.id ?? (isOpen ? request.query("userId").flatMap { $0.isEmpty ? nil : $0 } : nil)
        }
        connections.cors = CrossOrigin(options.allowedOrigins)
        connections.observer = observation?.observer(ofHub: name.description)
        // Identities carry an expiration only when their app asked for it.
        connections.closeOnAuthenticationExpiration = true
        return connections
    }

    // MARK: Clients

    /// Who answers a request of the client endpoint.
    enum Door {
        case endpoint(HubEndpoint)
        case refusal(HubResponse)
    }

    /// A hub is made for those only who may enter it, so that nobody else can use up ``Options/maximumHubs``.
    func door(for request: HubRequest) async -> Door {
        if let refusal = drainRefusal(request) { return .refusal(refusal) }
        let names = Query.values(of: "hub", in: request.rawQuery)
        guard names.count == 1, let name = HubName(effective: names[0]) else {
            let problem = names.isEmpty ? "is missing" : names.count > 1 ? "is repeated" : "is not a hub name"
            return .refusal(.text(.badRequest, "The query key 'hub' \(problem)."))
        }
        if let hub = existingHub(name) { return .endpoint(hub.endpoint) }
        guard request.method != .options, await mayEnter(name, request) else { return .endpoint(closedDoor) }
        do {
            return .endpoint(try hub(name).endpoint)
        } catch {
            logger.warning("Hub refused", metadata: ["signalr.hub": "\(name)", "error": "\(error)"])
            return .refusal(.text(.serviceUnavailable, "\(error)"))
        }
    }

    private func mayEnter(_ name: HubName, _ request: HubRequest) async -> Bool {
        guard options.requiresAuthentication else { return true }
        let identity = ClientIdentity(keys: options.keys, hub: name.description, isOpen: false)
        do {
            return try await identity.authenticate(request) != nil
        } catch {
            logger.debug("Authentication failed", metadata: ["signalr.hub": "\(name)", "error": "\(error)"])
            return false
        }
    }

    // MARK: App servers

    private static func serverOptions(_ options: Options) -> HubOptions {
        var servers = HubOptions()
        servers.transports = [.webSockets]
        // Its messages are binary; nothing is encoded with it.
        servers.codecs = [MessagePackHubCodec()]
        servers.maximumOutboundQueue = options.relay.maximumServerQueue
        servers.sendTimeout = options.relay.serverTimeout
        servers.maximumWebSocketFrameSize = ServiceCodec.maximumSize
        servers.authenticator = ServerIdentity(keys: options.keys, isOpen: !options.requiresAuthentication)
        servers.requiresAuthentication = options.requiresAuthentication
        return servers
    }

    /// Who answers a request of the server endpoint; like ``door(for:)``.
    func serverDoor(for request: HubRequest) async -> Door {
        let names = Query.values(of: "hub", in: request.rawQuery)
        guard names.count == 1, let name = HubName(effective: names[0]) else {
            return .refusal(.text(.badRequest, "The query must have one key 'hub', with the name of a hub."))
        }
        if existingHub(name) == nil {
            guard await mayServe(request) else { return .endpoint(serverEndpoint) }
            do {
                _ = try hub(name)
            } catch {
                logger.warning("Hub refused", metadata: ["signalr.hub": "\(name)", "error": "\(error)"])
                return .refusal(.text(.serviceUnavailable, "\(error)"))
            }
        }
        // What kind of connection it is, and so whether serverless mode has a place for it, is known from its handshake only.
        return .endpoint(serverEndpoint)
    }

    private func mayServe(_ request: HubRequest) async -> Bool {
        guard options.requiresAuthentication else { return true }
        let identity = ServerIdentity(keys: options.keys, isOpen: false)
        return (try? await identity.authenticate(request)) != nil
    }

    // MARK: End

    /// Tells every client to come back later, and waits until they left, at most `timeout`.
    /// - Returns: how many were left when the time was over.
    @discardableResult
    public func drain(timeout: Duration) async -> Int {
        let start = ContinuousClock.now
        isOver.store(true, ordering: .relaxed)
        observation?.finish()
        let all = hubs.withLockedValue { Array($0.values) }
        let left = await withTaskGroup(of: Int.self) { tasks in
            for hub in all { tasks.addTask { await hub.registry.drain(timeout: timeout) } }
            return await tasks.reduce(0, +)
        }
        for hub in all {
            hub.endpoint.stop()
            hub.registry.stop()
        }
        // App servers last, once what their clients' event loops have for them, the ends of clients, is on its way.
        for hub in all { _ = await hub.registry.collect { _ in () } }
        _ = await serverEndpoint.registry.drain(timeout: .seconds(1))
        serverEndpoint.stop()
        serverEndpoint.registry.stop()
        closedDoor.stop()
        closedDoor.registry.stop()
        // The last news of clients, and what the store is still to keep.
        await upstream?.finish(within: max(.zero, timeout - (ContinuousClock.now - start)))
        try? await log?.settle()
        return left
    }
}

/// As many hubs as the service may have exist already.
struct TooManyHubs: Error, CustomStringConvertible {
    var description: String { "The service has as many hubs as it may have." }
}
