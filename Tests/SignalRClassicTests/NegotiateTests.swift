// SignalBox: negotiate, ping, identity and refusals of the classic endpoint
// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import NIOCore
import NIOEmbedded
import SignalR
import SignalRClassic
import SignalRWire
import Testing

@Suite(.timeLimit(.minutes(1))) struct NegotiateTests {
    @Test func `The answer has what clients need`() async throws {
        let stage = try Stage()
        let response = await stage.endpoint.request(
            "/app/signalr/negotiate", [("clientProtocol", "2.1"), ("connectionData", Stage.chatData), ("_", "17")],
            on: NIOAsyncTestingChannel())
        #expect(response.status == .ok)
        #expect(response.headers[.contentType] == "application/json; charset=UTF-8")
        #expect(response.headers[.xContentTypeOptions] == "nosniff")
        let answer = try JSON.value(from: response.body)
        #expect(answer["Url"] == "/app/signalr")
        #expect(answer["ProtocolVersion"] == "2.0")
        #expect(answer["TryWebSockets"] == true)
        #expect(answer["KeepAliveTimeout"] == 20.0)
        guard case .string(let id)? = answer["ConnectionId"] else {
            Issue.record("no id")
            return
        }
        #expect(id.wholeMatch(of: /[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/) != nil)
        #expect(!response.text.contains("availableTransports"))
    }

    @Test func `Without a channel to take over, or when switched off, sockets are not advertised`() async throws {
        let response = await (try Stage()).endpoint.request("/signalr/negotiate")
        #expect(try JSON.value(from: response.body)["TryWebSockets"] == false)
        let off = try Stage { $0.transports = [.longPolling] }
        let other = await off.endpoint.request("/signalr/negotiate", on: NIOAsyncTestingChannel())
        #expect(try JSON.value(from: other.body)["TryWebSockets"] == false)
    }

    @Test(arguments: ["/signalr//negotiate", "/signalr/NEGOTIATE", "/signalr/js/negotiate", "/negotiate"])
    func `Only the end of the path counts, in any case`(path: String) async throws {
        let response = await (try Stage()).endpoint.request(path)
        #expect(response.status == .ok)
        #expect(try JSON.value(from: response.body)["Url"] == .string(String(path.dropLast("/negotiate".count))))
    }

    @Test func `Stray characters in the query do no harm`() async throws {
        let request = HubRequest(
            method: .get, path: "/signalr/negotiate",
            rawQuery: #"redirect=invalid&/?=/&&=&connectionData=[{"name":+"chathub"}]&CLIENTPROTOCOL=1.5&%zz=%"#)
        let response = await (try Stage()).endpoint.respond(to: request, host: nil)
        #expect(try JSON.value(from: response.body)["ProtocolVersion"] == "1.5")
    }

    @Test func `Ping needs nothing`() async throws {
        let response = await (try Stage()).endpoint.request("/signalr/ping")
        #expect(response.text == "{ \"Response\": \"pong\" }")
        #expect(response.headers[.contentType] == "application/json; charset=UTF-8")
    }

    @Test func `Hubs that do not exist, are listed twice, or make no list fail`() async throws {
        let stage = try Stage()
        for data in [#"[{"name":"nohub"}]"#, #"[{"name":"chathub"},{"name":"ChatHub"}]"#, "x", "{}"] {
            let response = await stage.endpoint.request("/signalr/negotiate", [("connectionData", data)])
            #expect(response.status == .internalServerError)
        }
        let many = "[" + (0..<51).map { #"{"name":"h\#($0)"}"# }.joined(separator: ",") + "]"
        #expect(
            await stage.endpoint.request("/signalr/negotiate", [("connectionData", many)]).status
                == .internalServerError)
    }

    @Test func `Refused hubs are left out, and nothing left is a refusal`() async throws {
        let stage = try Stage(hub: { $0.requiresAuthentication = true })
        let both = #"[{"name":"chathub"},{"name":"newshub"}]"#
        #expect(await stage.endpoint.request("/signalr/negotiate", [("connectionData", both)]).status == .ok)
        let anonymous = await stage.endpoint.request("/signalr/negotiate", [("connectionData", Stage.chatData)])
        #expect(anonymous.status == .unauthorized)
        #expect(anonymous.body.readableBytes == 0)
        let refusing = try Stage(hub: { $0.authorize = { _, _ in false } })
        let known = await refusing.endpoint.request(
            "/signalr/negotiate", [("connectionData", Stage.chatData)], headers: MemoryClient.headers("ann"))
        #expect(known.status == .forbidden)
        #expect(known.body.readableBytes == 0)
    }

    @Test func `Transport and token, in this order`() async throws {
        let client = try await MemoryClient(Stage().endpoint)
        let endpoint = client.endpoint
        func status(_ query: [(String, String)], headers: HTTPFields = [:]) async -> Int {
            await endpoint.request("/signalr/connect", query, headers: headers).status.code
        }
        #expect(await status([]) == 400)
        #expect(await status([("transport", "pigeon"), ("connectionToken", client.token)]) == 400)
        #expect(await status([("transport", "longPolling")]) == 400)
        #expect(await status([("transport", "longPolling"), ("connectionToken", "")]) == 400)
        #expect(await status([("transport", "longPolling"), ("connectionToken", "garbage")]) == 400)
        let good = [("transport", "longPolling"), ("connectionToken", client.token)]
        #expect(await status(good, headers: MemoryClient.headers("eve")) == 403)
        #expect(await status(good) == 200)
    }

    @Test func `The user is compared without regard to case, on every request`() async throws {
        let client = try await MemoryClient(Stage().endpoint, user: "Ann:B")
        for (user, status) in [("ann:b", 200), ("Ann:B", 200), ("ann", 403)] {
            let response = await client.endpoint.request(
                "/signalr/abort", client.query("longPolling"), headers: MemoryClient.headers(user))
            #expect(response.status.code == status)
        }
    }

    @Test func `A socket without an upgrade, and a transport that is switched off`() async throws {
        let client = try await MemoryClient(Stage { $0.transports = [.webSockets] }.endpoint)
        #expect(await client.request("connect", "webSockets").status == .badRequest)
        #expect(await client.request("connect", "serverSentEvents").status == .badRequest)
        #expect(await client.request("connect", "longPolling", post: "").status == .badRequest)
    }

    @Test func `Malformed cursors and frame numbers fail`() async throws {
        let client = try await MemoryClient(Stage().endpoint)
        let stream = try await client.stream("serverSentEvents")
        _ = try await stream.initial()
        let prefix = try #require(stream.cursor.split(separator: ",").first)
        for bad in ["\(prefix)", "\(prefix),", "\(prefix),xyz", "\(prefix),1|\(prefix),1"] {
            let response = await client.request("reconnect", "serverSentEvents", [("messageId", bad)])
            #expect(response.status == .internalServerError)
        }
        for frame in ["", "x", "-1", "4294967296"] {
            let response = await client.request("connect", "foreverFrame", [("frameId", frame)])
            #expect(response.status == .internalServerError)
        }
    }

    @Test func `Origins outside of the list are turned away, others get their headers everywhere`() async throws {
        let stage = try Stage { $0.cors = CrossOrigin(["https://app.example"]) }
        let bad = await stage.endpoint.request("/signalr/negotiate", headers: [.origin: "https://evil.example"])
        #expect(bad.status == .forbidden)
        for path in ["/signalr/negotiate", "/signalr/hubs", "/signalr/connect"] {
            let good = await stage.endpoint.request(path, headers: [.origin: "https://app.example"])
            #expect(good.headers[.accessControlAllowOrigin] == "https://app.example")
            #expect(good.headers[.accessControlAllowCredentials] == "true")
        }
        let preflight = await stage.endpoint.respond(
            to: HubRequest(method: .options, path: "/signalr/ping", headers: [.origin: "https://app.example"]),
            host: nil)
        #expect(preflight.status == .noContent)
        #expect(preflight.headers[.accessControlAllowHeaders]?.contains("authorization") == true)
    }

    @Test func `JSONP is off, and takes only names`() async throws {
        let off = await (try Stage()).endpoint.request("/signalr/negotiate", [("callback", "f")])
        #expect(off.status == .forbidden)
        let stage = try Stage { $0.enableJSONP = true }
        let bad = await stage.endpoint.request("/signalr/negotiate", [("callback", "alert(1)//")])
        #expect(bad.status == .internalServerError)
        let ping = await stage.endpoint.request("/signalr/ping", [("callback", "jQuery.f")])
        #expect(ping.text == #"jQuery.f({ "Response": "pong" });"#)
        #expect(ping.headers[.contentType] == "application/javascript; charset=UTF-8")
        let client = try await MemoryClient(stage.endpoint)
        let first = try await client.poll("connect", [("callback", "f")], form: nil)
        let body = await first.body()
        #expect(body.hasPrefix("f({\"C\":"))
        #expect(body.hasSuffix("\"S\":1,\"M\":[]});"))
        let sent = await client.request(
            "send", "longPolling", [("callback", "f"), ("data", #"{"H":"chathub","M":"add","A":[1,2],"I":0}"#)])
        #expect(sent.text == #"f({"R":3,"I":"0"});"#)
    }
}
