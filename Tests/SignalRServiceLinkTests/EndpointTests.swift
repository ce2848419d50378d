// SignalBox: what the app tells clients that negotiate, and what comes back of it (service reference §2, §3, §9.3)
// SPDX-License-Identifier: Apache-2.0

import Crypto
import HTTPTypes
import NIOCore
import SignalR
import SignalRAccess
import SignalRWire
import Testing

@testable import SignalRServiceLink

private func endpoint(
    _ base: String = "Endpoint=https://myendpoint", hub: String = "TestHub", application: String? = nil
) throws -> ServiceEndpoint {
    try ServiceEndpoint("\(base);AccessKey=\(accessKey)", hub: hub, application: application)
}

@Suite struct EndpointTests {
    @Test func serverURLs() throws {
        #expect(
            try endpoint().serverURL(connectionID: "g", target: "") == "https://myendpoint/server/?hub=testhub&cid=g")
        #expect(
            try endpoint("Endpoint=http://h:1;Port=2", application: "testapp").serverURL(
                connectionID: "g", target: "a/b")
                == "http://h:2/server/?hub=testapp_testhub&cid=g&target=a%2Fb")
        #expect(
            try endpoint("Endpoint=http://h;ServerEndpoint=http://inside:7/x/").serverURL(connectionID: "g", target: "")
                == "http://inside:7/x/server/?hub=testhub&cid=g")
    }

    /// The vectors' table.
    @Test(arguments: [
        ("", "", "", "?hub=chat&asrs_request_id="),
        ("/user/path", "", "a", "?hub=chat&asrs.op=%2Fuser%2Fpath&asrs_request_id=a"),
        ("", "customKey=customeValue", "?a=c", "?hub=chat&customKey=customeValue&asrs_request_id=%3Fa%3Dc"),
        (
            "/user/path", "customKey=customeValue", "&",
            "?hub=chat&asrs.op=%2Fuser%2Fpath&customKey=customeValue&asrs_request_id=%26"
        ),
        ("", "access_token=secret&a=b", "x", "?hub=chat&a=b&asrs_request_id=x"),
    ])
    func clientURLs(path: String, query: String, id: String, suffix: String) throws {
        #expect(
            try endpoint(hub: "Chat").clientURL(path: path, query: query, requestID: id)
                == "https://myendpoint/client/" + suffix)
    }

    @Test func clientsMayHaveAnEndpointOfTheirOwn() throws {
        #expect(
            try endpoint("Endpoint=http://h;ClientEndpoint=http://localhost3", application: "testprefix")
                .clientURL(path: "", query: "", requestID: "a")
                == "http://localhost3/client/?hub=testprefix_testhub&asrs_request_id=a")
    }

    @Test func tokens() throws {
        let endpoint = try endpoint("Endpoint=http://localhost;Port=8888", hub: "Chat")
        let server = try AccessToken(endpoint.serverToken("HOST_1"))
        #expect(server.claims["aud"] == .string("http://localhost/server/?hub=chat"))
        let text = try #require(
            endpoint.clientToken([.init(key: "nameid", value: .string("u"))], lifetime: .seconds(60)))
        let client = try AccessToken(text)
        #expect(client.isSigned(with: .init(data: Array(accessKey.utf8))))
        #expect(client.claims["aud"] == .string("http://localhost/client/?hub=chat"))
        guard case .map(let members) = client.claims, case .int(let start)? = client.claims["nbf"] else {
            throw Unexpected(what: "no claims")
        }
        #expect(members.map(\.key) == ["nameid", "nbf", "exp", "iat", "aud"])
        #expect(client.claims["exp"] == .int(start + 60))
        let long = HubValue.string(String(repeating: "x", count: 4096))
        #expect(endpoint.clientToken([.init(key: "a", value: long)], lifetime: .seconds(60)) == nil)
    }

    @Test func connectionStringsThatAreOfNoUse() {
        #expect(throws: ConnectionStringError.self) {
            try ServiceEndpoint("Endpoint=http://h", hub: "c", application: nil)
        }
        #expect(throws: ConnectionStringError.self) {
            try ServiceEndpoint("Endpoint=http://h;AuthType=aad", hub: "c", application: nil)
        }
    }

    @Test func theKeyIsNotShown() throws {
        #expect(!"\(try endpoint())".contains(accessKey))
    }

    @Test(arguments: [
        ("http://h/server/?a", false, "h", 80, "/server/?a", "h"), ("https://h:8/x", true, "h", 8, "/x", "h:8"),
        ("HTTPS://h", true, "h", 443, "/", "h"), ("http://[::1]:9?q", false, "::1", 9, "/?q", "[::1]:9"),
        ("http://[::1]/", false, "::1", 80, "/", "[::1]"),
    ])
    func addresses(url: String, isSecure: Bool, host: String, port: Int, target: String, header: String) throws {
        let address = try ServiceAddress(url)
        #expect(address.isSecure == isSecure && address.host == host && address.port == port)
        #expect(address.target == target && address.hostHeader == header)
        #expect(address.isIPAddress == (host == "::1"))
    }

    @Test(arguments: ["", "ftp://h", "http://", "http://:80", "http://h:0", "http://h:x", "http://h:65536"])
    func noAddresses(_ url: String) {
        #expect(throws: ServiceAddress.Malformed.self) { try ServiceAddress(url) }
    }
}

@Suite struct ClaimTests {
    private func pairs(_ claims: [HubValue.Member]) -> [String] { claims.map { "\($0.key)=\($0.value)" } }

    private func travelling(_ user: HubUser?, userID: String?) -> [HubValue.Member] {
        ClientClaims.all(user, userID: userID, HubOptions(), ServiceLinkOptions())
    }

    /// The vectors: what the token has for itself travels under another name, and back.
    @Test func reservedNames() {
        let user = HubUser(id: nil, claims: ["iss": .string("A"), "jti": .string("B"), "asrs.s.uid": .string("evil")])
        let claims = ClientClaims.travelling(user)
        #expect(claims.map(\.key) == ["asrs.u.iss", "asrs.u.jti"])
        let back = ClientClaims.restored([.init("asrs.u.iss", "A"), .init("asrs.u.jti", "B")])
        #expect(back == [.init("iss", "A"), .init("jti", "B")])
    }

    @Test func theUsersID() {
        #expect(travelling(nil, userID: nil).isEmpty)
        let user = HubUser(id: "u", claims: ["sub": .string("u")])
        #expect(travelling(user, userID: "u").map(\.key) == ["asrs.s.uid", "sub"])
        // Nobody, whatever the claims say.
        #expect(travelling(user, userID: nil).first?.value == .string(""))
        // A user of whom nothing is known but the id is one, nevertheless.
        #expect(travelling(HubUser(id: "u"), userID: "u").map(\.key) == ["asrs.s.uid", "nameid"])
    }

    @Test func optionsTravelToo() {
        var (hub, link) = (HubOptions(), ServiceLinkOptions())
        hub.handshakeTimeout = .seconds(60)
        hub.detailedErrors = true
        hub.transports = [.webSockets, .longPolling]
        hub.closeOnAuthenticationExpiration = true
        link.stickiness = .required
        link.serverName = "S"
        let user = HubUser(id: "u", claims: ["sub": .string("u")], expiration: 1_700_000_000.4)
        let claims = Dictionary(
            uniqueKeysWithValues: ClientClaims.all(user, userID: "u", hub, link).map { ($0.key, $0.value) })
        #expect(
            claims == [
                "asrs.s.uid": .string("u"), "asrs.s.sn": .string("S"), "asrs.s.ssticky": .string("Required"),
                "asrs.s.cht": .int(30), "asrs.s.derror": .string("True"), "asrs.s.htt": .int(5),
                "asrs.s.coae": .string("true"), "asrs.s.aeo": .int(1_700_000_000), "sub": .string("u"),
            ])
    }

    @Test func backFromTheService() {
        let (user, id) = ClientClaims.user([
            .init("aud", "x"), .init("exp", "1"), .init("asrs.s.uid", "custom"), .init("asrs.s.aeo", "99"),
            .init("http://schemas.xmlsoap.org/ws/2005/05/identity/claims/nameidentifier", "n"),
            .init("http://schemas.microsoft.com/ws/2008/06/identity/claims/role", "a"), .init("k", "1"),
            .init("k", "2"),
            .init("k", "3"),
        ])
        #expect(id == "custom" && user?.id == "custom" && user?.expiration == 99 && user?.roles == ["a"])
        #expect(
            user?.claims == [
                "sub": .string("n"), "role": .string("a"), "k": .array([.string("1"), .string("2"), .string("3")]),
            ])
        // The vectors: nothing is left, so nobody has shown who they are.
        let (nobody, name) = ClientClaims.user([.init("aud", "x"), .init("nbf", "1"), .init("asrs.s.uid", "custom")])
        #expect(nobody == nil && name == "custom")
        let (_, empty) = ClientClaims.user([.init("asrs.s.uid", ""), .init("k", "1")])
        #expect(empty == nil)
    }

    @Test func namesGoBothWays() {
        for name in ["sub", "role", "email", "unique_name", "upn", "tid"] {
            #expect(ClaimNames.short(ClaimNames.long(name)) == name)
        }
        #expect(ClaimNames.short(ClaimNames.long("nameid")) == "sub")
        #expect(ClaimNames.short("own") == "own")
    }

    /// The vectors' table.
    @Test(arguments: [
        ("1.1.1.1", "1.1.1.1"), ("1.1.1.1, 2.2.2.2", "1.1.1.1"), ("1.1.1.1,2.2.2.2,3.3.3.3", "1.1.1.1"),
        ("2001:db8:cafe::17", "2001:db8:cafe::17"), ("256.256.256.256", nil), ("", nil),
    ])
    func addresses(forwarded: String, address: String?) {
        let request = HubRequest(.init(id: "c", headers: [.init("x-forwarded-for", [forwarded])]))
        #expect(request.remoteAddress?.ipAddress == address)
    }

    @Test func requests() {
        let request = HubRequest(
            .init(
                id: "c",
                headers: [
                    .init("X-Own", ["a", "b"]), .init("bad name", ["x"]), .init("Asrs-Instance-Id", ["i"]),
                    .init("Asrs-Migrate-From", ["s"]),
                ], query: "?asrs.op=%2Fthis%2Fis&query1=value1"))
        #expect(request.path == "/this/is" && request.query("query1") == "value1")
        #expect(request.headers.map(\.name.rawName) == ["X-Own", "X-Own", "Asrs-Migrate-From"])
        #expect(HubRequest(.init(id: "c")).path.isEmpty)
    }

    @Test(arguments: [("/chat/negotiate", "/chat"), ("/chat/negotiate/", "/chat"), ("/NEGOTIATE", ""), ("/x", "/x")])
    func hubPaths(path: String, hub: String) { #expect(ServiceLink.hubPath(path) == hub) }
}
