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
    private static let maximumBody = 4 << 20

    /// - Parameter offer: what a client may use; nil leaves it to the options, for all of them.
    package init(
        registry: ConnectionRegistry, options: HubOptions, logger: Logger,
        offer: (@Sendable (HubUser?) -> Offer)? = nil,
        makeSession: @escaping @Sendable (Connection) -> any ConnectionSession
    ) {
        let standard = Offer(transports: options.transports, statefulReconnects: options.allowStatefulReconnects)
        self.offer = offer ?? { _ in standard }
        self.registry = registry
        self.options = options
        self.limits = ConnectionLimits(options)
        self.logger = logger
        self.sessions = SessionTable(
            eventLoop: registry.anyEventLoop(for: ConnectionID()), lifetime: options.disconnectTimeout,
            capacity: options.maximumPendingConnections)
        self.makeSession = makeSession
    }

    package convenience init(_ server: HubServer) {
        self.init(registry: server.registry, options: server.options, logger: server.logger) {
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
        do {
            let user = try await authorize(request)
            let response =
                isNegotiate
                ? negotiate(request, user, host) : try await transport(request, user, host)
            tell(response, to: request, isNegotiate)
            return crossOrigin(response, request)
        } catch let refused as Refusal {
            tell(refused.response, to: request, isNegotiate)
            return crossOrigin(refused.response, request)
        } catch {
            logger.debug("Request failed", metadata: ["error": "\(error)"])
            tell(.text(.badRequest), to: request, isNegotiate)
            return crossOrigin(.text(.badRequest), request)
        }
    }

    package func stop() { sessions.stop() }

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

    private func negotiate(_ request: HubRequest, _ user: HubUser?, _ host: HostChannel?) -> HubResponse {
        guard request.method == .post else { return .text(.methodNotAllowed).uncached() }
        var body = ByteBuffer()
        answer(request, user, host).write(into: &body)
        return .json(.ok, body)
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
        if request.headers[.accept]?.contains("text/event-stream") == true {
            return try serverSentEvents(request, user, host)
        }
        if request.headers[.upgrade]?.lowercased().contains("websocket") == true {
            return try webSocket(request, user, host)
        }
        return try await longPolling(request, user, host)
    }

    /// The entry that the request's `id` names.
    private func entry(_ request: HubRequest) throws -> (token: ConnectionID, entry: SessionTable.Entry) {
        guard let id = request.query("id"), !id.isEmpty else {
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
        _ pending: SessionTable.Pending, _ request: HubRequest, _ user: HubUser?, on eventLoop: any EventLoop
    ) -> Connection {
        let connection = Connection(
            id: pending.id, registry: registry, eventLoop: eventLoop, limits: limits, user: user,
            userID: options.userID(user, request), request: RequestFeatures(request, trace: pending.trace))
        connection.isStateful = pending.isStateful
        connection.begin(makeSession(connection))
        return connection
    }

    /// Turns a negotiated entry into a connection of this transport. Only one request can win.
    private func activate(
        _ token: ConnectionID, as kind: TransportKind, _ request: HubRequest, _ user: HubUser?,
        on eventLoop: any EventLoop
    ) throws -> Connection {
        let made = sessions.activate(token, as: kind) { self.connection($0, request, user, on: eventLoop) }
        switch made {
        case .made(let connection, let early):
            let release: @Sendable () -> Void = { [sessions] in sessions.ended(token, lingers: kind == .longPolling) }
            connection.onRemoved = release
            options.observer?.connects(request, connection, kind)
            if let early { connection.onLoop { connection.receive(early) } }
            return connection
        case .exists(let other) where other != kind:
            throw Refusal(.text(.badRequest, "Cannot change transports mid-connection").uncached())
        case .exists: throw Refusal(.text(.conflict).uncached())
        case .unknown: throw Refusal(Self.unknown.uncached())
        }
    }

    private func webSocket(_ request: HubRequest, _ user: HubUser?, _ host: HostChannel?) throws -> HubResponse {
        let head = HTTPRequest(method: .get, scheme: nil, authority: nil, path: nil, headerFields: request.headers)
        if request.query("id") == nil {
            let id = ConnectionID()
            try checkEnabled(.webSockets, user)
            let channel = try takeable(host, .webSockets)
            _ = sessions.insert(.init(id: id, isStateful: false), token: id, unbounded: true)
            let response = upgrade(
                head, try activate(id, as: .webSockets, request, user, on: channel.eventLoop), resumes: false)
            if response.takeOver == nil { sessions.remove(id) }
            return response
        }
        guard let id = request.query("id"), let token = ConnectionID(id), let entry = sessions[token] else {
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
        .upgrade(head, connection, limits, resumes: resumes, compresses: options.webSocketCompression)
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
        switch entry {
        case .live(let connection, _):
            let isText = request.headers[.contentType]?.contains("octet-stream") != true
            return await connection.receiveAndWait(body, isText: isText)
                ? .text(.ok).uncached() : .text(.notFound).uncached()
        case .pending:
            return sessions.keep(body, for: token, limit: options.transportMaximumBufferSize)
                ? .text(.ok).uncached() : .text(.notFound).uncached()
        case .over: return .text(.notFound).uncached()
        }
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
