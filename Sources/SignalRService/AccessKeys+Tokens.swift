// SignalBox: tokens that the service's keys sign for clients and REST callers
// SPDX-License-Identifier: Apache-2.0

import SignalRAccess
public import SignalRWire

extension AccessKeys {
    /// A token that lets a client into `hub`.
    /// - Parameters:
    ///   - hub: the effective name (`app_chat` where there is an application).
    ///   - user: who the client is; nil or empty makes it anonymous.
    ///   - roles: values of the claim `role`.
    ///   - claims: further claims, in order.
    ///   - endpoint: the service's URL; a port in it is left out, as the SDKs do.
    ///   - lifetime: rounded down to whole seconds. Default one hour.
    public func clientToken(
        hub: String, user: String? = nil, roles: [String] = [], claims: [HubValue.Member] = [], endpoint: String,
        lifetime: Duration = .seconds(3600)
    ) -> String {
        var all: [HubValue.Member] = []
        if let user, !user.isEmpty {
            all.append(.init(key: "asrs.s.uid", value: .string(user)))
            all.append(.init(key: "nameid", value: .string(user)))
        }
        if roles.count == 1 { all.append(.init(key: "role", value: .string(roles[0]))) }
        if roles.count > 1 { all.append(.init(key: "role", value: .array(roles.map { .string($0) }))) }
        let audience = "\(Self.withoutPort(endpoint))/client/?hub=\(hub.lowercased().percentEncoded)"
        return token(all + claims, audience: audience, lifetime: lifetime)
    }

    /// A token for one REST request.
    /// - Parameter path: the raw path, such as `/api/hubs/chat/:send`.
    public func restToken(path: String, endpoint: String, lifetime: Duration = .seconds(3600)) -> String {
        token(audience: Self.withoutPort(endpoint) + path, lifetime: lifetime)
    }

    /// Scheme and host.
    static func withoutPort(_ endpoint: String) -> String { ServiceURL.withoutPort(endpoint) }
}

extension String {
    /// Everything but RFC 3986's unreserved characters escaped.
    public var percentEncoded: String { ServiceURL.escaped(self) }
}
