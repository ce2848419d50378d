// SignalBox: the secret that opens the admin endpoints
// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import SignalR

/// The admin key. Its text never shows up in descriptions or logs.
package struct AdminKey: Sendable, CustomStringConvertible, CustomReflectable {
    private let bytes: [UInt8]

    package init(_ key: String) { self.bytes = Array(key.utf8) }

    package var description: String { "admin key" }
    package var customMirror: Mirror { Mirror(self, children: []) }

    /// Takes the same time wherever the first difference is.
    private func matches(_ text: String) -> Bool {
        let other = Array(text.utf8)
        var difference = other.count ^ bytes.count
        for index in bytes.indices { difference |= Int(bytes[index] ^ (index < other.count ? other[index] : 0)) }
        return difference == 0
    }

    /// Whether a request carries the key: as a bearer token, or in `X-Admin-Key`.
    /// - Parameter allowsQuery: whether `access_token` counts, which browsers use where they cannot set headers.
    func opens(_ request: HubRequest, allowsQuery: Bool = false) -> Bool {
        if let given = request.headers[.adminKey] { return matches(given) }
        if request.headers[.authorization] == nil, !allowsQuery { return false }
        return request.bearerToken.map(matches) ?? false
    }
}

/// Lets those into the admin hub who have the key.
struct AdminIdentity: HubAuthenticator {
    let key: AdminKey

    func authenticate(_ request: HubRequest) async throws -> HubUser? {
        key.opens(request, allowsQuery: true) ? HubUser(id: "admin") : nil
    }
}

extension HTTPField.Name {
    // `init(parsed:)` fails for a name that is no token only.
    static let adminKey = Self(parsed: "x-admin-key") ?? .authorization
}
