// SignalBox: the HTTP surface of a hub: negotiate, three transports, sends, and the status of every misuse
// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
package import Logging
import NIOCore
import SignalRWire
import _SignalRWebSocket

/// The requests of one endpoint: `POST …/negotiate`, and `GET`, `POST`, `DELETE` on the endpoint itself
/// (core protocol reference, "HTTP surface and status matrix"). Knows no web framework: a host passes requests in and carries out answers.
package final class HubEndpoint: Sendable {
    package let registry: ConnectionRegistry
    package let options: HubOptions
    private let limits: ConnectionLimits
    private let logger: Logger
    private let sessions: SessionTable
    private let makeSession: @Sendable (Connection) -> any ConnectionSession
    private let offer: @Sendable (HubUser?) -> Offer
    private let redirect: Redirect?

    /// Sends those who negotiate elsewhere; nothing else is served then.
    package typealias Redirect = @Sendable (HubRequest, HubUser?) throws -> HubResponse
    private let gate: (any Gate)?

    /// What a client may use.
    package struct Offer: Sendable {
        package var transports: [TransportKind]
        package var statefulReconnects: Bool

        package init(transports: [TransportKind], statefulReconnects: Bool) {
            self.transports = transports
            self.statefulReconnects = statefulReconnects
        }
    }

    /// The largest body of a POST.
    static let maximumBody = 4 << 20

    /// - Parameters:
    ///   - offer: what a client may use; nil leaves it to the options, for all of them.
    ///   - gate: how many clients may come, and how fast; nil does not limit them.
    package init(
        registry: ConnectionRegistry, options: HubOptions, logger: Logger,
        offer: (@Sendable (HubUser?) -> Offer)? = nil, redirect: Redirect? = nil, gate: (any Gate)? = nil,
        makeSession: @escaping @Sendable (Connection) -> any ConnectionSession
    ) {
        let standard = Offer(transports: options.transports, statefulReconnects: options.allowStatefulReconnects)
        self.offer = offer ?? { _ in standard }
        self.redirect = redirect
        self.gate = gate
        self.registry = registry
        self.options = options
        self.limits = ConnectionLimits(options)
        self.logger = logger
        self.sessions = SessionTable(
            eventLoop: registry.anyEventLoop(for: ConnectionID()), opening: options.negotiateTimeout,
            lingering: options.disconnectTimeout, capacity: options.maximumPendingConnections,
            earlyLimit: options.transportMaximumBufferSize)
        self.makeSession = makeSession
    }

    /// The same endpoint under other options for requests to come: it knows the connections and tokens that `other` knows.
    package init(
        _ other: HubEndpoint, options: HubOptions, offer: (@Sendable (HubUser?) -> Offer)? = nil,
        makeSession: (@Sendable (Connection) -> any ConnectionSession)? = nil
    ) {
        self.registry = other.registry
        self.options = options
        self.limits = ConnectionLimits(options)
        self.logger = other.logger
        self.sessions = other.sessions
        self.redirect = other.redirect
        self.gate = other.gate
        self.offer = offer ?? other.offer
        self.makeSession = makeSession ?? other.makeSession
    }

    package convenience init(_ server: HubServer, redirect: Redirect? = nil) {
        self.init(registry: server.registry, options: server.options, logger: server.logger, redirect: redirect) {
            HubSession($0, server: server)
        }
    }

    /// - Parameter isNegotiate: whether the path ends in `/negotiate`.
    /// - Parameter host: the channel that may be taken over; nil when the host cannot hand over channels, which leaves long polling.
    package func respond(to request: HubRequest, isNegotiate: Bool, host: HostChannel?) async -> HubResponse {
        if let refusal = originRefusal(request) {
            tell(refusal, to: request, isNegotiate)
            return refusal
        }
        if request.method == .options, options.cors != nil { return crossOrigin(preflight(request), request) }
        // Before the token is looked at: a storm is to cost little.
        if let gate, isNegotiate || request.method == .get && Self.id(request) == nil, let refusal = gate.refusal() {
            let response = refused(refusal)
            tell(response, to: request, isNegotiate)
            return crossOrigin(response, request)
        }
        do {
            let user = try await authorize(request)
            if let redirect { return crossOrigin(try elsewhere(request, isNegotiate, user, redirect), request) }
            let response =
                isNegotiate
                ? try negotiate(request, user, host) : try await transport(request, user, host)
            tell(response, to: request, isNegotiate)
            return crossOrigin(response, request)
        } catch let refused as Refusal {
            tell(refused.response, to: request, isNegotiate)
            return crossOrigin(refused.response, request)
        } catch let refusal as GateRefusal {
            let response = refused(refusal)
            tell(response, to: request, isNegotiate)
            return crossOrigin(response, request)
        } catch {
            logger.debug("Request failed", metadata: ["error": "\(error)"])
            tell(.text(.badRequest), to: request, isNegotiate)
            return crossOrigin(.text(.badRequest), request)
        }
    }

    package func stop() { sessions.stop() }

    // MARK: The gate

    private func refused(_ refusal: GateRefusal) -> HubResponse {
        refusal.reason.count()
        logger.debug("Client refused", metadata: ["signalr.refusal.reason": "\(refusal.reason.rawValue)"])
        return refusal.response
    }

    /// Counts a client that asks for a new connection.
    private func arrive(_ request: HubRequest, _ user: HubUser?) throws(GateRefusal) {
        guard let gate, let refusal = gate.arrive(user: options.userID(user, request)) else { return }
        throw refusal
    }

    /// Turned-away requests are news to whoever observes the hub.
    private func tell(_ response: HubResponse, to request: HubRequest, _ isNegotiate: Bool) {
        guard let observer = options.observer, response.status.code >= 400 else { return }
        observer.refused(
            request, isNegotiate: isNegotiate, status: response.status.code, text: String(buffer: response.body))
    }

    // MARK: Authorization

    private func authorize(_ request: HubRequest) async throws -> HubUser? {
        var user: HubUser?
        do {
            user = try await options.authenticator?.authenticate(request)
        } catch {
            logger.debug("Authentication failed", metadata: ["error": "\(error)"])
            throw Refusal(HubResponse(.unauthorized, headers: [.wwwAuthenticate: "Bearer error=\"invalid_token\""]))
        }
        if options.requiresAuthentication, user == nil {
            throw Refusal(HubResponse(.unauthorized, headers: [.wwwAuthenticate: "Bearer"]))
        }
        if let decide = options.authorize, try await !decide(user, request) {
            throw Refusal(HubResponse(user == nil ? .unauthorized : .forbidden))
        }
        return user
    }

    // MARK: Cross-origin requests

    /// WebSockets ignore CORS, so their origin is checked here.
    private func originRefusal(_ request: HubRequest) -> HubResponse? {
        guard let cors = options.cors, let origin = request.headers[.origin], !cors.allows(origin) else { return nil }
        return .text(.forbidden, "Origin not allowed")
    }

    private func preflight(_ request: HubRequest) -> HubResponse {
        var headers: HTTPFields = [
            .accessControlAllowMethods: "GET, POST, DELETE, OPTIONS", .accessControlMaxAge: "600",
        ]
        let own = ["authorization", "content-type", "x-requested-with", "x-signalr-user-agent", "cache-control"]
        headers[.accessControlAllowHeaders] = (own + (options.cors?.allowedHeaders ?? [])).joined(separator: ", ")
        return HubResponse(.noContent, headers: headers)
    }

    private func crossOrigin(_ response: HubResponse, _ request: HubRequest) -> HubResponse {
        guard options.cors != nil, let origin = request.headers[.origin] else { return response }
        var response = response
        response.headers[.accessControlAllowOrigin] = origin
        response.headers[.accessControlAllowCredentials] = "true"
        response.headers[.vary] = "Origin"
        return response
    }

    // MARK: Negotiate

    private func negotiate(
        _ request: HubRequest, _ user: HubUser?, _ host: HostChannel?
    ) throws(GateRefusal) -> HubResponse {
        guard request.method == .post else { return .text(.methodNotAllowed).uncached() }
        try arrive(request, user)
        var body = ByteBuffer()
        answer(request, user, host).write(into: &body)
        return .json(.ok, body)
    }

    private func elsewhere(
        _ request: HubRequest, _ isNegotiate: Bool, _ user: HubUser?, _ redirect: Redirect
    ) throws -> HubResponse {
        guard isNegotiate else {
            return .text(.notFound, "Clients of this hub connect to where negotiate sends them.").uncached()
        }
        guard request.method == .post else { return .text(.methodNotAllowed).uncached() }
        return try redirect(request, user)
    }

    private func answer(_ request: HubRequest, _ user: HubUser?, _ host: HostChannel?) -> NegotiateResponse {
        let version: Int
        switch NegotiateVersion.resolve(
            query: request.query("negotiateVersion"), minimum: options.minimumNegotiateVersion)
        {
        case .success(let resolved): version = resolved
        case .failure(let error): return .failure(error.message)
        }
        let id = ConnectionID()
        let token = version > 0 ? ConnectionID() : id
        let offer = offer(user)
        let isStateful = offer.statefulReconnects && request.query("useStatefulReconnect")?.lowercased() == "true"
        let pending = SessionTable.Pending(id: id, isStateful: isStateful, trace: TraceContext(request.headers))
        guard sessions.insert(pending, token: token) else {
            return .failure("The server has too many connections that were negotiated and not opened.")
        }
        options.observer?.negotiated(request, id, offered: offer.transports)
        return .success(
            .init(
                negotiateVersion: version, connectionID: id.description,
                connectionToken: version > 0 ? token.description : nil, useStatefulReconnect: isStateful,
                availableTransports: offer.transports.filter { host != nil || $0 == .longPolling }.map(Self.describe))
        )
    }

    private static func describe(_ kind: TransportKind) -> AvailableTransport {
        AvailableTransport(
            transport: kind.rawValue, transferFormats: kind == .serverSentEvents ? ["Text"] : ["Text", "Binary"])
    }

    // MARK: Transports

    private func transport(_ request: HubRequest, _ user: HubUser?, _ host: HostChannel?) async throws -> HubResponse {
        switch request.method {
        case .get: try await get(request, user, host)
        case .post: try await post(request)
        case .delete: try delete(request)
        default: .text(.methodNotAllowed).uncached()
        }
    }

    private func get(_ request: HubRequest, _ user: HubUser?, _ host: HostChannel?) async throws -> HubResponse {
        let kind = Self.wanted(by: request)
        do {
            let response =
                switch kind {
                case .serverSentEvents: try serverSentEvents(request, user, host)
                case .webSockets: try webSocket(request, user, host)
                case .longPolling: try await longPolling(request, user, host)
                }
            if response.status.kind == .clientError { note(kind, response.status, request) }
            return response
        } catch let refused as Refusal {
            note(kind, refused.response.status, request)
            throw refused
        }
    }

    private static func wanted(by request: HubRequest) -> TransportKind {
        if request.headers[.accept]?.lowercased().contains("text/event-stream") == true { return .serverSentEvents }
        return request.headers[.upgrade]?.lowercased().contains("websocket") == true ? .webSockets : .longPolling
    }

    /// A client that goes on to its next transport will have this in its history.
    private func note(_ kind: TransportKind, _ status: HTTPResponse.Status, _ request: HubRequest) {
        guard let token = Self.id(request).flatMap({ ConnectionID($0) }) else { return }
        logger.debug(
            "Transport refused",
            metadata: ["signalr.transport": "\(kind.name.rawValue)", "http.response.status_code": "\(status.code)"])
        sessions.note(.init(kind.name, .refused(status: status.code)), for: token)
    }

    /// The token that the request names; an empty one counts as none.
    private static func id(_ request: HubRequest) -> String? {
        request.query("id").flatMap { $0.isEmpty ? nil : $0 }
    }

    /// The entry that the request's `id` names.
    private func entry(_ request: HubRequest) throws -> (token: ConnectionID, entry: SessionTable.Entry) {
        guard let id = Self.id(request) else {
            throw Refusal(.text(.badRequest, "Connection ID required").uncached())
        }
        guard let token = ConnectionID(id), let entry = sessions[token] else { throw Refusal(Self.unknown.uncached()) }
        return (token, entry)
    }

    private static let unknown = HubResponse.text(.notFound, "No Connection with that ID")

    private func checkEnabled(_ kind: TransportKind, _ user: HubUser?) throws {
        guard !offer(user).transports.contains(kind) else { return }
        throw Refusal(
            .text(.notFound, "\(kind.rawValue) transport not supported by this end point type").uncached())
    }

    private func takeable(_ host: HostChannel?, _ kind: TransportKind) throws -> any Channel {
        if let host { return host.channel }
        logger.warning(
            "This server cannot carry the transport; start the app with `server: .signalR(router)`",
            metadata: [
                "signalr.transport": "\(kind.metricName)"
            ])
        throw Refusal(.text(.notFound, "\(kind.rawValue) transport not supported by this end point type").uncached())
    }

    private func connection(
        _ pending: SessionTable.Pending, as kind: TransportKind, _ request: HubRequest, _ user: HubUser?,
        _ userID: String?,
        on eventLoop: any EventLoop
    ) -> Connection {
        let connection = Connection(
            id: pending.id, registry: registry, eventLoop: eventLoop, limits: limits, user: user,
            userID: userID, request: RequestFeatures(request, trace: pending.trace))
        connection.isStateful = pending.isStateful
        connection.beginHistory(
            kind.name, offered: pending.isNegotiated ? offer(user).transports.map(\.name) : nil,
            refused: pending.refused)
        connection.meter = gate?.meter(user: userID)
        connection.begin(makeSession(connection))
        return connection
    }

    /// Turns a negotiated entry into a connection of this transport. Only one request can win.
    private func activate(
        _ token: ConnectionID, as kind: TransportKind, _ request: HubRequest, _ user: HubUser?,
        on eventLoop: any EventLoop
    ) throws -> Connection {
        let userID = options.userID(user, request)
        if let refusal = gate?.enter(user: userID) { throw refusal }
        let made = sessions.activate(token, as: kind) { pending in
            let connection = self.connection(pending, as: kind, request, user, userID, on: eventLoop)
            connection.onRemoved = { [self] connection in
                sessions.ended(token, lingers: kind == .longPolling)
                gate?.leave(user: connection.userID)
            }
            return connection
        }
        guard case .made(let connection) = made else {
            gate?.leave(user: userID)
            throw Self.conflict(made, kind)
        }
        options.observer?.connects(request, connection, kind)
        return connection
    }

    private static func conflict(_ activation: SessionTable.Activation, _ kind: TransportKind) -> Refusal {
        switch activation {
        case .exists(let other) where other != kind:
            Refusal(.text(.badRequest, "Cannot change transports mid-connection").uncached())
        case .exists: Refusal(.text(.conflict).uncached())
        case .made, .unknown: Refusal(unknown.uncached())
        }
    }

    private func webSocket(_ request: HubRequest, _ user: HubUser?, _ host: HostChannel?) throws -> HubResponse {
        let head = HTTPRequest(method: .get, scheme: nil, authority: nil, path: nil, headerFields: request.headers)
        if Self.id(request) == nil {
            let id = ConnectionID()
            try checkEnabled(.webSockets, user)
            let channel = try takeable(host, .webSockets)
            guard case .accepted = WebSocketHandshake.accept(head, deflate: nil) else { return .refusedUpgrade(head) }
            try arrive(request, user)
            _ = sessions.insert(.init(id: id, isStateful: false, isNegotiated: false), token: id, unbounded: true)
            do {
                return upgrade(
                    head, try activate(id, as: .webSockets, request, user, on: channel.eventLoop), resumes: false)
            } catch {
                sessions.remove(id)
                throw error
            }
        }
        guard let id = Self.id(request), let token = ConnectionID(id), let entry = sessions[token] else {
            return HubResponse(.notFound, body: ByteBuffer(string: "No Connection with that ID"))
        }
        try checkEnabled(.webSockets, user)
        let channel = try takeable(host, .webSockets)
        if case .live(let connection, .webSockets) = entry, connection.isStateful {
            return upgrade(head, connection, resumes: true)
        }
        guard case .accepted = WebSocketHandshake.accept(head, deflate: nil) else {
            return .refusedUpgrade(head)
        }
        return upgrade(head, try activate(token, as: .webSockets, request, user, on: channel.eventLoop), resumes: false)
    }

    private func upgrade(_ head: HTTPRequest, _ connection: Connection, resumes: Bool) -> HubResponse {
        .upgrade(head, connection, resumes: resumes, compresses: options.webSocketCompression)
    }

    private func serverSentEvents(_ request: HubRequest, _ user: HubUser?, _ host: HostChannel?) throws -> HubResponse {
        let (token, _) = try entry(request)
        try checkEnabled(.serverSentEvents, user)
        let channel = try takeable(host, .serverSentEvents)
        let connection = try activate(token, as: .serverSentEvents, request, user, on: channel.eventLoop)
        let headers: HTTPFields = [
            .contentType: "text/event-stream", .cacheControl: "no-cache,no-store", .pragma: "no-cache",
            .contentEncoding: "identity", .transferEncoding: "chunked", .xAccelBuffering: "no",
        ]
        return HubResponse(.ok, headers: headers) { host in
            try host.channel.pipeline.syncOperations.addHandler(
                ServerSentEventsTransport(connection, output: host.output))
        }
    }

    private func longPolling(
        _ request: HubRequest, _ user: HubUser?, _ host: HostChannel?
    ) async throws -> HubResponse {
        let (token, entry) = try entry(request)
        try checkEnabled(.longPolling, user)
        let connection: Connection
        switch entry {
        case .live(let live, .longPolling): connection = live
        case .over(let lastWords):
            sessions.fetched(token)
            return lastWords.map(Self.polled) ?? Self.pollEnded
        default:
            let eventLoop = host?.channel.eventLoop ?? registry.anyEventLoop(for: token)
            connection = try activate(token, as: .longPolling, request, user, on: eventLoop)
        }
        if let user { connection.onLoop { connection.expiration = user.expiration } }
        host?.onShutdown { connection.onLoop { connection.close(.shutdown) } }
        switch await LongPollingTransport(connection).wait(options.pollTimeout) {
        case .data(let bytes):
            // Where a token's end ends the connection, every poll may bring a new one.
            let renewsToken = options.closeOnAuthenticationExpiration && user?.expiration != nil
            if let host, host.channel.eventLoop === connection.eventLoop, !renewsToken {
                host.allowRepetition(RepeatedPoll(connection, limit: options.pollTimeout))
            }
            return Self.polled(bytes)
        case .timeout: return .text(.ok).uncached()
        case .ended:
            // A poll that came while the connection ended: what was left is here, unless nobody waits for it any more.
            guard case .over(let words)? = sessions[token], words == nil || !Task.isCancelled else {
                return Self.pollEnded
            }
            sessions.fetched(token)
            return words.map(Self.polled) ?? Self.pollEnded
        }
    }

    private static func polled(_ bytes: ByteBuffer) -> HubResponse {
        HubResponse(.ok, headers: [.contentType: "application/octet-stream"], body: bytes).uncached()
    }

    private static let pollEnded = HubResponse(.noContent, headers: [.contentType: "text/plain"]).uncached()

    private func post(_ request: HubRequest) async throws -> HubResponse {
        let (token, entry) = try entry(request)
        if case .live(_, .webSockets) = entry {
            return .text(.methodNotAllowed, "POST requests are not allowed for WebSocket connections.").uncached()
        }
        let body: ByteBuffer
        do {
            body = try await request.body(Self.maximumBody)
        } catch {
            return .text(.badRequest).uncached()
        }
        let isText = request.headers[.contentType]?.contains("octet-stream") != true
        return await sessions.post(body, isText: isText, to: token)
            ? .text(.ok).uncached() : .text(.notFound).uncached()
    }

    private func delete(_ request: HubRequest) throws -> HubResponse {
        let (_, entry) = try entry(request)
        switch entry {
        case .live(let connection, .longPolling): connection.onLoop { connection.close(.deleted) }
        case .over: break
        case .live, .pending:
            return .text(.badRequest, "Cannot terminate this connection using the DELETE endpoint.").uncached()
        }
        return .text(.accepted).uncached()
    }
}

/// A request that gets no further.
private struct Refusal: Error {
    let response: HubResponse
    init(_ response: HubResponse) { self.response = response }
}
