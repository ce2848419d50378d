// SignalBox: the REST API against connected clients
// SPDX-License-Identifier: Apache-2.0

import Foundation
import HTTPTypes
import NIOCore
import SignalR
import SignalRWire
import Testing

@testable import SignalRService

extension HTTPField.Name {
    static var errorCode: HTTPField.Name { .xMSErrorCode }
}

/// An invocation as a JSON client receives it.
private func call(_ target: String, _ arguments: String = "[]") -> String {
    #"{"type":1,"target":"\#(target)","arguments":\#(arguments)}"# + "\u{1e}"
}

@Suite struct RestSendTests {
    @Test func everybodyUserGroupAndConnection() async throws {
        let service = try makeService()
        let (ann, bob) = (try await PollingClient(service, user: "ann"), try await PollingClient(service, user: "bob"))
        #expect(await service.rest(.put, "/api/hubs/chat/groups/g/connections/\(ann.id)").status == .ok)
        for (path, target) in [
            ("", "v1"), ("/:send", "all"), ("/users/ann/:send", "user"), ("/groups/g/:send", "group"),
            ("/connections/\(ann.id)/:send", "connection"), ("/:send?excluded=x&excluded=\(bob.id)", "excluded"),
            ("/users/nobody/:send", "nobody"), ("/groups/none/:send", "nobody"), ("/connections/none/:send", "nobody"),
        ] {
            let response = await service.rest(.post, "/api/hubs/chat" + path, #"{"target":"\#(target)"}"#)
            #expect(response.status == .accepted)
            #expect(response.body.readableBytes == 0)
        }
        #expect(await ann.text() == ["v1", "all", "user", "group", "connection", "excluded"].map { call($0) }.joined())
        #expect(await bob.text() == call("v1") + call("all"))
    }

    @Test func argumentsStayAsTheyWereWritten() async throws {
        let service = try makeService()
        let client = try await PollingClient(service)
        let arguments = #"[1.0, 1e3,"\u00e4\"]", {"a" : [ ] },null]"#
        let response = await service.rest(
            .post, "/api/hubs/chat/:send", #"{ "x":{"arguments":[9]},"Arguments" : \#(arguments) , "Target":"t" }"#)
        #expect(response.status == .accepted)
        #expect(await client.text() == call("t", arguments))
    }

    @Test func messagePackClientsGetTheirOwnEncoding() async throws {
        let service = try makeService()
        let client = try await PollingClient(service, hubProtocol: "messagepack")
        _ = await service.rest(.post, "/api/hubs/chat/:send", #"{"target":"t","arguments":[ 1 ,"a"]}"#)
        var bytes = await client.poll().body
        let message = try MessagePackHubCodec().read(from: &bytes, maximumSize: nil)
        guard case .invocation(let invocation) = message else {
            return #expect(Bool(false), "\(String(describing: message))")
        }
        var reader = invocation.arguments.makeReader()
        #expect(invocation.target == "t")
        #expect(try [reader.next().value(), reader.next().value()] == [1, "a"])
    }

    @Test(arguments: Vectors.all.restBodies)
    func vectorBodies(_ vector: Vectors.RestBody) async throws {
        let service = try makeService()
        let client = try await PollingClient(service, hubProtocol: vector.hex == nil ? "json" : "messagepack")
        let body = vector.body.map { ByteBuffer(string: $0) } ?? ByteBuffer(bytes: vector.hex.map(bytes) ?? [])
        #expect(await service.rest(.post, "/api/hubs/chat/:send", body, type: vector.contentType).status == .accepted)
        var received = await client.poll().body
        let codec: any HubCodec = vector.hex == nil ? JSONHubCodec() : MessagePackHubCodec()
        guard case .invocation(let call)? = try codec.read(from: &received, maximumSize: nil) else {
            return #expect(Bool(false), "no invocation")
        }
        #expect(call.target == "target")
    }

    private func bytes(_ hex: String) -> [UInt8] {
        stride(from: 0, to: hex.count, by: 2).compactMap { UInt8(hex.dropFirst($0).prefix(2), radix: 16) }
    }

    @Test func clientsWhoseProtocolIsMissingGetNothing() async throws {
        let service = try makeService()
        let client = try await PollingClient(service)
        let onlyMessagePack = ByteBuffer(
            bytes: bytes("81ab6d6573736167657061636bc41110960180c0a674617267657492a1610190"))
        _ = await service.rest(.post, "/api/hubs/chat/:send", onlyMessagePack, type: "application/octet-stream")
        _ = await service.rest(.post, "/api/hubs/chat/:send", #"{"target":"next"}"#)
        #expect(await client.text() == call("next"))
    }

    @Test(arguments: [
        ("", "application/json"), ("{", "application/json"), ("[]", "application/json"), ("{}", "application/json"),
        (#"{"target":1}"#, "application/json"), (#"{"target":""}"#, nil),
        (#"{"target":"t","arguments":{}}"#, "application/json"),
        (#"{"target":"t"} x"#, "application/json"), ("x", "application/octet-stream"), ("target=t", "text/plain"),
    ])
    func badMessagesAre400(body: String, type: String?) async throws {
        let response = try await makeService().rest(.post, "/api/hubs/chat/:send", body, type: type)
        #expect(response.status == .badRequest)
        #expect(response.headers[.errorCode] == "Error.Request.Invalid")
        #expect(try JSON.value(from: response.body)["message"]?.text != nil)
    }

    @Test func bodiesAreBounded() async throws {
        let large = #"{"target":"t","arguments":[""# + String(repeating: "x", count: 1 << 20) + #""]}"#
        #expect(try await makeService().rest(.post, "/api/hubs/chat/:send", large).status == .contentTooLarge)
    }
}

@Suite struct RestGroupTests {
    @Test func connectionsJoinAndLeave() async throws {
        let service = try makeService()
        let client = try await PollingClient(service)
        let member = "/api/hubs/chat/groups/g/connections/\(client.id)"
        #expect(await service.rest(.head, "/api/hubs/chat/groups/g").status == .notFound)
        #expect(await service.rest(.put, member).status == .ok)
        #expect(await service.rest(.head, "/api/hubs/chat/groups/g").status == .ok)
        #expect(await service.rest(.delete, member).status == .ok)
        #expect(await service.rest(.delete, member).status == .ok)
        #expect(await service.rest(.head, "/api/hubs/chat/groups/g").status == .notFound)
        #expect(await service.rest(.put, "/api/v1/hubs/chat/connections/\(client.id)/groups/g").status == .ok)
        #expect(await service.rest(.delete, "/api/hubs/chat/connections/\(client.id)/groups").status == .ok)
        #expect(await service.rest(.head, "/api/hubs/chat/groups/g").status == .notFound)
    }

    @Test func strangersCannotJoin() async throws {
        let response = try await makeService().rest(.put, "/api/hubs/chat/groups/g/connections/none")
        #expect(response.status == .notFound)
        #expect(response.headers[.errorCode] == "Error.Connection.NotExisted")
    }

    @Test func usersAreMembersBeforeTheyCome() async throws {
        let service = try makeService()
        let membership = "/api/hubs/chat/users/bob/groups/g"
        let unknown = await service.rest(.get, membership)
        #expect(unknown.status == .notFound)
        #expect(unknown.headers[.errorCode] == "Info.User.NotInGroup")
        #expect(await service.rest(.put, membership).status == .ok)
        #expect(await service.rest(.get, membership).status == .ok)
        let bob = try await PollingClient(service, user: "bob")
        let ann = try await PollingClient(service, user: "ann")
        _ = await service.rest(.post, "/api/hubs/chat/groups/g/:send", #"{"target":"a"}"#)
        #expect(await bob.text() == call("a"))
        #expect(await service.rest(.delete, membership).status == .noContent)
        _ = await service.rest(.post, "/api/hubs/chat/groups/g/:send", #"{"target":"b"}"#)
        _ = await service.rest(.post, "/api/hubs/chat/:send", #"{"target":"c"}"#)
        for client in [ann, bob] { #expect(await client.text() == call("c")) }
    }

    @Test func usersJoinWithTheConnectionsTheyHave() async throws {
        let service = try makeService()
        let bob = try await PollingClient(service, user: "bob")
        #expect(await service.rest(.put, "/api/hubs/chat/users/bob/groups/g?ttl=0").status == .ok)
        #expect(await service.rest(.put, "/api/hubs/chat/users/bob/groups/h?ttl=60").status == .ok)
        for group in ["g", "h"] {
            _ = await service.rest(.post, "/api/hubs/chat/groups/\(group)", #"{"target":"\#(group)"}"#)
        }
        #expect(await bob.text() == call("g") + call("h"))
        #expect(await service.rest(.get, "/api/hubs/chat/users/bob/groups/g").status == .notFound)
        #expect(await service.rest(.delete, "/api/hubs/chat/users/bob/groups").status == .noContent)
        #expect(await service.rest(.head, "/api/hubs/chat/groups/h").status == .notFound)
        #expect(await service.rest(.put, "/api/hubs/chat/users/bob/groups/g?ttl=-1").status == .badRequest)
    }

    @Test func theOldDialectHasItsOwnCodes() async throws {
        let service = try makeService()
        let membership = "/api/v1/hubs/chat/groups/g/users/bob"
        #expect(await service.rest(.put, membership).status == .accepted)
        #expect(await service.rest(.delete, membership).status == .accepted)
        #expect(await service.rest(.delete, "/api/v1/hubs/chat/users/bob/groups").status == .ok)
        let absent = await service.rest(.get, "/api/v1/hubs/chat/users/bob")
        let body = try JSON.value(from: absent.body)
        #expect(body["statusCode"] == 404)
        #expect(body["code"] == "Warning.User.NotExisted")
        #expect(body["isSuccess"] == false)
    }
}

@Suite struct RestPresenceTests {
    @Test func existence() async throws {
        let service = try makeService()
        let client = try await PollingClient(service, user: "bob")
        for path in ["/connections/\(client.id)", "/users/bob"] {
            for method in [HTTPRequest.Method.get, .head] {
                #expect(await service.rest(method, "/api/hubs/chat" + path).status == .ok)
            }
        }
        for (path, code) in [
            ("/connections/x", "Warning.Connection.NotExisted"), ("/users/x", "Warning.User.NotExisted"),
            ("/groups/x", "Warning.Group.NotExisted"),
        ] {
            let response = await service.rest(.head, "/api/hubs/chat" + path)
            #expect(response.status == .notFound)
            #expect(response.headers[.errorCode] == code)
            #expect(response.body.readableBytes == 0)
        }
    }

    @Test func applicationsAreHubsOfTheirOwn() async throws {
        let service = try makeService()
        _ = try await PollingClient(service, hub: "app_chat", user: "bob")
        #expect(await service.rest(.head, "/api/hubs/chat/users/bob?application=App").status == .ok)
        #expect(await service.rest(.head, "/api/hubs/chat/users/bob").status == .notFound)
        #expect(await service.rest(.head, "/api/hubs/chat/users/bob?application=a%2Fb").status == .badRequest)
        #expect(await service.rest(.head, "/api/hubs/ch%2Fat/users/bob").status == .badRequest)
    }

    @Test func closing() async throws {
        let service = try makeService()
        let (ann, bob) = (try await PollingClient(service, user: "ann"), try await PollingClient(service, user: "bob"))
        let carol = try await PollingClient(service, user: "carol")
        #expect(
            await service.rest(.post, "/api/hubs/chat/users/ann/:closeConnections?reason=too%20loud").status
                == .noContent)
        #expect(await ann.lastWords().contains(#""type":7,"error":"too loud""#))
        #expect(await service.rest(.delete, "/api/hubs/chat/connections/\(bob.id)").status == .ok)
        #expect(await bob.lastWords().contains(#""type":7"#))
        #expect(await service.rest(.delete, "/api/hubs/chat/connections/\(bob.id)").status == .ok)
        #expect(await service.rest(.post, "/api/hubs/chat/:closeConnections?excluded=\(carol.id)").status == .noContent)
        #expect(await service.rest(.head, "/api/hubs/chat/connections/\(carol.id)").status == .ok)
        #expect(await service.rest(.post, "/api/hubs/chat/:closeConnections").status == .noContent)
        #expect(await carol.lastWords().contains(#""type":7"#))
    }
}

@Suite struct RestAccessTests {
    @Test(arguments: ["", "nonsense"])
    func callersNeedAToken(_ token: String) async throws {
        let response = try await makeService().rest(.post, "/api/hubs/chat/:send", #"{"target":"t"}"#, token: token)
        #expect(response.status == .unauthorized)
        #expect(response.headers[.wwwAuthenticate] == "Bearer")
    }

    @Test func tokensAreForOnePath() async throws {
        let service = try makeService()
        let token = service.options.keys.restToken(path: "/api/hubs/chat/users/bob/:send", endpoint: "http://localhost")
        let sends = [
            "/api/hubs/chat/users/bob/:send": 202, "/api/hubs/chat/:send": 401, "/api/hubs/chat/users/ann/:send": 401,
        ]
        for (path, status) in sends {
            #expect(await service.rest(.post, path, #"{"target":"t"}"#, token: token).status.code == status)
        }
        let client = service.options.keys.clientToken(hub: "chat", endpoint: "http://localhost")
        #expect(
            await service.rest(.post, "/api/hubs/chat/:send", #"{"target":"t"}"#, token: client).status == .unauthorized
        )
    }

    @Test func healthIsForEverybody() async throws {
        for method in [HTTPRequest.Method.get, .head] {
            #expect(try await makeService().rest(method, "/api/health?api-version=2022-06-01", token: "").status == .ok)
        }
    }

    @Test func sendsToHubsThatNobodyUsedMakeNone() async throws {
        let service = try makeService()
        #expect(await service.rest(.post, "/api/hubs/chat/:send", #"{"target":"t"}"#).status == .accepted)
        #expect(service.context(ofHub: "chat") == nil)
    }

    @Test func madeTokensOpenTheHub() async throws {
        let service = try makeService()
        let response = await service.rest(.post, "/api/hubs/chat/:generateToken?userId=bob&minutesToExpire=5")
        let token = try #require(try JSON.value(from: response.body)["token"]?.text)
        #expect(await service.client(.post, "hub=chat", token: token, isNegotiate: true).status == .ok)
        #expect(await service.rest(.post, "/api/hubs/chat/:generateToken?minutesToExpire=0").status == .badRequest)
    }
}
