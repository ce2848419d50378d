// SignalBox: which tokens the access keys accept, and those that they sign
// SPDX-License-Identifier: Apache-2.0

import Crypto
import SignalR
import SignalRAccess
import SignalRWire
import Testing

@testable import SignalRService

private let secret = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789ABCDEFGH"
private let client = Audience.client(hub: "chat")
/// When the tokens of the vectors are valid.
private let then = 1_700_000_100.0

@Suite struct AccessKeyTests {
    @Test(arguments: Vectors.all.jwt)
    func vector(_ vector: Vectors.Token) throws {
        let token = try AccessToken(vector.token)
        #expect(token.isSigned(with: SymmetricKey(data: Array(vector.key.utf8))))
        #expect(token.isSigned(with: SymmetricKey(data: Array(secret.utf8))) == (vector.key == secret))
        #expect(token.claims["aud"] == .string(vector.payload.aud))
    }

    @Test(arguments: Vectors.all.jwt.filter { $0.name.hasPrefix("client") })
    func clientVectorOpensItsHub(_ vector: Vectors.Token) throws {
        _ = try AccessKeys(secret).claims(of: vector.token, for: client, now: then)
        #expect(throws: AuthenticationError.self) {
            try AccessKeys(secret).claims(of: vector.token, for: .client(hub: "other"), now: then)
        }
    }

    @Test func bothKeysVerifyAndTheFirstSigns() throws {
        let (old, new) = (AccessKeys.makeKey(), AccessKeys.makeKey())
        let before = AccessKeys(old).token(audience: "http://h/client/?hub=chat", lifetime: .seconds(60))
        let after = AccessKeys(new, secondary: old).token(audience: "http://h/client/?hub=chat", lifetime: .seconds(60))
        for token in [before, after] { _ = try AccessKeys(new, secondary: old).claims(of: token, for: client) }
        _ = try AccessKeys(new).claims(of: after, for: client)
        #expect(throws: AuthenticationError.self) { try AccessKeys(new).claims(of: before, for: client) }
    }

    @Test(arguments: [(3600, 3899, true), (3600, 3901, false), (60, -299, true), (60, -301, false)])
    func clocksMayDifferByFiveMinutes(lifetime: Int, elapsed: Int, isValid: Bool) {
        let token = AccessKeys(secret).token(
            audience: "http://h/client/?hub=chat", lifetime: .seconds(lifetime), now: then)
        let claims = try? AccessKeys(secret).claims(of: token, for: client, now: then + Double(elapsed))
        #expect((claims != nil) == isValid)
    }

    @Test func tokensThatNeverExpireAreRefused() {
        let token = AccessToken.sign(
            .map([.init(key: "aud", value: "http://h/client/?hub=chat")]), with: SymmetricKey(data: Array(secret.utf8)))
        #expect(throws: AuthenticationError.self) { try AccessKeys(secret).claims(of: token, for: client) }
    }

    @Test(arguments: [
        "", ".", "..", "a.b.c", "eyJhbGciOiJub25lIn0.e30.", "eyJhbGciOiJIUzI1NiJ9.e30", "eyJhbGciOiJIUzI1NiJ9.W10.AA",
        "eyJhbGciOiJIUzI1NiJ9.e30.A*", String(repeating: "a", count: 20_000),
    ])
    func garbageIsRefused(_ token: String) {
        #expect(throws: AuthenticationError.self) { try AccessKeys(secret).claims(of: token, for: client) }
    }

    @Test func aChangedTokenIsRefused() throws {
        let keys = AccessKeys(secret)
        let token = keys.clientToken(hub: "chat", user: "bob", endpoint: "http://h")
        let parts = token.split(separator: ".")
        let forged = Base64URL.encode(
            Array(#"{"asrs.s.uid":"eve","exp":99999999999,"aud":"http://h/client/?hub=chat"}"#.utf8))
        #expect(throws: AuthenticationError.self) {
            try keys.claims(of: "\(parts[0]).\(forged).\(parts[2])", for: client)
        }
    }

    @Test func clientTokensSayWhoTheClientIs() throws {
        let token = AccessKeys(secret).clientToken(
            hub: "App_Chat", user: "bob", roles: ["a", "b"], claims: [.init(key: "team", value: "blue")],
            endpoint: "http://localhost:8888")
        let claims = try AccessKeys(secret).claims(of: token, for: .client(hub: "app_chat"))
        let user = HubUser(serviceClaims: claims)
        #expect(user.id == "bob")
        #expect(user.roles == ["a", "b"])
        #expect(user.claims["team"] == "blue")
        #expect(claims["aud"] == "http://localhost/client/?hub=app_chat")
    }

    @Test func madeKeysAreLongAndDifferent() {
        let keys = (0..<20).map { _ in AccessKeys.makeKey() }
        #expect(Set(keys).count == 20)
        #expect(keys.allSatisfy { $0.count == 44 && AccessKeys.isLongEnough($0) })
    }

    @Test func keysDoNotShow() {
        let keys = AccessKeys(secret)
        var dumped = ""
        dump(keys, to: &dumped)
        for text in ["\(keys)", String(reflecting: keys), dumped] { #expect(!text.contains("ABCDEF")) }
    }

    @Test func base64URLRoundTrips() {
        for length in 0..<70 {
            let bytes = (0..<length).map { UInt8(truncatingIfNeeded: $0 &* 37 &+ length) }
            #expect(Base64URL.decode(Base64URL.encode(bytes).utf8) == bytes)
        }
        #expect(Base64URL.decode("+/".utf8) == nil)
    }
}

@Suite struct UserTests {
    @Test(
        arguments: [
            ([("asrs.s.uid", "a"), ("nameid", "b")], "a"), ([("asrs.s.uid", ""), ("nameid", "b")], nil),
            ([("sub", "c"), ("nameid", "b")], "b"), ([("sub", "c")], "c"),
            ([("http://schemas.xmlsoap.org/ws/2005/05/identity/claims/nameidentifier", "d"), ("sub", "c")], "d"),
            ([], nil),
        ] as [([(String, String)], String?)])
    func userID(claims: [(String, String)], id: String?) {
        let user = HubUser(serviceClaims: .map(claims.map { .init(key: $0.0, value: .string($0.1)) }))
        #expect(user.id == id)
    }

    @Test func theSessionEndsWithTheAppsOnlyIfTheAppSaysSo() {
        let end = HubValue.Member(key: "asrs.s.aeo", value: 1234)
        #expect(HubUser(serviceClaims: .map([end])).expiration == nil)
        #expect(HubUser(serviceClaims: .map([end, .init(key: "asrs.s.coae", value: "true")])).expiration == 1234)
    }
}

@Suite struct AudienceTests {
    @Test(arguments: [
        "http://localhost/client/?hub=chat", "https://localhost:8888/client/?hub=chat", "http://h/client?hub=CHAT",
        "http://other/client/?hub=ch%61t", "http://h/client/?asrs=1&hub=chat",
    ])
    func clientAudiencesThatMatch(_ audience: String) { #expect(Audience.client(hub: "Chat").matches(audience)) }

    @Test(arguments: [
        "http://h/client/?hub=chat2", "http://h/client/", "http://h/client/?hub=chat&hub=chat",
        "http://h/server/?hub=chat",
        "http://h/?hub=chat", "http://h", "chat", "", "http://h/client/negotiate?hub=chat", "://", "http:///client",
    ])
    func clientAudiencesThatDoNot(_ audience: String) { #expect(!Audience.client(hub: "chat").matches(audience)) }

    @Test(arguments: Vectors.all.restUrls)
    func restAudiencesMatchTheirURL(_ vector: Vectors.RestURL) {
        let path = vector.urlAndAudience.dropFirst("https://abc".count).prefix { $0 != "?" }
        #expect(Audience.rest(path: String(path)).matches(vector.urlAndAudience))
        #expect(Audience.rest(path: String(path)).matches("http://localhost:8888\(path)"))
        #expect(!Audience.rest(path: path + "x").matches(vector.urlAndAudience))
    }
}
