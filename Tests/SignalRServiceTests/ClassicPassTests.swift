// SignalBox: which hubs the tokens of classic clients are good for
// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import NIOCore
import SignalR
import SignalRWire
import Testing

@testable import SignalRService

@Suite struct ClassicPassTests {
    private static func pass(_ audience: HubValue, application: String? = nil) -> ClassicPass {
        var claims = ["aud": audience]
        if let application { claims["asrs.s.apn"] = .string(application) }
        return ClassicPass(HubUser(id: "ann", claims: claims))
    }

    @Test func tokensOfAppsAreForTheirHubs() {
        let pass = Self.pass("http://localhost/aspnetclient", application: "Shop")
        #expect(pass.hub(named: "Chat")?.description == "shop_chat")
        #expect(pass.hub(named: "shop_chat")?.description == "shop_shop_chat")
        #expect(pass.home?.description == "shop_shop")
        #expect(pass.hub(ofQuery: nil) == nil)
        #expect(pass.hub(named: "") == nil)
        #expect(pass.hub(named: "a b") == nil)
    }

    @Test func tokensWithoutAnApplicationAreForHubsAsTheyAreNamed() {
        let pass = Self.pass("http://localhost/aspnetclient/")
        #expect(pass.hub(named: "Chat")?.description == "chat")
        #expect(pass.hub(ofQuery: "chat")?.description == "chat")
        #expect(pass.home == nil)
    }

    @Test(arguments: ["http://h/client/?hub=Shop_Chat", "http://h:8888/aspnetclient?hub=shop_chat"])
    func tokensForOneHubAreForNoOther(_ audience: String) {
        let pass = Self.pass(.string(audience))
        #expect(pass.hub(named: "chat")?.description == "shop_chat")
        #expect(pass.hub(named: "SHOP_CHAT")?.description == "shop_chat")
        #expect(pass.hub(ofQuery: nil)?.description == "shop_chat")
        #expect(pass.hub(ofQuery: "chat")?.description == "shop_chat")
        for name in ["at", "other", "p_chat", "hop_chat", ""] { #expect(pass.hub(named: name) == nil) }
        #expect(pass.hub(ofQuery: "other") == nil)
    }

    @Test func severalAudiencesAddUp() {
        let two = Self.pass(["http://h/client/?hub=a", "http://h/client/?hub=b"])
        #expect(two.hub(named: "a")?.description == "a")
        #expect(two.hub(named: "b")?.description == "b")
        #expect(two.hub(named: "c") == nil)
        #expect(two.hub(ofQuery: nil) == nil)
    }

    /// A token whose audience is for the client endpoint and no hub is good for nothing.
    @Test func noHubIsNotEveryHub() {
        #expect(Self.pass("http://h/client/").hub(named: "chat") == nil)
        #expect(Self.pass("http://h/elsewhere?hub=chat", application: "shop").home?.description == "shop_shop")
    }

    @Test func playModeLetsEverybodyInEverywhere() {
        #expect(ClassicPass(nil).hub(named: "chat")?.description == "chat")
    }

    @Test func identitiesAreThoseOfTheService() async throws {
        let keys = AccessKeys(testKey)
        func user(_ token: String?, isOpen: Bool = false) async throws -> HubUser? {
            let headers: HTTPFields = token.map { [.authorization: "Bearer \($0)"] } ?? [:]
            return try await ClassicIdentity(keys: keys, isOpen: isOpen).authenticate(
                HubRequest(method: .get, path: "/aspnetclient/negotiate", headers: headers))
        }
        let good = keys.token(
            [.init(key: "nameid", value: "ann")], audience: "http://h/aspnetclient", lifetime: .seconds(60))
        #expect(try await user(good)?.id == "ann")
        #expect(try await user(keys.clientToken(hub: "chat", user: "bob", endpoint: "http://h"))?.id == "bob")
        let others = [
            nil, "x", AccessKeys(AccessKeys.makeKey()).token(audience: "http://h/aspnetclient", lifetime: .seconds(60)),
            keys.token(audience: "http://h/aspnetclient", lifetime: .seconds(-3600)),
            keys.token(audience: "http://h/server/?hub=chat", lifetime: .seconds(60)),
            keys.restToken(path: "/api/hubs/chat", endpoint: "http://h"),
        ]
        for token in others {
            await #expect(throws: AuthenticationError.self) { try await user(token) }
            #expect(try await user(token, isOpen: true) == nil)
        }
    }

    @Test(arguments: [
        ("/server", Generation.core), ("/server/", .core), ("/aspnetserver/", .classic), ("/AspNetServer", .classic),
    ])
    func thePathTellsTheGeneration(_ path: String, _ generation: Generation) {
        #expect(Generation(serverPath: path) == generation)
    }
}
