// SignalBox: signed tokens on the wire: RFC 7519 claims in an RFC 7515 compact serialization, HS256 and HS512
// SPDX-License-Identifier: Apache-2.0

package import Crypto
import NIOCore
package import SignalR
package import SignalRWire

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// A token that was read and not verified yet.
///
/// The service knows two algorithms and one kind of key, so this is all of JOSE that it needs; and it takes keys shorter than an
/// HS512 digest, as the SDKs produce them.
package struct AccessToken {
    private enum Algorithm: String { case hs256 = "HS256", hs512 = "HS512" }

    /// Longer ones are refused before they are decoded; the SDKs stop at 4,096 characters.
    private static let maximumLength = 16_384

    package let claims: HubValue
    private let algorithm: Algorithm
    private let signedPart: [UInt8]
    private let signature: [UInt8]

    package init(_ token: String) throws(AuthenticationError) {
        guard token.utf8.count <= Self.maximumLength else { throw AuthenticationError("the token is too long") }
        let parts = token.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        guard parts.count == 3, let header = Self.object(parts[0]), let claims = Self.object(parts[1]),
            let signature = Base64URL.decode(parts[2])
        else { throw AuthenticationError("the token is no JSON Web Token") }
        guard case .string(let name)? = header["alg"], let algorithm = Algorithm(rawValue: name) else {
            throw AuthenticationError("the token's algorithm is neither HS256 nor HS512")
        }
        self.claims = claims
        self.algorithm = algorithm
        self.signature = signature
        self.signedPart = Array(token.utf8[..<parts[1].endIndex])
    }

    private static func object(_ part: Substring.UTF8View) -> HubValue? {
        guard let bytes = Base64URL.decode(part),
            case .map(let members)? = try? JSON.value(from: ByteBuffer(bytes: bytes))
        else { return nil }
        return .map(members)
    }

    /// Compares in constant time.
    package func isSigned(with key: SymmetricKey) -> Bool {
        switch algorithm {
        case .hs256: HMAC<SHA256>.isValidAuthenticationCode(signature, authenticating: signedPart, using: key)
        case .hs512: HMAC<SHA512>.isValidAuthenticationCode(signature, authenticating: signedPart, using: key)
        }
    }

    /// A token in the form that the SDKs write: own claims, then `nbf`, `exp`, `iat` and `aud`; HS256.
    /// - Parameters:
    ///   - audience: the URL that the token is for, without a port.
    ///   - now: in seconds since 1970.
    package static func issue(
        _ claims: [HubValue.Member] = [], audience: String, lifetime: Duration, now: Double = Self.now,
        with key: SymmetricKey
    ) -> String {
        let start = Int64(now)
        let standard: [HubValue.Member] = [
            .init(key: "nbf", value: .int(start)), .init(key: "exp", value: .int(start &+ lifetime.components.seconds)),
            .init(key: "iat", value: .int(start)), .init(key: "aud", value: .string(audience)),
        ]
        return sign(.map(claims + standard), with: key)
    }

    /// In seconds since 1970.
    package static var now: Double { Date().timeIntervalSince1970 }

    package static func sign(_ claims: HubValue, with key: SymmetricKey) -> String {
        let header: HubValue = .map([
            .init(key: "alg", value: .string(Algorithm.hs256.rawValue)), .init(key: "typ", value: .string("JWT")),
        ])
        let signed = [header, claims].map { Base64URL.encode(text(of: $0)) }.joined(separator: ".")
        return signed + "."
            + Base64URL.encode(Array(HMAC<SHA256>.authenticationCode(for: Array(signed.utf8), using: key)))
    }

    /// Its JSON text; claims that JSON cannot express are not there.
    private static func text(of value: HubValue) -> [UInt8] {
        var text = ByteBuffer()
        do {
            try JSON.write(value, into: &text)
            return Array(text.readableBytesView)
        } catch {
            return Array("{}".utf8)
        }
    }
}

/// RFC 4648 §5 without padding.
package enum Base64URL {
    private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)
    private static let digits: [UInt8: UInt32] = Dictionary(
        uniqueKeysWithValues: alphabet.enumerated().map { ($1, UInt32($0)) })

    package static func encode(_ bytes: [UInt8]) -> String {
        var text: [UInt8] = []
        text.reserveCapacity((bytes.count * 4 + 2) / 3)
        var (bits, count): (UInt32, UInt32) = (0, 0)
        for byte in bytes {
            bits = bits << 8 | UInt32(byte)
            count += 8
            while count >= 6 {
                count -= 6
                text.append(alphabet[Int(bits >> count & 63)])
            }
        }
        if count > 0 { text.append(alphabet[Int(bits << (6 - count) & 63)]) }
        return String(decoding: text, as: UTF8.self)
    }

    /// nil for anything else; trailing `=` is tolerated.
    package static func decode(_ text: some Collection<UInt8>) -> [UInt8]? {
        var bytes: [UInt8] = []
        var (bits, count): (UInt32, UInt32) = (0, 0)
        for character in text where character != UInt8(ascii: "=") {
            guard let digit = digits[character] else { return nil }
            bits = bits << 6 | digit
            count += 6
            guard count >= 8 else { continue }
            count -= 8
            bytes.append(UInt8(truncatingIfNeeded: bits >> count))
        }
        return bytes
    }
}
