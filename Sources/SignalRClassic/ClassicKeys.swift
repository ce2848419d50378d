// SignalBox: tokens that only servers with the same keys can make and read
// SPDX-License-Identifier: Apache-2.0

import Crypto
import NIOCore
import SignalR
import SignalRWire

/// The keys that protect connection tokens and groups tokens: encrypted and authenticated (AES-256-GCM), for one purpose each.
///
/// Give all servers of a farm the same secrets, and keep them over restarts: clients then go on wherever they land. To change a secret,
/// put the new one first and leave the old one behind it until no client has a token of it.
public struct ClassicKeys: Sendable, CustomStringConvertible {
    /// What a token is for. One kind is never accepted as the other.
    enum Purpose: String, CaseIterable {
        case connection = "SignalBox.Classic.ConnectionToken"
        case groups = "SignalBox.Classic.Groups"
    }

    private let keys: [[Purpose: SymmetricKey]]

    /// Random keys, which end with the process.
    public init() { self.init([SymmetricKey(size: .bits256)]) }

    /// - Parameter secrets: the first makes tokens, all of them read tokens; each of at least 32 bytes.
    /// - Throws: ``ClassicKeyError`` when there is none or one is too short.
    public init(secrets: [String]) throws(ClassicKeyError) {
        guard !secrets.isEmpty, secrets.allSatisfy({ $0.utf8.count >= 32 }) else { throw ClassicKeyError() }
        self.init(secrets.map { SymmetricKey(data: Array($0.utf8)) })
    }

    private init(_ secrets: [SymmetricKey]) {
        self.keys = secrets.map { secret in
            Dictionary(
                uniqueKeysWithValues: Purpose.allCases.map { purpose in
                    let key = HKDF<SHA256>.deriveKey(
                        inputKeyMaterial: secret, info: Array(purpose.rawValue.utf8), outputByteCount: 32)
                    return (purpose, key)
                })
        }
    }

    /// Keys are not for logs.
    public var description: String { "ClassicKeys(\(self.keys.count))" }

    /// The token for `text`: URL-safe, opaque, different every time.
    func protect(_ text: String, for purpose: Purpose) -> String? {
        guard let key = self.keys.first?[purpose],
            let sealed = try? AES.GCM.seal(Array(text.utf8), using: key).combined
        else { return nil }
        return Self.urlSafe(Array(sealed))
    }

    /// What a token of these keys stands for; nil for every other text.
    func unprotect(_ token: String, for purpose: Purpose) -> String? {
        guard let bytes = Self.bytes(token), let box = try? AES.GCM.SealedBox(combined: bytes) else { return nil }
        for keys in self.keys {
            guard let key = keys[purpose], let text = try? AES.GCM.open(box, using: key) else { continue }
            return String(decoding: text, as: UTF8.self)
        }
        return nil
    }

    private static func urlSafe(_ bytes: [UInt8]) -> String {
        var buffer = ByteBuffer()
        Base64.encode(bytes, into: &buffer)
        let letters = buffer.readableBytesView.compactMap { letter -> UInt8? in
            switch letter {
            case UInt8(ascii: "+"): UInt8(ascii: "-")
            case UInt8(ascii: "/"): UInt8(ascii: "_")
            case UInt8(ascii: "="): nil
            default: letter
            }
        }
        return String(decoding: letters, as: UTF8.self)
    }

    private static func bytes(_ token: String) -> [UInt8]? {
        guard token.utf8.count <= 64 << 10 else { return nil }
        var letters = token.utf8.map { letter in
            switch letter {
            case UInt8(ascii: "-"): UInt8(ascii: "+")
            case UInt8(ascii: "_"): UInt8(ascii: "/")
            default: letter
            }
        }
        while !letters.count.isMultiple(of: 4) { letters.append(UInt8(ascii: "=")) }
        return Base64.decode(String(decoding: letters, as: UTF8.self))
    }
}

/// Secrets that protect nothing.
public struct ClassicKeyError: Error, Sendable, CustomStringConvertible {
    public var description: String { "A classic endpoint needs a secret of at least 32 bytes." }
}

// MARK: What the tokens say

extension ClassicKeys {
    /// A connection token: the id, and the user who negotiated it.
    func connectionToken(_ id: ConnectionID, user: String) -> String? {
        self.protect("\(id):\(user)", for: .connection)
    }

    /// User names may hold colons; ids do not.
    func readConnectionToken(_ token: String) -> (id: ConnectionID, user: String)? {
        guard let text = self.unprotect(token, for: .connection), let colon = text.firstIndex(of: ":"),
            let id = ConnectionID(text[..<colon])
        else { return nil }
        return (id, String(text[text.index(after: colon)...]))
    }

    func groupsToken(_ groups: [String], of id: ConnectionID) -> String? {
        var names = ByteBuffer()
        ClassicCodec.writeNames(groups, into: &names)
        return self.protect("\(id):\(String(buffer: names))", for: .groups)
    }

    /// The groups that a token names for this connection; none for a token that is not for it.
    func readGroupsToken(_ token: String, of id: ConnectionID) -> [String] {
        guard let text = self.unprotect(token, for: .groups), text.hasPrefix("\(id):") else { return [] }
        return ClassicCodec.names(in: ByteBuffer(substring: text.dropFirst("\(id):".count))) ?? []
    }
}
