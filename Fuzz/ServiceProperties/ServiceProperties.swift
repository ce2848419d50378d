// SignalBox: what must hold for any token, any REST request and any input of a client
// SPDX-License-Identifier: Apache-2.0

import Crypto
import HTTPTypes
import NIOCore
import SignalR
import SignalRWire

@testable import SignalRAccess
@testable import SignalRService

/// One property for each fuzzer of the service, named as it. The fuzzers call them with what they invent, the tests of SignalRService
/// with what was found.
public enum ServiceProperty: String, CaseIterable, Sendable {
    case token = "FuzzToken"
    case rest = "FuzzRest"

    public struct Violation: Error {
        public let text: String
    }

    /// - Throws: `Violation` when the property does not hold.
    public func check(_ input: [UInt8]) throws {
        let bytes = ByteBuffer(bytes: input)
        switch self {
        case .token:
            try Self.strangersStayOut(bytes)
            try Self.claimsAreSafe(bytes)
        case .rest:
            try Self.routesAreSafe(bytes)
            try Self.filtersDecide(bytes)
            try Self.bodiesAreRead(bytes)
            try Self.piecesAreCountedAlike(bytes)
        }
    }

    private static func require(_ condition: Bool, _ text: @autoclosure () -> String) throws {
        if !condition { throw Violation(text: text()) }
    }

    // MARK: Tokens

    private static let secret = "a-fuzzers-access-key-of-more-than-32-characters"
    private static let audiences = [Audience.client(hub: "chat"), .server(hub: "chat"), .rest(path: "/api/hubs/chat")]

    /// No bytes are a token for who has no key.
    private static func strangersStayOut(_ bytes: ByteBuffer) throws {
        let (keys, text) = (AccessKeys(secret), String(buffer: bytes))
        for audience in audiences {
            try require((try? keys.claims(of: text, for: audience)) == nil, "\(text) was let in")
        }
    }

    /// Claims that somebody with a key signed say what they said, and harm nobody; who is let in has a token with an end.
    private static func claimsAreSafe(_ bytes: ByteBuffer) throws {
        guard case .map(let members)? = try? JSON.value(from: bytes) else { return }
        let key = SymmetricKey(data: Array(secret.utf8))
        let token = AccessToken.sign(.map(members), with: key)
        guard let read = try? AccessToken(token) else { return }
        try require(read.isSigned(with: key), "\(token) is not signed")
        // Written and read once: a number may have several forms.
        let said = try JSON.value(from: HubValue.map(members).json).json
        try require(read.claims.json == said, "\(token) says something else")
        let user = HubUser(serviceClaims: read.claims)
        _ = Stickiness(user)
        _ = Introduction.claims(of: user)
        for audience in audiences {
            guard let claims = try? AccessKeys(secret).claims(of: token, for: audience) else { continue }
            try require(claims["exp"]?.seconds != nil && claims["aud"] != nil, "\(token) was let in")
        }
    }

    // MARK: REST

    private static let methods: [HTTPRequest.Method] = [.get, .head, .post, .put, .delete, .patch]

    private static func routesAreSafe(_ bytes: ByteBuffer) throws {
        let text = String(buffer: bytes)
        for path in [text, "/api/hubs/\(text)", "/api/v1/hubs/\(text)", "/api/v1-preview/hub/\(text)"] {
            for method in methods { _ = try? RestRoute(method, path: path) }
        }
        for name in [HubName(text), HubName(effective: text), HubName("chat", application: text)] {
            guard let name else { continue }
            let again = HubName(effective: name.description)
            try require(again == name, "\(name) is another name")
        }
    }

    /// A filter holds for a connection or does not, and its opposite does where it does not.
    private static func filtersDecide(_ bytes: ByteBuffer) throws {
        let text = String(buffer: bytes)
        guard let filter = try? RestFilter(text), let opposite = try? RestFilter("not (\(text))") else { return }
        for user in [nil, "", "ann"] {
            let subject = RestFilter.Subject(connectionID: "c", userID: user, groups: { ["g", "'"] })
            try require(filter.matches(subject) != opposite.matches(subject), "\(text) is undecided")
        }
    }

    private static func bodiesAreRead(_ bytes: ByteBuffer) throws {
        for type in [nil, "application/json; charset=utf-8", "application/octet-stream", "application/x-msgpack"] {
            _ = try? RestMessage.read(bytes, type: type)
            _ = try? RestMessage.readCall(bytes, type: type)
            _ = try? RestMessage.readItem(bytes, of: "s", type: type)
        }
        _ = try? RestCommand.read(bytes)
    }

    // MARK: Clients

    /// As many messages, wherever the stream is cut.
    private static func piecesAreCountedAlike(_ bytes: ByteBuffer) throws {
        for format in [TransferFormat.text, .binary] {
            var whole = MessageCounter()
            let count = whole.count(bytes, format)
            for size in [1, 3] {
                var (counter, rest, sum) = (MessageCounter(), bytes, 0)
                while rest.readableBytes > 0, let piece = rest.readSlice(length: min(size, rest.readableBytes)) {
                    sum += counter.count(piece, format)
                }
                try require(sum == count, "\(sum) and not \(count) messages in pieces of \(size)")
            }
        }
    }
}
