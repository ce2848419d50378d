// SignalBox: the app's answer to clients that negotiate: go to the service
// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import Logging
import NIOCore
package import SignalR
import SignalRWire

extension ServiceLink {
    /// Answers requests of the hub's path, for any host: `POST …/negotiate` after authentication, authorization and CORS of the hub's
    /// options; everything else is refused, since clients are at the service.
    package func makeEndpoint() -> HubEndpoint {
        HubEndpoint(hub) { request, user in self.redirect(request, user) }
    }

    /// Service reference, "App negotiate".
    func redirect(_ request: HubRequest, _ user: HubUser?) -> HubResponse {
        guard isConnected, !isStopping else {
            return .text(
                .internalServerError, "The service is not connected yet, please try again later.")
        }
        let claims = ClientClaims.all(user, userID: hub.options.userID(user, request), hub.options, options)
        guard let token = endpoint.clientToken(claims, lifetime: options.tokenLifetime) else {
            hub.logger.warning("The claims of a user are too many for a token", metadata: ["limit": "4096"])
            return .text(.contentTooLarge, "The user has too many claims.")
        }
        let url = endpoint.clientURL(
            path: Self.hubPath(request.path), query: request.rawQuery, requestID: ServerName.hexadecimal(digits: 32))
        var body = ByteBuffer()
        do {
            try JSON.write(
                .map([
                    .init(key: "url", value: .string(url)), .init(key: "accessToken", value: .string(token)),
                    .init(key: "availableTransports", value: .array([])),
                ]), into: &body)
        } catch {
            return .text(.internalServerError)
        }
        return .json(.ok, body)
    }

    /// Without `/negotiate` at the end.
    static func hubPath(_ path: String) -> String {
        let path = path.hasSuffix("/") ? path.dropLast() : path[...]
        return String(path.lowercased().hasSuffix("/negotiate") ? path.dropLast(10) : path)
    }
}
