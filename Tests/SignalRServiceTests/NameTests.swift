// SignalBox: hub names, connection strings, escaping
// SPDX-License-Identifier: Apache-2.0

import SignalRAccess
import Testing

@testable import SignalRService

@Suite struct HubNameTests {
    @Test(arguments: ["chat", "C", "a_b`1,c.[d]", "h" + String(repeating: "x", count: 127)])
    func namesThatAre(_ name: String) { #expect(HubName(name)?.description == name.lowercased()) }

    @Test(arguments: ["", "1chat", "_chat", "a b", "a/b", "a%20b", "ä", "hü", "h" + String(repeating: "x", count: 128)])
    func namesThatAreNot(_ name: String) { #expect(HubName(name) == nil) }

    @Test func applicationsComeFirst() {
        #expect(HubName("Chat", application: "App")?.description == "app_chat")
        #expect(HubName("Chat", application: "")?.description == "chat")
        #expect(HubName("Chat", application: "a/b") == nil)
    }

    @Test func clientsNameBothInOne() {
        let long = String(repeating: "x", count: 128)
        #expect(HubName(effective: "App_Chat")?.description == "app_chat")
        #expect(HubName(effective: long + "_" + long) == HubName(long, application: long))
        #expect(HubName(effective: long + "x") == nil)
        #expect(HubName(effective: long + "_" + long + "x") == nil)
        #expect(HubName(effective: "a_" + long + "é") == nil)
    }
}

@Suite struct ConnectionStringTests {
    @Test(arguments: Vectors.all.connectionStrings.valid)
    func valid(_ vector: Vectors.ConnectionStrings.Valid) throws {
        let string = try ConnectionString(vector.s)
        #expect(string.accessKey == "K")
        if let version = vector.version { #expect(string.version == version) }
        if let endpoint = vector.endpoint { #expect(string.endpoint == endpoint) }
        if let client = vector.clientEndpoint { #expect(string.clientEndpoint == client) }
        if let server = vector.serverEndpoint { #expect(string.serverEndpoint == server) }
        if vector.s.contains("port=400") { #expect(string.endpoint == "http://aaa:400") }
    }

    @Test(arguments: Vectors.all.connectionStrings.invalid)
    func invalid(_ vector: Vectors.ConnectionStrings.Invalid) {
        #expect(throws: ConnectionStringError.self) { try ConnectionString(vector.s) }
    }

    @Test func aKeyMayHoldEqualSigns() throws {
        #expect(try ConnectionString("Endpoint=http://h;AccessKey=a=b==;").accessKey == "a=b==")
    }

    @Test func repeatedPropertiesAreRefused() {
        #expect(throws: ConnectionStringError.self) {
            try ConnectionString("Endpoint=http://h;AccessKey=a;accesskey=b")
        }
    }

    @Test func whatIsPrintedCanBeRead() throws {
        let string = ConnectionString(endpoint: "http://127.0.0.1:8888", accessKey: "secret")
        #expect(string.connectionString == "Endpoint=http://127.0.0.1:8888;AccessKey=secret;Version=1.0;")
        #expect(try ConnectionString(string.connectionString) == string)
        #expect(!"\(string)".contains("secret"))
    }

    @Test(arguments: [
        ("http://h:8888", "http://h"), ("http://h", "http://h"), ("https://h:1/path", "https://h"),
        ("http://[::1]:8888", "http://[::1]"), ("http://[::1]", "http://[::1]"),
    ])
    func ports(endpoint: String, without: String) { #expect(AccessKeys.withoutPort(endpoint) == without) }

    @Test func escaping() { #expect("a/b ü~".percentEncoded == "a%2Fb%20%C3%BC~") }
}

@Suite struct UserGroupTests {
    @Test func membershipsEndWithTheirTime() {
        let groups = UserGroups()
        #expect(groups.add("bob", to: "a", lifetime: 10, now: 100))
        #expect(groups.add("bob", to: "b", lifetime: nil, now: 100))
        #expect(groups.groups(of: "bob", now: 109) == ["a", "b"])
        #expect(groups.groups(of: "bob", now: 111) == ["b"])
        #expect(groups.groups(of: "bob", now: 100 + 366 * 86_400).isEmpty)
        #expect(groups.groups(of: "alice", now: 100).isEmpty)
    }

    @Test func theNewestHundredAreKept() {
        let groups = UserGroups()
        for index in 0..<150 { #expect(groups.add("bob", to: "\(index)", lifetime: nil)) }
        #expect(groups.groups(of: "bob") == (50..<150).map { "\($0)" })
    }

    @Test func removal() {
        let groups = UserGroups()
        for group in ["a", "b", "c"] { _ = groups.add("bob", to: group, lifetime: nil) }
        groups.remove("bob", from: "b")
        #expect(groups.groups(of: "bob") == ["a", "c"])
        groups.remove("bob", from: nil)
        #expect(groups.groups(of: "bob").isEmpty)
    }
}
