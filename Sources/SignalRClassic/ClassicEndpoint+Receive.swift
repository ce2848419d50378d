// SignalBox: receive requests of classic clients: connect, reconnect, poll, on any transport
// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import Logging
import NIOCore
import SignalR
import SignalRWire

extension ClassicEndpoint {
    /// How long a client that asked for a transport may take to have it.
    private static let openingTime = TimeAmount.seconds(30)

    func receive(
        _ request: ClassicRequest, _ caller: Caller, _ action: ClassicAction, _ host: HostChannel?
    ) throws -> HubResponse {
        do {
            let response = try self.open(request, caller, action, host)
            if response.status.kind == .clientError { self.note(response.status, caller) }
            return response
        } catch let refusal as ClassicRefusal {
            self.note(refusal.response.status, caller)
            throw refusal
        }
    }

    /// A client that goes on to its next transport will have this in its history.
    private func note(_ status: HTTPResponse.Status, _ caller: Caller) {
        let attempt = TransportHistory.Attempt(caller.transport, .refused(status: status.code))
        self.logger.debug(
            "Transport refused",
            metadata: [
                "signalr.connection.id": "\(caller.client.id)",
                "signalr.transport": "\(caller.transport.rawValue)", "http.response.status_code": "\(status.code)",
            ])
        if let session = self.sessions[caller.client.id] {
            session.carrier.onLoop { session.carrier.history.note(attempt) }
        } else {
            self.sessions.note(attempt, for: caller.client.id)
        }
    }

    private func open(
        _ request: ClassicRequest, _ caller: Caller, _ action: ClassicAction, _ host: HostChannel?
    ) throws -> HubResponse {
        guard self.options.transports.contains(caller.transport) else {
            throw ClassicRefusal(
                .badRequest,
                "The transport \(caller.transport.rawValue) is switched off; this server has "
                    + self.options.transports.map(\.rawValue).joined(separator: ", ") + ".")
        }
        guard caller.entry.allows(caller.transport) else {
            throw ClassicRefusal(.badRequest, "The client's token does not allow the transport.")
        }
        let wanted = try self.request(request, caller, action, host)
        if wanted.action != .connect { try self.checkPresence(of: caller) }
        switch caller.transport {
        case .webSockets: return try self.webSocket(request, caller, wanted, host)
        case .serverSentEvents:
            let opening = ByteBuffer(staticString: "data: initialized\n\n")
            return try self.stream(
                request, caller, wanted, host, type: "text/event-stream", .serverSentEvent, opening: opening)
        case .foreverFrame:
            guard let text = request["frameId"], let frame = UInt32(text) else {
                throw ClassicRefusal(.internalServerError, "The frame id is no number.")
            }
            var opening = ByteBuffer()
            ForeverFrame.writeOpening(id: frame, into: &opening)
            return try self.stream(
                request, caller, wanted, host, type: "text/html; charset=UTF-8", .foreverFrame, opening: opening)
        case .longPolling: return try self.poll(request, caller, wanted, host)
        }
    }

    private func request(
        _ request: ClassicRequest, _ caller: Caller, _ action: ClassicAction, _ host: HostChannel?
    ) throws -> ReceiveRequest {
        // Clients have an order of their own, the one in which the names are declared.
        let offered = ClassicTransport.allCases.filter {
            self.options.transports.contains($0) && (host != nil || $0 == .longPolling)
        }

        let messageID = request.text("messageId")
        let cursor = try messageID.flatMap { try MessageCursor.read($0, process: BusClock.process) }
        let groups = request.text("groupsToken").map {
            self.options.keys.readGroupsToken($0, of: caller.client.id)
        }
        return ReceiveRequest(
            transport: caller.transport, offered: offered, action: .init(action, on: caller.transport),
            version: request.version,
            cursor: cursor, isFromElsewhere: messageID != nil && cursor == nil, groups: groups ?? [],
            hubs: caller.hubs, request: RequestFeatures(request.http), user: caller.user)
    }

    // MARK: Sessions

    /// A client of an app server cannot go on when the server does not know it any more (service reference, "Data").
    func checkPresence(of caller: Caller) throws {
        guard caller.entry.mayResume || self.sessions[caller.client.id] != nil else {
            throw ClassicRefusal(.notFound, "The connection does not exist.")
        }
    }

    /// The client's session. A new one lives where its cursor counts, else where its socket is.
    func session(
        _ caller: Caller, _ features: RequestFeatures, on eventLoop: (any EventLoop)?, cursor: MessageCursor?
    ) throws -> ClassicSession {
        let id = caller.client.id
        let loop =
            cursor.flatMap { $0.process == BusClock.process ? BusClock.loop($0.loop) : nil } ?? eventLoop
            ?? self.carriers.anyEventLoop(for: id)
        let (gate, gateUser) = (caller.entry.gate, caller.entry.gateUser)
        let enters = self.sessions[id] == nil
        if enters, let refusal = gate?.enter(user: gateUser) { throw ClassicRefusal(refusal) }
        let found = self.sessions.session(id) {
            let carrier = Connection(
                id: id, registry: self.carriers, eventLoop: loop, limits: self.limits, user: caller.user, userID: nil,
                request: features)
            if let patience = caller.entry.pollPatience {
                carrier.disconnectTimeout = max(carrier.disconnectTimeout, (patience + .seconds(10)).wholeSeconds)
            }
            let session = ClassicSession(carrier, self, userName: caller.client.user, entry: caller.entry)
            carrier.begin(session)
            session.renewMeter()
            carrier.onRemoved = { [sessions] _ in
                sessions.remove(session)
                if enters { gate?.leave(user: gateUser) }
            }
            return session
        }
        // Another request was faster, or there are too many.
        if enters, found?.isNew != true { gate?.leave(user: gateUser) }
        guard let found else { throw ClassicRefusal(.serviceUnavailable, "Too many connections.") }
        if found.isNew {
            loop.scheduleTask(in: Self.openingTime) { found.session.carrier.closeIfNeverOpened() }
        }
        return found.session
    }

    func makeSeat(
        for session: ClassicSession, _ admission: ClassicAdmission, _ features: RequestFeatures, _ user: HubUser?
    ) -> ClassicSeat {
        let connection = Connection(
            id: session.carrier.id, registry: admission.application.server.registry,
            eventLoop: session.carrier.eventLoop, limits: self.seatLimits, user: user, userID: admission.userID,
            request: features)
        return ClassicSeat(session, admission.application, connection, self.options)
    }

    // MARK: Transports

    private func takeable(_ host: HostChannel?) throws -> any Channel {
        guard let host else { throw ClassicRefusal(.badRequest, "This server cannot carry the transport.") }
        return host.channel
    }

    private func webSocket(
        _ request: ClassicRequest, _ caller: Caller, _ wanted: ReceiveRequest, _ host: HostChannel?
    ) throws -> HubResponse {
        let head = HTTPRequest(
            method: .get, scheme: nil, authority: nil, path: nil, headerFields: request.http.headers)
        guard request.http.headers[.upgrade]?.lowercased().contains("websocket") == true else {
            throw ClassicRefusal(.badRequest, "Not a WebSocket request.")
        }
        let refusal = HubResponse.refusedUpgrade(head)
        guard refusal.body.readableBytes == 0 else { return refusal }
        let channel = try self.takeable(host)
        let session = try self.session(caller, wanted.request, on: channel.eventLoop, cursor: wanted.cursor)
        return .upgrade(
            head, session.carrier, resumes: true, compresses: self.options.webSocketCompression,
            willAttach: { session.carrier.onLoop { session.expect(wanted) } })
    }

    private func stream(
        _ request: ClassicRequest, _ caller: Caller, _ wanted: ReceiveRequest, _ host: HostChannel?, type: String,
        _ packaging: Packaging, opening: ByteBuffer
    ) throws -> HubResponse {
        let channel = try self.takeable(host)
        let session = try self.session(caller, wanted.request, on: channel.eventLoop, cursor: wanted.cursor)
        let headers: HTTPFields = [
            .contentType: type, .cacheControl: "no-cache", .contentEncoding: "identity",
            .transferEncoding: "chunked", .xAccelBuffering: "no",
        ]
        return HubResponse(.ok, headers: headers) { host in
            try host.channel.pipeline.syncOperations.addHandler(
                ClassicStream(
                    session.carrier, packaging, opening: opening, output: host.output,
                    willAttach: { session.carrier.onLoop { session.expect(wanted) } }))
        }
    }

    private func poll(
        _ request: ClassicRequest, _ caller: Caller, _ wanted: ReceiveRequest, _ host: HostChannel?
    ) throws -> HubResponse {
        let session = try self.session(
            caller, wanted.request, on: host?.channel.eventLoop, cursor: wanted.cursor)
        let type = caller.callback == nil ? "application/json; charset=UTF-8" : HubScript.contentType
        var response = HubResponse(.ok, headers: [.contentType: type, .xAccelBuffering: "no"])
        let poll = ClassicPoll(session, callback: caller.callback)
        host?.onShutdown { session.endSoon(.shutdown) }
        response.stream = { write in try await poll.answer(wanted, write) }
        return response
    }
}

extension ReceiveRequest.Action {
    fileprivate init(_ action: ClassicAction, on transport: ClassicTransport) {
        switch action {
        case .connect: self = .connect
        case .reconnect: self = .reconnect
        default: self = transport == .longPolling ? .poll : .reconnect
        }
    }
}
