// SignalBox: the REST data plane: which operation a request asks for, who may ask, and what it answers
// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import Logging
import NIOCore
import SignalR
import SignalRWire

/// Carries out REST requests against the hubs of a service (service reference, "REST data plane").
struct RestAPI: Sendable {
    private static let maximumBody = 1 << 20

    let service: SignalBoxService
    private let logger: Logger

    init(_ service: SignalBoxService, logger: Logger = Logger(label: "SignalBox.REST")) {
        self.service = service
        self.logger = logger
    }

    /// - Parameter base: scheme and authority that the caller used, for links in answers.
    func respond(to request: HubRequest, at base: String = "http://localhost") async -> HubResponse {
        var dialect = request.path.hasPrefix("/api/v1") ? RestDialect.v1 : .dated
        do throws(RestError) {
            let route = try RestRoute(request.method, path: request.path)
            dialect = route.dialect
            return try await run(route, Call(request: request, base: base, isDated: dialect == .dated))
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

    /// A request on its way through the operations.
    struct Call {
        let request: HubRequest
        let base: String
        /// Whether it came by the dated API, whose success codes differ from those of v1.
        let isDated: Bool

        func query(_ name: String) -> String? { request.query(name).flatMap { $0.isEmpty ? nil : $0 } }
    }

    private func run(_ route: RestRoute, _ call: Call) async throws(RestError) -> HubResponse {
        switch route.operation {
        case .health: return HubResponse(.ok)
        case .explorer: return OpenAPI.explorer
        case .document(let version): return try OpenAPI.response(version: version, base: call.base)
        // Keys are handed out to identities of elsewhere, and none are configured.
        case .accessKey: throw .unauthorized
        default: break
        }
        try authorize(call.request)
        if call.isDated { try checkVersion(call) }
        guard let name = HubName(route.hub, application: call.request.query("application")) else {
            throw .invalid(
                "A hub or application name is a letter and at most 127 letters, digits or characters of _`,.[]")
        }
        guard service.allows(name) else { throw .noHub }
        return try await run(route.operation, on: name, call)
    }

    private func run(
        _ operation: RestOperation, on name: HubName, _ call: Call
    ) async throws(RestError) -> HubResponse {
        switch operation {
        case .health, .explorer, .document, .accessKey: throw .unknownPath  // answered before
        case .send(let target): try await send(to: target, of: name, call)
        case .sendItem(let id, let stream): try await sendItem(to: id, stream, of: name, call)
        case .completeStream(let id, let stream): try await complete(stream, of: id, of: name, call)
        case .invoke(let id): try await invoke(id, of: name, call)
        case .execute: try await execute(on: name, call)
        case .close(let target): await close(target, of: name, call)
        case .closeConnection(let id): await closeConnection(id, of: name, call)
        case .exists(let target): try await exists(target, in: name)
        case .makeToken: try makeToken(name, call)
        case .join(let id, let group): try await join(id, to: group, of: name)
        case .leave(let id, let group): await leave(id, from: group, of: name)
        case .leaveAll(let id): await leaveAll(id, of: name)
        case .members(let group): try await members(of: group, in: name, call)
        case .addUser(let user, let group): try await add(user, to: group, of: name, call)
        case .removeUser(let user, let group): try await remove(user, from: group, of: name, call)
        case .removeUserFromAll(let user): try await removeFromAll(user, of: name, call)
        case .isMember(let user, let group): try isMember(user, of: group, in: name)
        }
    }

    // MARK: Who may ask

    /// Whoever has a key may ask, but not too often.
    private func authorize(_ request: HubRequest) throws(RestError) {
        guard let refusal = service.admission.request(withKey: try key(of: request)) else { return }
        refusal.reason.count()
        throw .refused(refusal)
    }

    /// The number of the key that signed the request's token.
    private func key(of request: HubRequest) throws(RestError) -> Int {
        let options = service.options
        guard options.requiresAuthentication else { return 0 }
        guard let token = request.bearerToken else { throw .unauthorized }
        do {
            return try options.keys.verified(token, for: .rest(path: request.path)).key
        } catch {
            logger.debug("Authentication failed", metadata: ["error": "\(error)"])
            throw .unauthorized
        }
    }

    /// Any date since the first dated version, with or without `-preview`; a missing one is the newest.
    private func checkVersion(_ call: Call) throws(RestError) {
        guard let version = call.query("api-version") else { return }
        let date = version.hasSuffix("-preview") ? version.dropLast(8) : version[...]
        let parts = date.split(separator: "-", omittingEmptySubsequences: false)
        let isDate =
            parts.map(\.utf8.count) == [4, 2, 2] && parts.allSatisfy { $0.utf8.allSatisfy { (48...57) ~= $0 } }
        guard isDate, date >= "2021-05-01" else { throw .invalid("'api-version' must be a date since 2021-05-01.") }
    }

    // MARK: What operations share

    func body(_ call: Call) async throws(RestError) -> ByteBuffer {
        if let length = call.request.headers[.contentLength].flatMap({ Int($0) }), length > Self.maximumBody {
            throw .tooLarge
        }
        do {
            return try await call.request.body(Self.maximumBody)
        } catch is NIOTooManyBytesError {
            throw .tooLarge
        } catch {
            throw .invalid("The body could not be read.")
        }
    }

    func excluded(_ call: Call) -> Set<ConnectionID> {
        Set(Query.values(of: "excluded", in: call.request.rawQuery).compactMap { ConnectionID($0) })
    }

    /// A number in the query; nil when it is not there.
    func number(_ name: String, in range: ClosedRange<Int>, _ call: Call) throws(RestError) -> Int? {
        guard let text = call.request.query(name) else { return nil }
        guard let number = Int(text), range.contains(number) else {
            throw .invalid("'\(name)' must be a number from \(range.lowerBound) to \(range.upperBound).")
        }
        return number
    }
}
