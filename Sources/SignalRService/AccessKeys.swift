// SignalBox: the secrets that clients' and callers' tokens are signed with
// SPDX-License-Identifier: Apache-2.0

import Crypto
import SignalR
import SignalRAccess
import SignalRWire

/// One or two access keys of the service: every one verifies, the first one signs (two, so that a key can be replaced without a pause).
///
/// A key's text is its secret, as it stands in a connection string. It never shows up in descriptions or logs.
public struct AccessKeys: Sendable, CustomStringConvertible, CustomReflectable {
    /// The shortest key that ``isLongEnough(_:)`` accepts, in characters: 256 bits of an HMAC-SHA256 key in the worst encoding.
    public static let minimumLength = 32
    /// How far the clocks of signer and service may differ, in seconds; the default of .NET.
    static let clockSkew = 300.0

    private let keys: [SymmetricKey]

    public init(_ primary: String, secondary: String? = nil) {
        self.keys = [primary, secondary].compactMap { $0 }.map { SymmetricKey(data: Array($0.utf8)) }
    }

    public static func isLongEnough(_ key: String) -> Bool { key.count >= minimumLength }

    /// A new key: 33 bytes of the system's cryptographic random source as 44 characters of base64url.
    public static func makeKey() -> String {
        var random = SystemRandomNumberGenerator()
        return Base64URL.encode((0..<33).map { _ in UInt8.random(in: 0...255, using: &random) })
    }

    public var description: String { "\(keys.count) access key(s)" }
    public var customMirror: Mirror { Mirror(self, children: []) }

    /// What tells keys apart without telling them: the first 64 bits of each one's SHA-256, in hexadecimal digits.
    package var fingerprints: [String] {
        keys.map { key in
            key.withUnsafeBytes { bytes in
                SHA256.hash(data: bytes).prefix(8).map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
            }
        }
    }

    // MARK: Tokens

    /// The claims of a token that one of the keys signed, that is valid now and meant for `audience`.
    ///
    /// Which key signed is found by trying: `kid` of a local key differs from process to process (service reference, "Tokens").
    /// - Throws: ``AuthenticationError`` with the reason, which is for the log only.
    func claims(
        of token: String, for audience: Audience, now: Double = Self.now
    ) throws(AuthenticationError) -> HubValue { try verified(token, for: audience, now: now).claims }

    /// The same, and which key signed: 0 for the first.
    func verified(
        _ token: String, for audience: Audience, now: Double = Self.now
    ) throws(AuthenticationError) -> (claims: HubValue, key: Int) {
        let token = try AccessToken(token)
        guard let key = keys.firstIndex(where: token.isSigned(with:)) else {
            throw AuthenticationError("no access key verifies the signature")
        }
        try Self.checkTime(token.claims, now: now)
        guard token.claims["aud"]?.texts.contains(where: audience.matches) == true else {
            throw AuthenticationError("the token is for another audience")
        }
        return (token.claims, key)
    }

    private static func checkTime(_ claims: HubValue, now: Double) throws(AuthenticationError) {
        guard let expiration = claims["exp"]?.seconds, now < expiration + clockSkew else {
            throw AuthenticationError("the token has expired, or never says when it does")
        }
        guard let start = claims["nbf"] else { return }
        guard let seconds = start.seconds, now >= seconds - clockSkew else {
            throw AuthenticationError("the token is not valid yet")
        }
    }

    /// A token in the form that the SDKs write: own claims, then `nbf`, `exp`, `iat` and `aud`; HS256.
    /// - Parameter audience: the URL that the token is for, without a port.
    func token(_ claims: [HubValue.Member] = [], audience: String, lifetime: Duration, now: Double = Self.now) -> String
    {
        AccessToken.issue(claims, audience: audience, lifetime: lifetime, now: now, with: keys[0])
    }

    // MARK: Upstream

    /// What shows upstream that an event comes from this service: one signature per key, the first key's first, with no blanks between
    /// (service reference, "Request").
    func signatures(of connectionID: String) -> String {
        keys.map { key in
            let code = HMAC<SHA256>.authenticationCode(for: Array(connectionID.utf8), using: key)
            return "sha256=" + code.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
        }.joined(separator: ",")
    }

    static var now: Double { AccessToken.now }
}
