// SignalBox: what a client's token says of its user, and back
// SPDX-License-Identifier: Apache-2.0

import SignalR
import SignalRAccess
import SignalRWire

/// Claims of client tokens (service reference, "Claims the SDK adds to a client token").
enum ClientClaims {
    private static let nameIdentifier = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/nameidentifier"
    /// A token may have them only once, for itself.
    private static let reserved: Set = [
        "aud", "exp", "iat", "nbf", "iss", "actort", "acr", "azp", "c_hash", "jti", "nonce",
    ]
    /// The token's own.
    private static let system: Set = ["aud", "exp", "iat", "nbf"]

    // MARK: To the service

    /// The user's claims under the names that they travel by, in the order of their own names.
    static func travelling(_ user: HubUser) -> [HubValue.Member] {
        var claims = user.claims.sorted { $0.key < $1.key }.filter { !$0.key.hasPrefix("asrs.s.") }
            .map { HubValue.Member(key: (reserved.contains($0.key) ? "asrs.u." : "") + $0.key, value: $0.value) }
        if let id = user.id, claims.isEmpty { claims.append(.init(key: "nameid", value: .string(id))) }
        return claims
    }

    /// - Parameter userID: whom the connection belongs to; an empty text in the token keeps the service from looking for another.
    static func all(
        _ user: HubUser?, userID: String?, _ hub: HubOptions, _ link: ServiceLinkOptions
    ) -> [HubValue.Member] {
        var claims: [HubValue.Member] = []
        func add(_ key: String, _ value: HubValue) { claims.append(.init(key: key, value: value)) }
        if userID != nil || user != nil { add("asrs.s.uid", .string(userID ?? "")) }
        if link.stickiness != .off {
            add("asrs.s.sn", .string(link.serverName))
            add("asrs.s.ssticky", .string(link.stickiness.rawValue))
        }
        let handshake = min(30, hub.handshakeTimeout.wholeSeconds)
        if handshake != 15 { add("asrs.s.cht", .int(Int64(handshake))) }
        if hub.detailedErrors { add("asrs.s.derror", .string("True")) }
        let bits: [TransportKind: Int64] = [.webSockets: 1, .serverSentEvents: 2, .longPolling: 4]
        let mask = Set(hub.transports).reduce(0) { $0 | (bits[$1] ?? 0) }
        if mask != 7 { add("asrs.s.htt", .int(mask)) }
        if hub.closeOnAuthenticationExpiration, let end = user?.expiration, let seconds = Int64(exactly: end.rounded())
        {
            add("asrs.s.coae", .string("true"))
            add("asrs.s.aeo", .int(seconds))
        }
        return claims + (user.map(travelling) ?? [])
    }

    // MARK: From the service

    /// Who the service says that a client is; the user is nil when nothing is known but the id.
    static func user(_ claims: [ServiceMessage.Claim]) -> (user: HubUser?, userID: String?) {
        let uid = claims.first { $0.type == "asrs.s.uid" }?.value
        let id = (uid ?? claims.first { $0.type == nameIdentifier }?.value).flatMap { $0.isEmpty ? nil : $0 }
        var byName: [String: HubValue] = [:]
        for claim in restored(claims) {
            switch byName[claim.type] {
            case nil: byName[claim.type] = .string(claim.value)
            case .array(let values)?: byName[claim.type] = .array(values + [.string(claim.value)])
            case let value?: byName[claim.type] = .array([value, .string(claim.value)])
            }
        }
        guard !byName.isEmpty else { return (nil, id) }
        let end = claims.first { $0.type == "asrs.s.aeo" }.flatMap { Double($0.value) }
        return (HubUser(id: id, claims: byName, expiration: end), id)
    }

    /// The user's own claims, under short names.
    static func restored(_ claims: [ServiceMessage.Claim]) -> [ServiceMessage.Claim] {
        claims.filter { !system.contains($0.type) && !$0.type.hasPrefix("asrs.s.") }.map { claim in
            let name = claim.type.hasPrefix("asrs.u.") ? String(claim.type.dropFirst(7)) : ClaimNames.short(claim.type)
            return ServiceMessage.Claim(name, claim.value)
        }
    }
}
