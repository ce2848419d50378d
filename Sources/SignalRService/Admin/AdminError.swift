// SignalBox: why an admin request failed
// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import SignalR
import SignalRWire

/// A failure with its status and a text for people, sent as `{"error": …}`.
struct AdminError: Error, Equatable {
    let status: HTTPResponse.Status
    let text: String

    static let unauthorized = AdminError(
        status: .unauthorized, text: "The admin key is missing or wrong; send it as 'Authorization: Bearer KEY'.")
    static let unknownPath = AdminError(status: .notFound, text: "There is no such admin endpoint.")
    static func invalid(_ text: String) -> AdminError { AdminError(status: .badRequest, text: text) }
    static func missing(_ text: String) -> AdminError { AdminError(status: .notFound, text: text) }
    static func wrongMethod(_ allowed: String) -> AdminError {
        AdminError(status: .methodNotAllowed, text: "This endpoint takes \(allowed) only.")
    }

    var response: HubResponse {
        var response = HubResponse.json(status, HubValue.members(["error": .string(text)]).json)
        if status == .unauthorized { response.headers[.wwwAuthenticate] = "Bearer" }
        return response
    }
}
