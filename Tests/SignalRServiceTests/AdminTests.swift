// SignalBox: the admin API without a socket
// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import NIOCore
import SignalR
import SignalRWire
import Testing

@testable import SignalRService

private let adminKey = "an-admin-key-of-more-than-32-characters"

/// A service that is observed, and its admin API.
private struct Stage {
    let service: SignalBoxService
    let api: AdminAPI

    init(_ change: (inout SignalBoxService.Options) -> Void = { _ in }) throws {
        service = try makeService {
            $0.isObserved = true
            change(&$0)
        }
        api = AdminAPI(
            service, try #require(service.observation), key: AdminKey(adminKey), version: "1.2.3",
            endpoint: { "http://localhost:8888" })
    }

    func ask(
        _ method: HTTPRequest.Method, _ pathAndQuery: String, _ body: String = "", key: String? = adminKey
    ) async -> HubResponse {
        let parts = pathAndQuery.split(separator: "?", maxSplits: 1)
        var headers: HTTPFields = [:]
        if let key { headers[.authorization] = "Bearer \(key)" }
        return await api.respond(
            to: HubRequest(
                method: method, path: String(parts[0]), rawQuery: parts.count > 1 ? String(parts[1]) : "",
                headers: headers, body: { _ in ByteBuffer(string: body) }))
    }

    func get(_ path: String) async throws -> HubValue {
        let response = await ask(.get, path)
        #expect(response.status == .ok, "\(path): \(String(buffer: response.body))")
        return try JSON.value(from: response.body)
    }
}

@Suite struct AdminTests {
    @Test(arguments: [nil, "", "wrong", String(adminKey.dropLast()), adminKey + "x", testKey])
    func onlyTheKeyOpens(_ key: String?) async throws {
        let stage = try Stage()
        for path in ["/api/overview", "/api/keys", "/metrics", "/api/trace", "/api/connections/x"] {
            #expect(await stage.ask(.get, path, key: key).status == .unauthorized)
        }
        #expect(await stage.ask(.post, "/api/drain", key: key).status == .unauthorized)
        #expect(!stage.service.isDraining)
        #expect(await stage.ask(.get, "/live", key: key).status == .ok)
    }

    @Test func theKeyIsInNoDescription() {
        let key = AdminKey(adminKey)
        #expect(!"\(key)".contains(adminKey) && !String(reflecting: key).contains(adminKey))
        var dumped = ""
        dump(key, to: &dumped)
        #expect(!dumped.contains(adminKey))
    }

    @Test func aServiceThatIsNotObservedKeepsNothing() throws {
        #expect(try makeService().observation == nil)
    }

    @Test func theOverviewCountsClients() async throws {
        let stage = try Stage()
        let clients = [
            try await PollingClient(stage.service, user: "ann"), try await PollingClient(stage.service, user: "ann"),
            try await PollingClient(stage.service, hub: "other"),
        ]
        let overview = try await stage.get("/api/overview")
        let totals = try #require(overview["totals"])
        #expect(totals["connections"] == 3 && totals["hubs"] == 2 && totals["users"] == 1 && totals["accepted"] == 3)
        #expect(overview["transports"]?["longPolling"] == 3)
        #expect(overview["version"] == "1.2.3" && overview["mode"] == "classic")
        for client in clients { await client.leave() }
    }

    @Test func aConnectionHasItsTimeline() async throws {
        let stage = try Stage()
        let client = try await PollingClient(stage.service, user: "ann")
        _ = await stage.service.existingHub(try #require(HubName(effective: "chat")))?.registry
            .setMembership(of: client.id, in: "room", to: true)
        let facts = try await stage.get("/api/connections/\(client.id)")
        #expect(facts["user"] == "ann" && facts["protocol"] == "json" && facts["groups"] == ["room"])
        guard case .array(let timeline)? = facts["timeline"] else {
            Issue.record("there is no timeline")
            return
        }
        #expect(timeline.map { $0["event"] } == ["negotiate", "connect", "handshake", "group"])
        #expect(facts["transportChoice"]?["chosen"] == "longPolling")
    }

    @Test func listsGoOnWhereTheyStopped() async throws {
        let stage = try Stage()
        var ids: Set<String> = []
        for _ in 0..<5 { ids.insert(try await PollingClient(stage.service).id) }
        var (seen, after) = ([String](), String?.none)
        repeat {
            let page = try await stage.get("/api/connections?limit=2" + (after.map { "&after=\($0)" } ?? ""))
            guard case .array(let list)? = page["connections"] else { break }
            seen += list.compactMap { $0["connectionId"]?.text }
            after = page["after"]?.text
        } while after != nil
        #expect(seen.count == 5 && Set(seen) == ids)
    }

    @Test(arguments: ["limit=0", "limit=1001", "limit=a", "connection=x", "after=x"])
    func wrongQueriesAreRefused(_ query: String) async throws {
        #expect(await (try Stage()).ask(.get, "/api/connections?\(query)").status == .badRequest)
    }

    @Test(arguments: [
        "{", "[]", "1", "{}", #"{"user":"a"}"#, #"{"connectionId":5}"#, #"{"group":"a","user":"b","hub":"c"}"#,
    ])
    func wrongBodiesAreRefused(_ body: String) async throws {
        #expect(await (try Stage()).ask(.post, "/api/disconnect", body).status == .badRequest)
    }

    @Test func aUserIsDisconnected() async throws {
        let stage = try Stage()
        let client = try await PollingClient(stage.service, user: "ann")
        let answer = await stage.ask(.post, "/api/disconnect", #"{"user":"ann","hub":"chat","reason":"enough"}"#)
        #expect(String(buffer: answer.body) == #"{"disconnected":1}"#)
        #expect(await client.lastWords().contains("enough"))
    }

    @Test func theConsoleSends() async throws {
        let stage = try Stage()
        let client = try await PollingClient(stage.service, user: "ann")
        let sent = await stage.ask(
            .post, "/api/send", #"{"hub":"chat","target":"user","to":"ann","method":"m","arguments":[1,"a"]}"#)
        #expect(sent.status == .ok)
        #expect(await client.text() == #"{"type":1,"target":"m","arguments":[1,"a"]}"# + "\u{1e}")
    }

    @Test func keysAreFingerprints() async throws {
        let stage = try Stage { $0.keys = AccessKeys(testKey, secondary: "s" + testKey) }
        let keys = try await stage.get("/api/keys")
        #expect(keys["primary"]?["fingerprint"]?.text?.count == 16)
        #expect(keys["secondary"]?["fingerprint"] != keys["primary"]?["fingerprint"])
        #expect(!String(buffer: keys.json).contains(testKey))
    }

    @Test func aDrainingServiceTakesNobodyNew() async throws {
        let stage = try Stage()
        let client = try await PollingClient(stage.service)
        #expect(await stage.ask(.get, "/ready").status == .ok)
        #expect(await stage.ask(.post, "/api/drain").status == .ok)
        #expect(await stage.ask(.get, "/ready").status == .serviceUnavailable)
        #expect(await stage.ask(.get, "/live").status == .ok)
        let token = stage.service.options.keys.clientToken(hub: "chat", endpoint: "http://h")
        let refused = await stage.service.client(.post, "hub=chat", token: token, isNegotiate: true)
        #expect(refused.status == .serviceUnavailable)
        #expect(refused.headers[.retryAfter].flatMap { Int($0) } ?? 0 > 0)
        #expect(await client.lastWords().contains(#""allowReconnect":true"#))
        await stage.service.drain(timeout: .seconds(1))
    }

    @Test func refusalsAreCounted() async throws {
        let stage = try Stage()
        _ = await stage.service.client(.post, "hub=chat", isNegotiate: true)
        #expect(try await stage.get("/api/overview")["totals"]?["rejected"] == 1)
    }

    @Test func pathsThatAreNotThereAre404() async throws {
        let stage = try Stage()
        for path in ["/api/x", "/api", "/x", "/api/overview/x", "/live/x", "/api/connections/7bJYYlJ0lT6eOLfPCUkz4A"] {
            #expect(await stage.ask(.get, path).status == .notFound)
        }
        #expect(await stage.ask(.post, "/api/overview").status == .methodNotAllowed)
        #expect(await stage.ask(.get, "/api/drain").status == .methodNotAllowed)
    }
}
