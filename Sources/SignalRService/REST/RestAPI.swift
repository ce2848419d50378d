// SignalBox: the REST data plane: send, close, existence, groups
// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import Logging
import NIOCore
import SignalR
import SignalRWire

/// Carries out REST requests against the hubs of a service (service reference, "REST data plane").
struct RestAPI: Sendable {
    private static let maximumBody = 1 << 20

    private let service: SignalBoxService
    private let logger: Logger

    init(_ service: SignalBoxService, logger: Logger = Logger(label: "SignalBox.REST")) {
        self.service = service
        self.logger = logger
    }

    func respond(to request: HubRequest) async -> HubResponse {
        var dialect = request.path.hasPrefix("/api/v1") ? RestDialect.v1 : .dated
        do throws(RestError) {
            let route = try RestRoute(request.method, path: request.path)
            dialect = route.dialect
            return try await run(route, request)
        } catch {
            logger.debug(
                "REST request failed",
                metadata: [
                    "http.request.method": "\(request.method)", "error": "\(error.code): \(error.message)",
                ])
            var response = error.response(in: dialect)
            if request.method == .head { response.body.clear() }
            return response
        }
    }

    private func run(_ route: RestRoute, _ request: HubRequest) async throws(RestError) -> HubResponse {
        if case .health = route.operation { return HubResponse(.ok) }
        try authorize(request)
        guard let name = HubName(route.hub, application: request.query("application")) else {
            throw .invalid(
                "A hub or application name is a letter and at most 127 letters, digits or characters of _`,.[]")
        }
        let isDated = route.dialect == .dated
        switch route.operation {
        case .health: return HubResponse(.ok)
        case .send(let target):
            try await send(to: target, of: name, request)
            return HubResponse(.accepted)
        case .close(let target):
            await close(target, of: name, request)
            return HubResponse(.noContent)
        case .closeConnection(let id):
            await close(.connections([id]), of: name, request)
            return HubResponse(isDated ? .ok : .accepted)
        case .exists(let target):
            guard await service.existingHub(name)?.registry.count(of: target) ?? 0 > 0 else { throw .absent(target) }
            return HubResponse(.ok)
        case .makeToken: return try makeToken(name, request)
        case .join(let connection, let group):
            guard await service.existingHub(name)?.registry.setMembership(of: connection, in: group, to: true) == true
            else {
                throw .noConnection
            }
            return HubResponse(.ok)
        case .leave(let connection, let group):
            // Never 404: the Management SDK does not expect one here.
            _ = await service.existingHub(name)?.registry.setMembership(of: connection, in: group, to: false)
            return HubResponse(.ok)
        case .leaveAll(let connection):
            _ = await service.existingHub(name)?.registry.leaveAllGroups(connection)
            return HubResponse(.ok)
        case .addUser(let user, let group):
            try await add(user, to: group, of: name, request)
            return HubResponse(isDated ? .ok : .accepted)
        case .removeUser(let user, let group):
            await remove(user, from: group, of: name)
            return HubResponse(isDated ? .noContent : .accepted)
        case .removeUserFromAll(let user):
            await remove(user, from: nil, of: name)
            return HubResponse(isDated ? .noContent : .ok)
        case .isMember(let user, let group):
            guard service.existingHub(name)?.userGroups.groups(of: user).contains(group) == true else {
                throw .notInGroup
            }
            return HubResponse(.ok)
        }
    }

    private func authorize(_ request: HubRequest) throws(RestError) {
        guard service.options.requiresAuthentication else { return }
        guard let token = request.bearerToken else { throw .unauthorized }
        do {
            _ = try service.options.keys.claims(of: token, for: .rest(path: request.path))
        } catch {
            logger.debug("Authentication failed", metadata: ["error": "\(error)"])
            throw .unauthorized
        }
    }

    // MARK: Messages

    private func send(to target: HubTarget, of name: HubName, _ request: HubRequest) async throws(RestError) {
        let message = try RestMessage.read(try await body(request), type: request.headers[.contentType])
        // A hub that nobody used has nobody to send to.
        guard let hub = service.existingHub(name) else { return }
        do {
            try await hub.server.backplane.publish(message, to: target, excluding: excluded(request))
        } catch {
            throw .tooMany("The message could not be handed on.")
        }
    }

    private func body(_ request: HubRequest) async throws(RestError) -> ByteBuffer {
        if let length = request.headers[.contentLength].flatMap({ Int($0) }), length > Self.maximumBody {
            throw .tooLarge
        }
        do {
            return try await request.body(Self.maximumBody)
        } catch is NIOTooManyBytesError {
            throw .tooLarge
        } catch {
            throw .invalid("The body could not be read.")
        }
    }

    private func excluded(_ request: HubRequest) -> Set<ConnectionID> {
        Set(Query.values(of: "excluded", in: request.rawQuery).compactMap { ConnectionID($0) })
    }

    private func close(_ target: HubTarget, of name: HubName, _ request: HubRequest) async {
        let reason = request.query("reason").flatMap { $0.isEmpty ? nil : $0 }
        await service.existingHub(name)?.registry.close(
            target, excluding: excluded(request), reason: .kicked(reason, allowReconnect: true))
    }

    // MARK: Users in groups

    private func add(_ user: String, to group: String, of name: HubName, _ request: HubRequest) async throws(RestError)
    {
        let lifetime = try lifetime(request)
        let hub = try hub(name)
        // A time of 0 is for those only who are here now.
        if lifetime != 0, !hub.userGroups.add(user, to: group, lifetime: lifetime) {
            throw .tooMany("Too many users are in groups.")
        }
        for connection in await hub.connections(of: user) {
            _ = await hub.registry.setMembership(of: connection, in: group, to: true)
        }
    }

    private func lifetime(_ request: HubRequest) throws(RestError) -> Double? {
        guard let text = request.query("ttl"), !text.isEmpty else { return nil }
        guard let seconds = Int(text), seconds >= 0 else { throw .invalid("'ttl' must be a number of seconds.") }
        return Double(seconds)
    }

    private func hub(_ name: HubName) throws(RestError) -> ServiceHub {
        do {
            return try service.hub(name)
        } catch {
            throw .tooMany("\(error)")
        }
    }

    /// From all groups without `group`. The user's connections leave with it.
    private func remove(_ user: String, from group: String?, of name: HubName) async {
        guard let hub = service.existingHub(name) else { return }
        let groups = group.map { [$0] } ?? hub.userGroups.groups(of: user)
        hub.userGroups.remove(user, from: group)
        for connection in await hub.connections(of: user) {
            for group in groups { _ = await hub.registry.setMembership(of: connection, in: group, to: false) }
        }
    }

    // MARK: Tokens

    private func makeToken(_ name: HubName, _ request: HubRequest) throws(RestError) -> HubResponse {
        var minutes: Int64 = 60
        if let text = request.query("minutesToExpire"), !text.isEmpty {
            guard let wanted = Int64(text), (1...525_600).contains(wanted) else {
                throw .invalid("'minutesToExpire' must be a number of minutes up to a year.")
            }
            minutes = wanted
        }
        let token = service.options.keys.clientToken(
            hub: name.description, user: request.query("userId"), endpoint: "http://localhost",
            lifetime: .seconds(minutes * 60))
        return .json(.ok, HubValue.map([.init(key: "token", value: .string(token))]).json)
    }
}
