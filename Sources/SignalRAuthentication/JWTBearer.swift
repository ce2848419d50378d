// SignalBox: JSON Web Tokens as the identity of hub clients
// SPDX-License-Identifier: Apache-2.0

public import JWTKit
public import SignalR
package import SignalRWire

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// Accepts JWTs as bearer tokens: from the `Authorization` header, else from the query key `access_token`.
///
/// ```swift
/// options.authenticator = await JWTBearer(hs256: "a secret of at least 32 characters")
/// options.requiresAuthentication = true
/// ```
public struct JWTBearer: HubAuthenticator {
    /// How a key is tried: each collection has one default key, since `kid` headers of other issuers mean nothing here.
    private let keys: [JWTKeyCollection]
    /// Accepted values of `aud`; empty accepts every audience.
    public var audiences: Set<String> = []
    /// Accepted values of `iss`; empty accepts every issuer.
    public var issuers: Set<String> = []
    /// How far clocks may differ. Default 5 minutes, as in ASP.NET Core.
    public var clockSkew: Duration = .seconds(300)
    /// The claims that may hold the user id, in order of preference.
    public var userIDClaims = [
        "nameid", "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/nameidentifier", "sub",
    ]

    /// - Parameter keys: tried in order.
    public init(_ keys: JWTKeyCollection...) { self.keys = keys }

    /// Tokens signed with HMAC SHA-256.
    public init(hs256 secrets: String...) async {
        var keys: [JWTKeyCollection] = []
        for secret in secrets {
            keys.append(await JWTKeyCollection().add(hmac: HMACKey(from: secret), digestAlgorithm: .sha256))
        }
        self.keys = keys
    }

    public func authenticate(_ request: HubRequest) async throws -> HubUser? {
        guard let token = request.bearerToken else { return nil }
        return try await user(of: token)
    }

    /// The user a token stands for.
    /// - Throws: `AuthenticationError` when no key matches, the time is not right, or audience or issuer are others.
    public func user(of token: String) async throws -> HubUser {
        let claims = try await claims(of: token)
        try check(claims)
        return HubUser(
            id: userIDClaims.lazy.compactMap { claims[$0]?.text }.first, claims: claims,
            expiration: claims["exp"]?.seconds)
    }

    private func claims(of token: String) async throws -> [String: HubValue] {
        for key in keys {
            if let payload = try? await key.verify(token, as: Claims.self) { return payload.values }
        }
        throw AuthenticationError("No key verifies the token's signature.")
    }

    private func check(_ claims: [String: HubValue]) throws {
        let (now, skew) = (Date().timeIntervalSince1970, Double(clockSkew.components.seconds))
        if let expiration = claims["exp"] {
            guard let seconds = expiration.seconds, now < seconds + skew else {
                throw AuthenticationError("The token has expired.")
            }
        }
        if let start = claims["nbf"] {
            guard let seconds = start.seconds, now >= seconds - skew else {
                throw AuthenticationError("The token is not valid yet.")
            }
        }
        if !audiences.isEmpty, audiences.isDisjoint(with: claims["aud"]?.texts ?? []) {
            throw AuthenticationError("The token is for another audience.")
        }
        if !issuers.isEmpty, issuers.isDisjoint(with: claims["iss"]?.texts ?? []) {
            throw AuthenticationError("The token is from another issuer.")
        }
    }
}

/// A token's payload with every claim, whatever its type.
package struct Claims: JWTPayload {
    package var values: [String: HubValue]

    package init(_ values: [String: HubValue]) { self.values = values }

    package init(from decoder: any Decoder) throws {
        self.values = try decoder.singleValueContainer().decode([String: HubValue].self)
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(values)
    }

    /// Times and audiences are checked by ``JWTBearer``, which knows the allowed clock skew.
    package func verify(using algorithm: some JWTAlgorithm) async throws {}
}

extension HubValue {
    /// A claim's text; nil when it is empty or no string.
    package var text: String? { if case .string(let text) = self, !text.isEmpty { text } else { nil } }

    /// A claim that is one string or several.
    package var texts: [String] {
        if case .array(let values) = self { values.compactMap(\.text) } else { text.map { [$0] } ?? [] }
    }

    /// A NumericDate (RFC 7519 §2).
    package var seconds: Double? {
        switch self {
        case .int(let seconds): Double(seconds)
        case .uint(let seconds): Double(seconds)
        case .double(let seconds): seconds
        default: nil
        }
    }
}
