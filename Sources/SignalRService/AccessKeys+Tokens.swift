// SignalBox: tokens that the service's keys sign for clients and REST callers
// SPDX-License-Identifier: Apache-2.0

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
    static func withoutPort(_ endpoint: String) -> String {
        guard let scheme = endpoint.firstRange(of: "://") else { return endpoint }
        let host = endpoint[scheme.upperBound...].prefix { $0 != "/" }
        // An IPv6 address has colons of its own, in brackets.
        let end = host.lastIndex(of: ":").flatMap { host[$0...].contains("]") ? nil : $0 } ?? host.endIndex
        return String(endpoint[..<end])
    }
}

extension String {
    /// Everything but RFC 3986's unreserved characters escaped.
    public var percentEncoded: String {
        let hex = Array("0123456789ABCDEF")
        return utf8.reduce(into: "") { text, byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
                UInt8(ascii: "~"):
                text.unicodeScalars.append(Unicode.Scalar(byte))
            default: text += "%\(hex[Int(byte >> 4)])\(hex[Int(byte & 15)])"
            }
        }
    }
}
