// SignalBox: query strings as ASP.NET Core reads them
// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import SignalR
import Testing

@Suite struct QueryTests {
    private static let cases: [(query: String, name: String, value: String?)] = [
        ("id=abc", "id", "abc"), ("ID=abc", "id", "abc"), ("id=abc", "Id", "abc"), ("id=AbC", "id", "AbC"),
        ("", "id", nil), ("id", "id", ""), ("id=", "id", ""), ("x=1&id=2&id=3", "id", "2"), ("idx=1", "id", nil),
        ("id=a%20b+c", "id", "a b c"), ("id=%C3%A4", "id", "ä"), ("i%64=x", "id", "x"), ("id=a=b", "id", "a=b"),
        ("id=%", "id", "%"), ("id=%4", "id", "%4"), ("id=%zz", "id", "%zz"), ("&&id=x&", "id", "x"),
        ("id=%FF", "id", "\u{FFFD}"), ("id=%2B", "id", "+"),
    ]

    @Test(arguments: cases)
    func `A value`(query: String, name: String, value: String?) {
        #expect(Query.value(of: name, in: query) == value)
        #expect(HubRequest(method: .get, path: "/", rawQuery: query).query(name) == value)
    }

    @Test func `All values of a key`() {
        #expect(Query.values(of: "group", in: "group=a&x=1&GROUP=b%20c&group") == ["a", "b c", ""])
        #expect(Query.values(of: "group", in: "").isEmpty)
    }

    private static let tokens: [(header: String?, query: String, token: String?)] = [
        ("Bearer abc", "", "abc"), ("bearer abc", "", "abc"), (nil, "access_token=abc", "abc"),
        ("Bearer head", "access_token=query", "head"), ("Basic abc", "access_token=query", nil), (nil, "", nil),
        ("Bearer", "", nil),
    ]

    @Test(arguments: tokens)
    func `The bearer token`(header: String?, query: String, token: String?) {
        var headers = HTTPFields()
        headers[.authorization] = header
        #expect(HubRequest(method: .get, path: "/", rawQuery: query, headers: headers).bearerToken == token)
    }

    @Test func `Connections remember headers, but for the handshake's and the secret ones`() {
        let headers: HTTPFields = [
            .userAgent: "test", .accept: "a", .authorization: "Bearer secret", .secWebSocketKey: "key",
            .upgrade: "websocket",
            .cookie: "",
        ]
        let request = RequestFeatures(HubRequest(method: .get, path: "/hub", rawQuery: "a=1", headers: headers))
        #expect(request.headers == [.userAgent: "test", .accept: "a", .cookie: ""])
        #expect(request.path == "/hub")
        #expect(request.rawQuery == "a=1")
    }
}
