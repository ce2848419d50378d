// SignalBox: the service: hubs by name, made on first use, each with its clients
// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
public import Logging
import NIOConcurrencyHelpers
public import NIOCore
public import SignalR
public import SignalRClassic
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
        /// Limits and timers of client connections, with the defaults of `HubOptions` but for the time to connect, which is Azure's.
        /// Authentication and CORS in it are replaced by the service's own.
        public var connections: HubOptions = {
            var options = HubOptions()
            options.negotiateTimeout = Options.negotiateTimeout
            return options
        }()
        /// How long a negotiated client has to connect: 5 s (service reference, "Client endpoint").
        package static let negotiateTimeout: Duration = .seconds(5)
        /// Limits and timers of classic clients. Keys, authentication and CORS in it are replaced by the service's own.
        public var classic = ClassicOptions()
        /// Times and bounds between clients and app servers.
        var relay = RelayOptions()
        /// Seconds that rates are measured by, on a clock that only goes forward.
        var clock: @Sendable () -> Double = { TokenBucket.now }
        /// How long a client that a REST caller asks may take for its result before the caller is told 408. Default 30 s.
        public var clientResultTimeout: Duration = .seconds(30)
        /// The scheme of links in answers: `https` where the listener has TLS or is behind it. Default `http`.
        public var scheme = "http"
        /// Whom serverless mode tells of clients, and who answers what they call. Other modes do not use it.
        public var upstream = UpstreamOptions()
        /// What keeps user groups over a restart; nil keeps them as long as the process lasts. Default nil.
        public var store: (any ServiceStore)?
        /// How many clients may come, how fast, and how much they may send; ``SignalBoxService/update(_:)`` changes it later.
        public var limits = ServiceLimits()
        /// Whether ``SignalBoxService`` keeps what operators look at: timelines, recent ends, counts by reason. Default off.
        package var isObserved = false
        /// How many hubs may exist; a request for one more is answered with 503. Default 1,000.
        public var maximumHubs = 1_000
        /// The only hubs that requests may name, by effective name; others are answered with 404. nil allows every name. Default nil.
        public var allowedHubs: Set<String>?
        /// What single hubs have otherwise than the rest, by effective name.
        public var hubs: [String: HubException] = [:]

        public init(keys: AccessKeys) { self.keys = keys }
    }

    var options: Options { live.withLockedValue { $0.options } }
    private let live: NIOLockedValueBox<Live>
    /// Names this process to app servers.
    let instanceID = ConnectionID().description
    /// The limits in force, and what they count.
    let admission: Admission
    private let eventLoopGroup: any EventLoopGroup
    let logger: Logger
    /// nil unless ``Options/isObserved`` is on.
    package let observation: Observation?
    let drainState = Atomic(false)
    let isOver = Atomic(false)
    /// How many clients leave each second while the service drains.
    let batchSize = NIOLockedValueBox(0)
    private let hubs = NIOLockedValueBox<[HubName: ServiceHub]>([:])
    private let upstream: UpstreamSource?
    private let log: MembershipLog?
    /// Answers clients of ASP.NET SignalR 2.x, of every hub.
    var classic: ClassicEndpoint { live.withLockedValue { $0.classic } }

    /// What ``apply(_:)`` replaces, with the hubs; read once or twice by a request, never by a message.
    private struct Live {
        var options: Options
        /// Answers in place of hubs that do not exist to those who may not create them.
        var closedDoor: HubEndpoint
        /// Answers app servers, of every hub.
        var serverEndpoint: HubEndpoint
        var classic: ClassicEndpoint
    }

    /// - Throws: `HubDefinitionError`, in theory.
    public init(
        _ options: Options, eventLoopGroup: any EventLoopGroup, logger: Logger = Logger(label: "SignalBox")
    ) throws(HubDefinitionError) {
        self.admission = Admission(options.limits, now: options.clock)
        self.eventLoopGroup = eventLoopGroup
        self.logger = logger
        self.observation = options.isObserved ? Observation(eventLoopGroup: eventLoopGroup) : nil
        self.upstream =
            options.mode == .serverless || options.hubs.values.contains { $0.mode == .serverless }
            ? UpstreamSource(
                Upstream(options.upstream, eventLoopGroup: eventLoopGroup, logger: logger), keys: options.keys)
            : nil
        self.log = options.store.map { MembershipLog($0, logger: logger) }
        let classicHubs = ClassicHubs()
        let classic = ClassicEndpoint(
            classicHubs, options: options.classicEndpoint, eventLoopGroup: eventLoopGroup, logger: logger)
        let closedDoor = try ServiceHub(
            mode: .serverless, options: Self.closedOptions(options, observation), relayOptions: options.relay,
            userGroups: UserGroups(), upstream: nil, gate: nil, instanceID: instanceID,
            eventLoopGroup: eventLoopGroup, logger: logger
        ).endpoint
        let servers = Self.serverOptions(options)
        let serverEndpoint = HubEndpoint(
            registry: ConnectionRegistry(group: eventLoopGroup, codecs: servers.codecs, logger: logger),
            options: servers, logger: logger, gate: ServerGate(admission: admission, logger: logger)
        ) { [hubs] connection in
            let name = Query.value(of: "hub", in: connection.request.rawQuery).flatMap { HubName(effective: $0) }
            return ServerSession(connection, relay: name.flatMap { name in hubs.withLockedValue { $0[name] } }?.relay)
        }
        self.live = NIOLockedValueBox(
            Live(options: options, closedDoor: closedDoor, serverEndpoint: serverEndpoint, classic: classic))
        classicHubs.use(self)
    }

    private static func closedOptions(_ options: Options, _ observation: Observation?) -> HubOptions {
        var closed = options.connections
        closed.cors = CrossOrigin(options.allowedOrigins)
        closed.authenticator = NoIdentity()
        closed.requiresAuthentication = true
        closed.observer = observation?.observer(ofHub: "")
        return closed
    }

    // MARK: Changes

    /// Takes over from `new` what may change while the service runs: keys, origins, upstream, hubs that are allowed, limits, options of
    /// connections, and bounds. Modes, authentication as such, the scheme and the store stay as they were.
    ///
    /// No connection ends by this: those that are there keep the limits and timers that they came with. Requests are judged by the new
    /// options from now on, so a token of a key that is gone opens nothing any more, a polling client's next request included.
    public func apply(_ new: Options) async {
        let before = self.options.limits
        let options = live.withLockedValue { live in
            live.options.takeOver(new)
            live.classic = ClassicEndpoint(live.classic, options: live.options.classicEndpoint)
            live.closedDoor = HubEndpoint(live.closedDoor, options: Self.closedOptions(live.options, observation))
            live.serverEndpoint = HubEndpoint(live.serverEndpoint, options: Self.serverOptions(live.options))
            return live.options
        }
        upstream?.replace(keys: options.keys, options.upstream) {
            Upstream(options.upstream, eventLoopGroup: eventLoopGroup, logger: logger)
        }
        hubs.withLockedValue { hubs in
            // Read again: whoever applies at the same time and comes last must not leave hubs with the options of the one before.
            let options = self.options
            for (name, hub) in hubs { hubs[name] = ServiceHub(hub, options: connectionOptions(name, options)) }
        }
        // Rates would start anew.
        if options.limits != before { await update(options.limits) }
    }

    /// Reads what the store kept. Call it once, before the service is served.
    /// - Throws: what the store throws.
    public func restore() async throws {
        let options = options
        guard let store = options.store else { return }
        for (hub, memberships) in Dictionary(grouping: try await store.memberships(), by: \.hub) {
            guard let name = HubName(effective: hub) else { continue }
            try hubs.withLockedValue { hubs in
                guard hubs[name] == nil, hubs.count < options.maximumHubs else { return }
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
        let options = options
        let mode = options.hubs[name.description]?.mode ?? options.mode
        let upstream =
            mode == .serverless
            ? upstream.map {
                UpstreamHub(
                    source: $0, hub: name.description, answerLimit: options.connections.maximumOutboundQueue,
                    logger: logger, observation: observation)
            } : nil
        return try ServiceHub(
            mode: mode, options: connectionOptions(name, options), relayOptions: options.relay,
            userGroups: UserGroups(hub: name.description, log: log, kept: kept), upstream: upstream,
            gate: HubGate(admission: admission, hub: name.description),
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

    private func connectionOptions(_ name: HubName, _ options: Options) -> HubOptions {
        var connections = options.hubs[name.description]?.connections ?? options.connections
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

    // MARK: Limits

    /// Puts other limits in force, for those who are there as well; nobody is sent away.
    public func update(_ limits: ServiceLimits) async {
        live.withLockedValue { $0.options.limits = limits }
        admission.update(limits)
        for (name, hub) in hubs.withLockedValue({ $0 }) {
            let gate = HubGate(admission: admission, hub: name.description)
            _ = await hub.registry.collect { shard in
                shard.forEach { $0.meter = gate.meter(user: $0.userID) }
            }
        }
        await classic.renewMeters()
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
        if let refusal = refusal(of: name) { return .refusal(refusal) }
        if let hub = existingHub(name) { return .endpoint(hub.endpoint) }
        guard request.method != .options, await mayEnter(name, request) else {
            return .endpoint(live.withLockedValue { $0.closedDoor })
        }
        do {
            return .endpoint(try hub(name).endpoint)
        } catch {
            logger.warning("Hub refused", metadata: ["signalr.hub": "\(name)", "error": "\(error)"])
            return .refusal(.text(.serviceUnavailable, "\(error)"))
        }
    }

    /// Whether requests may name this hub at all.
    func allows(_ name: HubName) -> Bool {
        live.withLockedValue { $0.options.allowedHubs?.contains(name.description) ?? true }
    }

    private func refusal(of name: HubName) -> HubResponse? {
        allows(name) ? nil : .text(.notFound, "The service has no hub of that name.")
    }

    private func mayEnter(_ name: HubName, _ request: HubRequest) async -> Bool {
        let options = options
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
        if let refusal = refusal(of: name) { return .refusal(refusal) }
        let serverEndpoint = live.withLockedValue { $0.serverEndpoint }
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
        let options = options
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
            tasks.addTask {
                // Those left are counted in their hubs.
                _ = await self.classic.carriers.drain(timeout: timeout)
                return 0
            }
            return await tasks.reduce(0, +)
        }
        for hub in all {
            hub.endpoint.stop()
            hub.registry.stop()
        }
        // App servers last, once what their clients' event loops have for them, the ends of clients, is on its way.
        for hub in all { _ = await hub.registry.collect { _ in () } }
        classic.carriers.stop()
        let (serverEndpoint, closedDoor) = live.withLockedValue { ($0.serverEndpoint, $0.closedDoor) }
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
