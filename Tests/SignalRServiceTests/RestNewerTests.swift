// SignalBox: the REST operations of the later versions against connected clients
// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import NIOCore
import SignalR
import SignalRWire
import Testing

@testable import SignalRService

/// What a JSON client received, without the separators.
private func records(_ text: String) throws -> [HubValue] {
    try text.split(separator: "\u{1e}").map { try JSON.value(from: ByteBuffer(string: String($0))) }
}

@Suite struct RestInvokeTests {
    private func ask(
        _ service: SignalBoxService, _ client: PollingClient, answer: (String) -> String
    ) async throws -> HubResponse {
        async let response = service.rest(
            .post, "/api/hubs/chat/connections/\(client.id)/:invoke", #"{"target":"ask","arguments":[1.50]}"#)
        let call = try #require(try records(await client.text()).first)
        #expect(call["target"] == "ask")
        let id = try #require(call["invocationId"]?.text)
        try await client.send(answer(id) + "\u{1e}")
        return await response
    }

    @Test(arguments: [#""a""#, "null", #"{"x":[1.50]}"#])
    func resultsComeBackAsTheyWereWritten(_ result: String) async throws {
        let service = try makeService()
        let client = try await PollingClient(service)
        let response = try await ask(service, client) { #"{"type":3,"invocationId":"\#($0)","result":\#(result)}"# }
        #expect(response.status == .ok)
        #expect(response.headers[.contentType] == "application/json")
        #expect(String(buffer: response.body) == #"{"result":\#(result),"protocol":"json"}"#)
    }

    @Test func noResultIsNull() async throws {
        let service = try makeService()
        let client = try await PollingClient(service)
        let response = try await ask(service, client) { #"{"type":3,"invocationId":"\#($0)"}"# }
        #expect(try JSON.value(from: response.body)["result"] == .null)
    }

    @Test func errorsOfTheClientAre400() async throws {
        let service = try makeService()
        let client = try await PollingClient(service)
        let response = try await ask(service, client) { #"{"type":3,"invocationId":"\#($0)","error":"no idea"}"# }
        #expect(response.status == .badRequest)
        #expect(response.headers[.errorCode] == "Error.Connection.Unknown")
        #expect(try JSON.value(from: response.body)["message"] == "no idea")
    }

    @Test func messagePackClientsAnswerInJSON() async throws {
        let service = try makeService()
        let client = try await PollingClient(service, hubProtocol: "messagepack")
        async let response = service.rest(
            .post, "/api/hubs/chat/connections/\(client.id)/:invoke", #"{"target":"ask"}"#)
        var bytes = await client.poll().body
        let codec = MessagePackHubCodec()
        guard case .invocation(let call)? = try codec.read(from: &bytes, maximumSize: nil), let id = call.id else {
            return #expect(Bool(false), "no call")
        }
        try await client.send(.completion(.init(id: id, outcome: .result(.value(["a", 1])))), codec)
        #expect(String(buffer: await response.body) == #"{"result":["a",1],"protocol":"json"}"#)
    }

    @Test func framesBringACallToo() async throws {
        let service = try makeService()
        let client = try await PollingClient(service)
        let frames = ByteBuffer(
            bytes: Vectors.bytes("81ab6d6573736167657061636bc41110960180c0a674617267657492a1610190"))
        async let response = service.rest(
            .post, "/api/hubs/chat/connections/\(client.id)/:invoke", frames, type: "application/octet-stream")
        let call = try #require(try records(await client.text()).first)
        #expect(call["target"] == "target")
        #expect(call["arguments"] == ["a", 1])
        try await client.send(
            #"{"type":3,"invocationId":"\#(call["invocationId"]?.text ?? "")","result":1}"# + "\u{1e}")
        #expect(await response.status == .ok)
    }

    @Test func whoIsNotThereIs404() async throws {
        let service = try makeService()
        for id in ["none", ConnectionID().description] {
            let response = await service.rest(
                .post, "/api/hubs/chat/connections/\(id)/:invoke", #"{"target":"ask"}"#)
            #expect(response.status == .notFound)
            #expect(response.headers[.errorCode] == "Error.Connection.NotExisted")
        }
    }

    @Test func whoTakesTooLongIs408() async throws {
        let service = try makeService { $0.clientResultTimeout = .milliseconds(50) }
        let client = try await PollingClient(service)
        let path = "/api/hubs/chat/connections/\(client.id)/:invoke"
        let response = await service.rest(.post, path, #"{"target":"ask"}"#)
        #expect(response.status == .requestTimeout)
        #expect(response.headers[.errorCode] == "Error.Connection.Unknown")
    }

    @Test func whoLeavesIs404() async throws {
        let service = try makeService()
        let client = try await PollingClient(service)
        async let response = service.rest(
            .post, "/api/hubs/chat/connections/\(client.id)/:invoke", #"{"target":"ask"}"#)
        _ = await client.text()
        await client.leave()
        #expect(await response.status == .notFound)
    }

    @Test(arguments: ["", "[]", #"{"arguments":[]}"#])
    func badCallsAre400(_ body: String) async throws {
        let service = try makeService()
        let client = try await PollingClient(service)
        let path = "/api/hubs/chat/connections/\(client.id)/:invoke"
        #expect(await service.rest(.post, path, body).status == .badRequest)
        #expect(await service.rest(.post, path, "\u{81}", type: "application/octet-stream").status == .badRequest)
    }
}

@Suite struct RestStreamTests {
    private let path = "/api/hubs/chat/connections/"

    @Test func itemsAndTheEndArrive() async throws {
        let service = try makeService()
        let client = try await PollingClient(service)
        let stream = path + client.id + "/streams/s%2F1"
        #expect(await service.rest(.post, stream + "/:send", #" {"a": 1.50} "#).status == .accepted)
        #expect(await service.rest(.post, stream + "/:send?completed=true", "null").status == .accepted)
        #expect(await service.rest(.post, stream + "/:complete").status == .accepted)
        #expect(await service.rest(.post, stream + "/:complete?reason=why%20not").status == .accepted)
        #expect(await service.rest(.post, stream + "/:complete?error=sdk").status == .accepted)
        let parts = await client.text().split(separator: "\u{1e}")
        #expect(parts.count == 6)
        #expect(parts.first == #"{"type":2,"invocationId":"s/1","item":{"a": 1.50}}"#)
        let messages = try parts.map { try JSON.value(from: ByteBuffer(string: String($0))) }
        #expect(messages.map { $0["type"] } == [2, 2, 3, 3, 3, 3])
        #expect(messages.map { $0["error"]?.text } == [nil, nil, nil, nil, "why not", "sdk"])
    }

    @Test func nobodyIsAccepted() async throws {
        #expect(try await makeService().rest(.post, path + "none/streams/s/:send", "1").status == .accepted)
        #expect(try await makeService().rest(.post, path + "none/streams/s/:complete").status == .accepted)
    }

    @Test(arguments: [
        ("s/:send", ""), ("s/:send", "{"), ("s/:send?completed=perhaps", "1"), ("%20/:send", "1"),
        (String(repeating: "s", count: 101) + "/:send", "1"), ("/:complete", ""),
    ])
    func mistakesAre400(stream: String, body: String) async throws {
        #expect(try await makeService().rest(.post, path + "c/streams/" + stream, body).status == .badRequest)
    }
}

@Suite struct RestExecuteTests {
    @Test func commandsRunInOrderWhereTheFilterSays() async throws {
        let service = try makeService()
        let (ann, bob) = (try await PollingClient(service, user: "ann"), try await PollingClient(service, user: "bob"))
        let commands = """
            [{"type":"SendMessage","message":{"arguments":[1.50],"target":"a"}},{"type":"JoinGroup","group":"g"},
             {"Type":"SendMessage","Message":{"Target":"b"}}]
            """
        let filter = "filter=startswith(userId,%20'a')"
        #expect(await service.rest(.post, "/api/hubs/chat/:execute?\(filter)", commands).status == .accepted)
        _ = await service.rest(.post, "/api/hubs/chat/groups/g/:send", #"{"target":"c"}"#)
        _ = await service.rest(.post, "/api/hubs/chat/:send", #"{"target":"d"}"#)
        #expect(try records(await ann.text()).map { $0["target"] } == ["a", "b", "c", "d"])
        #expect(try records(await bob.text()).map { $0["target"] } == ["d"])
        let leave = #"[{"type":"LeaveGroup","group":"g"},{"type":"CloseConnection","reason":"bye"}]"#
        let members = "filter='g'%20in%20groups"
        #expect(await service.rest(.post, "/api/hubs/chat/:execute?\(members)", leave).status == .accepted)
        #expect(await ann.lastWords().contains(#""error":"bye""#))
        #expect(await service.rest(.head, "/api/hubs/chat/users/bob").status == .ok)
    }

    @Test func withoutAFilterEverybodyIsPicked() async throws {
        let service = try makeService()
        let client = try await PollingClient(service)
        let send = #"[{"type":"SendMessage","message":{"target":"a"}}]"#
        #expect(await service.rest(.post, "/api/hubs/chat/:execute", send).status == .accepted)
        #expect(try records(await client.text()).map { $0["target"] } == ["a"])
        #expect(await service.rest(.post, "/api/hubs/nobody/:execute", send).status == .accepted)
        #expect(await service.rest(.post, "/api/hubs/chat/:execute", "[]").status == .accepted)
    }

    @Test(arguments: [
        "", "{}", "[1]", #"[{"group":"g"}]"#, #"[{"type":"Dance"}]"#, #"[{"type":"JoinGroup"}]"#,
        #"[{"type":"JoinGroup","group":" "}]"#, #"[{"type":"LeaveGroup","group":1}]"#, #"[{"type":"SendMessage"}]"#,
        #"[{"type":"SendMessage","message":{}}]"#, #"[{"type":"CloseConnection","reason":1}]"#,
        "[" + Array(repeating: #"{"type":"CloseConnection"}"#, count: 101).joined(separator: ",") + "]",
    ])
    func mistakesAre400(_ commands: String) async throws {
        let service = try makeService()
        #expect(await service.rest(.post, "/api/hubs/chat/:execute", commands).status == .badRequest)
        #expect(await service.rest(.post, "/api/hubs/chat/:execute?filter=x", "[]").status == .badRequest)
    }
}

@Suite struct RestMemberTests {
    private let path = "/api/hubs/chat/groups/g/connections"

    private func page(_ service: SignalBoxService, _ query: String = "") async throws -> HubValue {
        let response = await service.rest(.get, path + query)
        #expect(response.status == .ok)
        return try JSON.value(from: response.body)
    }

    private func ids(_ page: HubValue) -> [String] {
        guard case .array(let values)? = page["value"] else { return [] }
        return values.compactMap { $0["connectionId"]?.text }
    }

    @Test func pagesListEveryMemberOnce() async throws {
        let service = try makeService()
        var expected: Set<String> = []
        for number in 0..<5 {
            let client = try await PollingClient(service, user: number == 0 ? nil : "u")
            expected.insert(client.id)
            #expect(await service.rest(.put, path + "/" + client.id).status == .ok)
        }
        _ = try await PollingClient(service)
        var (found, query): ([String], String?) = ([], "?maxpagesize=2&api-version=2024-12-01")
        var pages = 0
        while let next = query {
            let page = try await page(service, next)
            found += ids(page)
            pages += 1
            let link = page["nextLink"]?.text
            if let link { #expect(link.hasPrefix("http://localhost\(path)?maxpagesize=2&api-version=2024-12-01&")) }
            query = link.map { String($0.drop { $0 != "?" }) }
        }
        #expect(pages == 3)
        #expect(found == expected.sorted())
        guard case .array(let all)? = try await page(service)["value"] else { return }
        #expect(all.count { $0["userId"] == "u" } == 4)
    }

    @Test func topIsTheMostInAll() async throws {
        let service = try makeService()
        for _ in 0..<4 {
            let client = try await PollingClient(service)
            _ = await service.rest(.put, path + "/" + client.id)
        }
        let first = try await page(service, "?top=3&maxpagesize=2&access_token=x")
        #expect(ids(first).count == 2)
        let link = try #require(first["nextLink"]?.text)
        #expect(link.contains("top=1&") && !link.contains("access_token"))
        let last = try await page(service, String(link.drop { $0 != "?" }))
        #expect(ids(last).count == 1)
        #expect(last["nextLink"] == nil)
        #expect(ids(try await page(service, "?top=0")).isEmpty)
    }

    @Test func nobodyIsAnEmptyPage() async throws {
        let service = try makeService()
        #expect(String(buffer: await service.rest(.get, path).body) == #"{"value":[]}"#)
    }

    @Test(arguments: ["maxpagesize=0", "maxpagesize=201", "maxpagesize=x", "top=-1", "continuationToken=x"])
    func mistakesAre400(_ query: String) async throws {
        #expect(try await makeService().rest(.get, path + "?" + query).status == .badRequest)
    }
}

@Suite struct RestVersionTests {
    @Test(arguments: [
        ("2021-05-01", 202), ("2022-06-01", 202), ("2024-12-01", 202), ("2030-01-01-preview", 202), ("", 202),
        ("2020-01-01", 400), ("newest", 400), ("2024-1-1", 400), ("20x4-12-01", 400),
    ])
    func datesAreVersions(version: String, status: Int) async throws {
        let path = "/api/hubs/chat/:send?api-version=\(version)"
        #expect(try await makeService().rest(.post, path, #"{"target":"t"}"#).status.code == status)
    }

    @Test func theOldDialectsHaveNone() async throws {
        for path in ["/api/v1/hubs/chat?api-version=x", "/api/v1-preview/hub/chat?api-version=x"] {
            #expect(try await makeService().rest(.post, path, #"{"target":"t"}"#).status == .accepted)
        }
    }

    @Test func moreHubsThanMayBeAre503() async throws {
        let service = try makeService { $0.maximumHubs = 0 }
        let response = await service.rest(.put, "/api/hubs/chat/users/u/groups/g")
        #expect(response.status == .serviceUnavailable)
        #expect(response.headers[.errorCode] == "Error.Request.Unknown")
    }

    @Test(arguments: ["/api/auth/accessKey", "/api/v1/auth/accessKey"])
    func keysAreHandedToNobody(_ path: String) async throws {
        let response = try await makeService().rest(.get, path)
        #expect(response.status == .unauthorized)
        #expect(response.headers[.wwwAuthenticate] == "Bearer")
    }
}
