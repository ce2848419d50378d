// SignalBox: the HTTP surface of ASP.NET SignalR 2.x: who may come in, and where requests go
// SPDX-License-Identifier: Apache-2.0

package import HTTPTypes
package import Logging
import Metrics
package import NIOCore
package import SignalR
import SignalRWire

/// The requests of one mount point (classic protocol reference, §2 to §9). Knows no web framework: a host passes requests in and carries
/// out answers.
package final class ClassicEndpoint: Sendable {
    let options: ClassicOptions
    let logger: Logger
    let limits: ConnectionLimits
    /// A seat hands on everything in the tick in which it came, and what its client does not take is in the journal.
    let seatLimits: ConnectionLimits
    /// The clients' own connections, which no hub knows.
    package let carriers: ConnectionRegistry
    let sessions: ClassicTable
    private let gaps = Counter(label: "signalr.server.classic.gaps")
    /// By lower-case name; one without a name for a persistent connection.
    private let applications: [String: ClassicApplication]
    /// Finds hubs in place of `applications`.
    let directory: (any ClassicDirectory)?
    private let authenticator: (any HubAuthenticator)?
    let script: HubScript?

    private init(
        _ applications: [ClassicApplication], script: HubScript?, directory: (any ClassicDirectory)? = nil,
        options: ClassicOptions, eventLoopGroup: any EventLoopGroup, logger: Logger
    ) {
        self.directory = directory
        self.options = options
        self.logger = logger
        self.limits = ConnectionLimits(options.connectionOptions)
        var unbounded = options.connectionOptions
        unbounded.maximumOutboundQueue = .max
        self.seatLimits = ConnectionLimits(unbounded)
        self.carriers = ConnectionRegistry(
            group: eventLoopGroup, codecs: [ClassicHubCodec()], logger: logger, isCounted: false)
        self.sessions = ClassicTable(capacity: options.maximumConnections)
        self.applications = Dictionary(
            applications.map { ($0.name?.lowercased() ?? "", $0) }, uniquingKeysWith: { first, _ in first })
        self.authenticator =
            options.authenticator ?? applications.lazy.compactMap { $0.server.options.authenticator }.first
        self.script = script
        for application in applications where application.server.backplane.stream != nil {
            application.keepFromNow(options)
        }
    }

    /// - Throws: ``SignalR/HubDefinitionError`` for names that cannot be told apart, and names with a dot.
    package convenience init(
        _ hubs: [ClassicHub], options: ClassicOptions, eventLoopGroup: any EventLoopGroup, logger: Logger
    ) throws(HubDefinitionError) {
        var names: Set<String> = []
        for hub in hubs {
            guard !hub.name.isEmpty, !hub.name.contains(".") else {
                throw HubDefinitionError("'\(hub.name)' is no name for classic clients: it is empty or has a dot.")
            }
            guard names.insert(hub.name.lowercased()).inserted else {
                throw HubDefinitionError("There are two hubs '\(hub.name)'.")
            }
        }
        self.init(
            hubs.map { ClassicApplication($0) }, script: HubScript(hubs), options: options,
            eventLoopGroup: eventLoopGroup, logger: logger)
    }

    convenience init(
        _ application: ClassicApplication, options: ClassicOptions, eventLoopGroup: any EventLoopGroup, logger: Logger
    ) {
        self.init([application], script: nil, options: options, eventLoopGroup: eventLoopGroup, logger: logger)
    }

    /// - Parameter directory: who tells clients what hubs there are for them.
    package convenience init(
        _ directory: any ClassicDirectory, options: ClassicOptions, eventLoopGroup: any EventLoopGroup, logger: Logger
    ) {
        self.init(
            [], script: nil, directory: directory, options: options, eventLoopGroup: eventLoopGroup, logger: logger)
    }

    /// The same endpoint under other options for requests to come: it knows the clients and hubs that `other` knows.
    package init(_ other: ClassicEndpoint, options: ClassicOptions) {
        self.directory = other.directory
        self.options = options
        self.logger = other.logger
        self.limits = ConnectionLimits(options.connectionOptions)
        self.seatLimits = other.seatLimits
        self.carriers = other.carriers
        self.sessions = other.sessions
        self.applications = other.applications
        self.authenticator = options.authenticator ?? other.authenticator
        self.script = other.script
    }

    /// Puts other limits in force for what clients send that are here.
    package func renewMeters() async {
        _ = await self.carriers.collect { shard in
            shard.forEach { ($0.session as? ClassicSession)?.renewMeter() }
        }
    }

    /// Whether clients talk to hubs here.
    private var hasHubs: Bool { self.script != nil }

    /// A hub by its name in any case; with a persistent connection, that.
    func application(named name: String) -> ClassicApplication? { self.applications[name.lowercased()] }

    /// A client came back for messages that are gone.
    func missed(_ id: ConnectionID) {
        self.logger.debug("Messages missed", metadata: ["signalr.connection.id": "\(id)"])
        self.gaps.increment()
    }

    // MARK: Requests

    /// - Parameter host: the channel that may be taken over; nil when the host cannot hand over channels, which leaves long polling.
    package func respond(to request: HubRequest, host: HostChannel?) async -> HubResponse {
        if let cors = self.options.cors, let origin = request.headers[.origin], !cors.allows(origin) {
            return .text(.forbidden, "Origin not allowed").guarded()
        }
        let response: HubResponse
        do {
            response =
                request.method == .options && self.options.cors != nil
                ? self.preflight() : try await self.answer(request, host)
        } catch let refusal as ClassicRefusal {
            response = refusal.response
        } catch {
            self.logger.debug("Request failed", metadata: ["error": "\(error)"])
            response = .text(.internalServerError, "The request failed.")
        }
        return self.crossOrigin(response, request).guarded()
    }

    private func answer(_ http: HubRequest, _ host: HostChannel?) async throws -> HubResponse {
        var request = ClassicRequest(http)
        let callback = try self.callback(request)
        let user = try await self.authenticate(http)
        let action = ClassicAction(path: http.path)
        let entry = try await self.entry(request, user, action)
        switch action {
        case .script(let flavour): if let script { return self.answer(script, flavour, http) }
        case .negotiate:
            if let refusal = entry.gate?.refusal() ?? entry.gate?.arrive(user: entry.gateUser) {
                throw ClassicRefusal(refusal)
            }
            return try self.negotiate(request, user, entry, host).called(by: callback)
        case .ping: return HubResponse.classic("{ \"Response\": \"pong\" }").called(by: callback)
        default: break
        }
        guard let transport = request["transport"].flatMap({ ClassicTransport(caseInsensitive: $0) }) else {
            throw ClassicRefusal(.badRequest, "Unknown transport.")
        }
        let client = try self.identify(request, user)
        let caller = Caller(client: client, transport: transport, entry: entry, user: user, callback: callback)
        switch action {
        case .start: return try await self.start(request, caller)
        case .abort: return await self.abort(request, caller)
        case .send:
            request = try await self.read(request)
            return try await self.send(request, caller)
        default:
            request = try await self.read(request)
            return try self.receive(request, caller, action, host)
        }
    }

    private func read(_ request: ClassicRequest) async throws -> ClassicRequest {
        do {
            return try await request.reading(atMost: self.options.maximumBodySize)
        } catch {
            throw ClassicRefusal(.contentTooLarge, "The body is too large.")
        }
    }

    // MARK: Who

    /// JSONP lets any page send requests, so it has to be switched on.
    private func callback(_ request: ClassicRequest) throws -> ScriptCallback? {
        guard let name = request.http.query("callback"), !name.isEmpty else { return nil }
        guard self.options.enableJSONP else { throw ClassicRefusal(.forbidden) }
        guard let callback = ScriptCallback(name) else {
            throw ClassicRefusal(.internalServerError, "The callback is no name of a function.")
        }
        return callback
    }

    private func authenticate(_ request: HubRequest) async throws -> HubUser? {
        do {
            return try await self.authenticator?.authenticate(request)
        } catch {
            self.logger.debug("Authentication failed", metadata: ["error": "\(error)"])
            throw ClassicRefusal(.unauthorized)
        }
    }

    private func entry(
        _ request: ClassicRequest, _ user: HubUser?, _ action: ClassicAction
    ) async throws -> ClassicEntry {
        guard let directory else {
            return ClassicEntry(hubs: try await self.admissions(request, user), isPersistent: !self.hasHubs)
        }
        // Names nothing that could be asked for.
        if case .ping = action { return ClassicEntry() }
        let data = request.http.query("connectionData").flatMap { $0.isEmpty ? nil : $0 }
        return try await directory.entry(of: user, to: try data.map(self.hubNames), for: request.http)
    }

    private func hubNames(in connectionData: String) throws -> [String] {
        let names = try ClassicCodec.hubNames(in: connectionData)
        guard names.count <= self.options.maximumHubs, Set(names.map { $0.lowercased() }).count == names.count else {
            throw ClassicRefusal(.internalServerError, "A hub is listed twice, or there are too many.")
        }
        return names
    }

    /// The hubs of this very request that the user may enter. Refused ones are left out; nothing left of some is a refusal.
    private func admissions(_ request: ClassicRequest, _ user: HubUser?) async throws -> [ClassicAdmission] {
        var names = [""]
        if self.hasHubs { names = try self.hubNames(in: request.http.query("connectionData") ?? "") }
        var admitted: [ClassicAdmission] = []
        for name in names {
            guard let application = self.application(named: name) else {
                throw ClassicRefusal(.internalServerError, "There is no such hub.")
            }
            guard try await application.admits(user, request.http) else { continue }
            admitted.append(
                ClassicAdmission(
                    application: application, userID: application.server.options.userID(user, request.http)))
        }
        guard names.isEmpty || !admitted.isEmpty else { throw ClassicRefusal(user == nil ? .unauthorized : .forbidden) }
        return admitted
    }

    private func identify(_ request: ClassicRequest, _ user: HubUser?) throws -> (id: ConnectionID, user: String) {
        guard let token = request.http.query("connectionToken"), !token.isEmpty else {
            throw ClassicRefusal(.badRequest, "The connection token is missing.")
        }
        guard let client = self.options.keys.readConnectionToken(token) else {
            throw ClassicRefusal(.badRequest, "The connection id has a bad format.")
        }
        guard client.user.lowercased() == (user?.id ?? "").lowercased() else {
            throw ClassicRefusal(.forbidden, "The user must not change while connected.")
        }
        return client
    }

    // MARK: Negotiate

    private func negotiate(
        _ request: ClassicRequest, _ user: HubUser?, _ entry: ClassicEntry, _ host: HostChannel?
    ) throws -> HubResponse {
        let id = ConnectionID.guid()
        guard let token = self.options.keys.connectionToken(id, user: user?.id ?? "") else {
            throw ClassicRefusal(.internalServerError, "No token can be made.")
        }
        let path = request.http.path
        let answer = ClassicNegotiateResponse(
            url: String(path.dropLast("/negotiate".count)), connectionToken: token, connectionID: id.description,
            keepAliveTimeout: self.options.keepAlive.map { $0.seconds * 2 },
            disconnectTimeout: self.options.disconnectTimeout.seconds,
            connectionTimeout: self.options.connectionTimeout.seconds,
            tryWebSockets: host != nil && self.options.transports.contains(.webSockets) && entry.allows(.webSockets),
            version: request.version,
            transportConnectTimeout: self.options.transportConnectTimeout.seconds,
            longPollDelay: self.options.longPollDelay.seconds)
        var body = ByteBuffer()
        answer.write(into: &body)
        return .classic(body)
    }

    // MARK: Cross-origin requests

    private func preflight() -> HubResponse {
        var headers: HTTPFields = [
            .accessControlAllowMethods: "GET, POST, OPTIONS", .accessControlMaxAge: "600",
        ]
        let own = ["authorization", "content-type", "x-requested-with", "cache-control"]
        headers[.accessControlAllowHeaders] =
            (own + (self.options.cors?.allowedHeaders ?? [])).joined(separator: ", ")
        return HubResponse(.noContent, headers: headers)
    }

    /// On every answer, errors and streams included.
    private func crossOrigin(_ response: HubResponse, _ request: HubRequest) -> HubResponse {
        guard self.options.cors != nil, let origin = request.headers[.origin] else { return response }
        var response = response
        response.headers[.accessControlAllowOrigin] = origin
        response.headers[.accessControlAllowCredentials] = "true"
        response.headers[.vary] = "Origin"
        return response
    }
}

extension ClassicApplication {
    /// Clients of other nodes may come for messages from before the first client of this one.
    fileprivate func keepFromNow(_ options: ClassicOptions) {
        for shard in self.server.registry.shards {
            shard.eventLoop.execute { _ = TopicJournal.of(self, on: shard.eventLoop, options: options) }
        }
    }

    /// Whether a user may enter.
    func admits(_ user: HubUser?, _ request: HubRequest) async throws -> Bool {
        let options = self.server.options
        if options.requiresAuthentication, user == nil { return false }
        guard let decide = options.authorize else { return true }
        return try await decide(user, request)
    }

    /// The same for a hub that a client calls without having listed it, when its request is long gone.
    func admitsUnlisted(_ user: HubUser?) -> Bool {
        self.server.options.authorize == nil && (user != nil || !self.server.options.requiresAuthentication)
    }
}

extension ClassicOptions {
    /// What the client's own connection needs of it.
    fileprivate var connectionOptions: HubOptions {
        var options = HubOptions()
        options.maximumOutboundQueue = self.maximumOutboundQueue
        options.sendTimeout = self.sendTimeout
        // The session ends clients that stay away, earlier than this.
        options.disconnectTimeout = self.disconnectTimeout + self.longPollDelay + .seconds(10)
        return options
    }
}

/// Who asks, and for what.
struct Caller: Sendable {
    let client: (id: ConnectionID, user: String)
    let transport: ClassicTransport
    let entry: ClassicEntry
    let user: HubUser?
    let callback: ScriptCallback?

    var hubs: [ClassicAdmission] { self.entry.hubs }
}

/// A request that gets no further.
package struct ClassicRefusal: Error {
    package let response: HubResponse

    package init(_ status: HTTPResponse.Status, _ text: String = "") {
        self.response =
            text.isEmpty
            ? HubResponse(status)
            : HubResponse(
                status, headers: [.contentType: "text/plain; charset=UTF-8"], body: ByteBuffer(string: text))
    }

    package init(_ response: HubResponse) { self.response = response }

    init(_ refusal: GateRefusal) {
        refusal.reason.count()
        self.response = refusal.response
    }
}

extension HubResponse {
    static func classic(_ json: ByteBuffer) -> HubResponse {
        HubResponse(.ok, headers: [.contentType: "application/json; charset=UTF-8"], body: json)
    }

    static func classic(_ json: String) -> HubResponse { .classic(ByteBuffer(string: json)) }

    /// JSON as a script that calls the client's function.
    func called(by callback: ScriptCallback?) -> HubResponse {
        guard let callback, self.status == .ok else { return self }
        var response = self
        response.body = ByteBuffer()
        callback.write(self.body, into: &response.body)
        response.headers[.contentType] = HubScript.contentType
        return response
    }

    /// With what every answer has.
    func guarded() -> HubResponse {
        var response = self
        response.headers[.xContentTypeOptions] = "nosniff"
        if response.headers[.cacheControl] == nil { response.headers[.cacheControl] = "no-cache" }
        return response
    }
}
