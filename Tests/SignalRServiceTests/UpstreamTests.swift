// SignalBox: serverless clients against a real upstream, which may be slow, broken or gone
// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import NIOConcurrencyHelpers
import NIOCore
import SignalR
import SignalRWire
import Testing

@testable import SignalRService

/// A service in serverless mode whose upstream is at `url`.
private func serverless(
    _ url: String, _ change: (inout SignalBoxService.Options) throws -> Void = { _ in }
) throws -> SignalBoxService {
    let rule = try UpstreamRule(url)
    var problem: (any Error)?
    let service = try makeService { options in
        options.mode = .serverless
        options.upstream = UpstreamOptions(rules: [rule])
        do { try change(&options) } catch { problem = error }
    }
    if let problem { throw problem }
    return service
}

private func call(_ target: String, id: String? = "0", _ arguments: String = "[]") -> String {
    let identity = id.map { #""invocationId":"\#($0)","# } ?? ""
    return #"{"type":1,\#(identity)"target":"\#(target)","arguments":\#(arguments)}"# + "\u{1e}"
}

private func completion(_ id: String, _ result: String) -> String {
    #"{"type":3,"invocationId":"\#(id)","result":\#(result)}"# + "\u{1e}"
}

private func failure(_ text: String) -> String {
    #"{"type":3,"invocationId":"0","error":"\#(text)"}"# + "\u{1e}"
}

@Suite struct UpstreamEventFlowTests {
    @Test func aClientsLifeIsTold() async throws {
        try await WebhookServer.run { upstream in
            let service = try serverless(upstream.url + "/{hub}/{category}/{event}?code=c") { options in
                options.keys = AccessKeys(testKey, secondary: "SECONDARYKEY")
            }
            let client = try await PollingClient(service, user: "ann", query: "&a=b")
            let connected = try #require(await upstream.next())
            #expect(connected.path == "/chat/connections/connected?code=c")
            #expect(connected.text == #"{"type":10}"#)
            #expect(connected.headers["content-type"] == "application/json")
            #expect(connected.headers["x-asrs-connection-id"] == client.id)
            #expect(connected.headers["x-asrs-hub"] == "chat")
            #expect(connected.headers["x-asrs-category"] == "connections")
            #expect(connected.event == "connected")
            #expect(connected.headers["x-asrs-user-id"] == "ann")
            #expect(connected.headers["x-asrs-user-claims"]?.contains("nameid: ann") == true)
            #expect(connected.headers["x-asrs-client-query"] == "?hub=chat&a=b")
            #expect(connected.headers["x-asrs-signature"] == service.options.keys.signatures(of: client.id))
            #expect(connected.headers["x-asrs-signature"]?.split(separator: ",").count == 2)
            #expect(connected.headers["authorization"] == nil)

            try await client.send(call("send", id: nil, #"[1.50,"ä"]"#))
            let message = try #require(await upstream.next())
            #expect(message.path == "/chat/messages/send?code=c")
            #expect(message.headers["x-asrs-category"] == "messages")
            #expect(message.text == #"{"type":1,"target":"send","arguments":[1.50,"ä"]}"#)

            await client.leave()
            let disconnected = try #require(await upstream.next())
            #expect(disconnected.path == "/chat/connections/disconnected?code=c")
            #expect(disconnected.text.hasPrefix(#"{"type":11"#))
        }
    }

    @Test func anonymousClientsHaveNoUser() async throws {
        try await WebhookServer.run { upstream in
            let service = try serverless(upstream.url)
            _ = try await PollingClient(service)
            let connected = try #require(await upstream.next())
            #expect(connected.headers["x-asrs-user-id"] == nil)
        }
    }

    @Test func reasonsOfAnEndAreTold() async throws {
        try await WebhookServer.run { upstream in
            let service = try serverless(upstream.url)
            let client = try await PollingClient(service)
            let path = "/api/hubs/chat/connections/\(client.id)?reason=too%20loud"
            #expect(await service.rest(.delete, path).status == .ok)
            #expect(await upstream.next("disconnected")?.text == #"{"type":11,"error":"too loud"}"#)
        }
    }

    @Test func messagesWaitUntilUpstreamKnowsTheClient() async throws {
        let (asked, go) = (Latch(), Latch())
        let order = NIOLockedValueBox<[String]>([])
        try await WebhookServer.run { request in
            if request.event == "connected" {
                asked.open()
                await go.wait()
            }
            order.withLockedValue { $0.append(request.event) }
            return .answer(204)
        } _: { upstream in
            let service = try serverless(upstream.url)
            let client = try await PollingClient(service)
            await asked.wait()
            try await client.send(call("send"))
            go.open()
            #expect(await client.text() == #"{"type":3,"invocationId":"0"}"# + "\u{1e}")
            #expect(order.withLockedValue { $0 } == ["connected", "send"])
        }
    }

    @Test func whatAClientCalledLastIsToldBeforeItsEnd() async throws {
        let go = Latch()
        try await WebhookServer.run { request in
            if request.event == "a" { await go.wait() }
            return .answer(204)
        } _: { upstream in
            let service = try serverless(upstream.url)
            let client = try await PollingClient(service)
            try await client.send(call("a", id: nil) + call("b", id: nil))
            _ = await upstream.next("a")
            await client.leave()
            go.open()
            #expect(await upstream.next()?.event == "b")
            #expect(await upstream.next()?.event == "disconnected")
        }
    }

    @Test func whoLeftIsForgotten() async throws {
        try await WebhookServer.run { upstream in
            let service = try serverless(upstream.url)
            let client = try await PollingClient(service)
            try await client.send(call("send"))
            _ = await client.text()
            let name = try #require(HubName("chat"))
            weak let connection = service.existingHub(name)?.registry.connection(named: client.id)
            #expect(connection != nil)
            await client.leave()
            _ = await upstream.next("disconnected")
            await service.drain(timeout: .seconds(20))
            for _ in 0..<100_000 where connection != nil { await Task.yield() }
            #expect(connection == nil)
        }
    }

    @Test func drainingTellsUpstreamOfEveryClient() async throws {
        try await WebhookServer.run { upstream in
            let service = try serverless(upstream.url)
            for _ in 0..<3 { _ = try await PollingClient(service) }
            #expect(await service.drain(timeout: .seconds(20)) == 0)
            for _ in 0..<3 { #expect(await upstream.next("disconnected")?.text == #"{"type":11}"#) }
        }
    }

    @Test(arguments: [(401, false), (403, false), (500, false), (401, true), (403, true)])
    func refusals(status: Int, endsClients: Bool) async throws {
        try await WebhookServer.run {
            $0.event == "connected" ? .answer(status) : .answer(204)
        } _: { upstream in
            let service = try serverless(upstream.url) { $0.upstream.refusalsEndClients = endsClients }
            let client = try await PollingClient(service)
            guard endsClients else {
                try await client.send(call("send"))
                #expect(await client.text() == #"{"type":3,"invocationId":"0"}"# + "\u{1e}")
                return
            }
            let close = await client.lastWords()
            #expect(close.contains(#""type":7"#) && close.contains("status code \(status)"))
            #expect(!close.contains("allowReconnect"))
        }
    }
}

@Suite struct UpstreamAnswerTests {
    @Test func completionsAreRelayed() async throws {
        try await WebhookServer.run { _ in
            .text(completion("0", #"{ "a" : 1.50 }"#))
        } _: { upstream in
            let client = try await PollingClient(try serverless(upstream.url))
            try await client.send(call("work"))
            #expect(await client.text() == completion("0", #"{ "a" : 1.50 }"#))
        }
    }

    @Test func messagePackGoesBothWays() async throws {
        let vector = Vectors.all.upstream.messageMsgpack
        let answer = ByteBuffer(bytes: Vectors.bytes(vector.responseOk.bodyHex))
        try await WebhookServer.run {
            $0.event == vector.event ? .answer(200, answer) : .answer(204)
        } _: { upstream in
            let client = try await PollingClient(try serverless(upstream.url), hubProtocol: "messagepack")
            try await client.send(
                .invocation(.init(id: "0", target: vector.event, arguments: .values(["a", 1]))), MessagePackHubCodec())
            let request = try #require(await upstream.next(vector.event))
            #expect(request.headers["content-type"] == "application/x-msgpack")
            #expect(Array(request.body.readableBytesView) == Vectors.bytes(vector.bodyHex ?? ""))
            #expect(await client.poll().body == answer)
        }
    }

    static let answers: [(WebhookServer.Reply, String)] = [
        (.answer(200), #"{"type":3,"invocationId":"0"}"# + "\u{1e}"),
        (.answer(204), #"{"type":3,"invocationId":"0"}"# + "\u{1e}"),
        (.answer(404, ByteBuffer(string: "not here")), failure("Invocation failed, status code 404")),
        (.answer(500), failure("Invocation failed, status code 500")),
        (.answer(302, headers: "location: http://127.0.0.1:1/\r\n"), failure("Invocation failed, status code 302")),
        (.text("hello"), failure("Invocation failed, response is no completion of this invocation.")),
        (.text(completion("1", "1")), failure("Invocation failed, response is no completion of this invocation.")),
        (.text(String(repeating: "x", count: 2 << 20)), failure("Invocation failed, response too large.")),
        (.hangUp, failure("Invocation failed, status code 500")),
        (.raw("this is not HTTP\r\n\r\n"), failure("Invocation failed, status code 500")),
        (.raw("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhal"), failure("Invocation failed, status code 500")),
        (
            .raw("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n"),
            failure("Invocation failed, status code 500")
        ),
        (
            .raw("HTTP/1.1 200 OK\r\nx: " + String(repeating: "y", count: 200_000)),
            failure("Invocation failed, status code 500")
        ),
    ]

    @Test(arguments: answers.indices)
    func everyAnswerEndsTheCall(_ index: Int) async throws {
        let (reply, expected) = Self.answers[index]
        try await WebhookServer.run {
            $0.event == "work" ? reply : .answer(204)
        } _: { upstream in
            let client = try await PollingClient(try serverless(upstream.url))
            try await client.send(call("work"))
            #expect(await client.text() == expected)
            // And the client goes on.
            try await client.send(call("other"))
            #expect(await client.text() == #"{"type":3,"invocationId":"0"}"# + "\u{1e}")
        }
    }

    @Test func silenceEndsInTime() async throws {
        try await WebhookServer.run {
            $0.event == "work" ? .silence : .answer(204)
        } _: { upstream in
            let client = try await PollingClient(
                try serverless(upstream.url) { $0.upstream.timeout = .milliseconds(200) })
            try await client.send(call("work"))
            #expect(await client.text() == failure("Invocation failed, status code 500"))
        }
    }

    @Test func answersToCallsWithoutIdAreIgnored() async throws {
        try await WebhookServer.run {
            $0.event == "a" ? .text("nonsense") : .answer(204)
        } _: { upstream in
            let client = try await PollingClient(try serverless(upstream.url))
            try await client.send(call("a", id: nil) + call("b"))
            #expect(await client.text() == #"{"type":3,"invocationId":"0"}"# + "\u{1e}")
        }
    }

    @Test func nobodyListens() async throws {
        // The port was free a moment ago.
        let url = try await WebhookServer.run { $0.url }
        let client = try await PollingClient(try serverless(url) { $0.upstream.maximumTries = 2 })
        try await client.send(call("work"))
        #expect(await client.text() == failure("Invocation failed, status code 500"))
    }

    @Test func upstreamMayAskToComeBack() async throws {
        let tries = NIOLockedValueBox(0)
        try await WebhookServer.run { request in
            guard request.event == "work" else { return .answer(204) }
            let number = tries.withLockedValue { tries in
                tries += 1
                return tries
            }
            return number < 3 ? .answer(503, headers: "retry-after: 0\r\n") : .text(completion("0", "3"))
        } _: { upstream in
            let client = try await PollingClient(try serverless(upstream.url))
            try await client.send(call("work"))
            #expect(await client.text() == completion("0", "3"))
        }
    }

    @Test(arguments: ["", "retry-after: 3600\r\n", "retry-after: Fri, 31 Dec 1999 23:59:59 GMT\r\n"])
    func otherwiseItIsAskedOnce(_ headers: String) async throws {
        let tries = NIOLockedValueBox(0)
        try await WebhookServer.run { request in
            if request.event == "work" { tries.withLockedValue { $0 += 1 } }
            return .answer(request.event == "work" ? 503 : 204, headers: headers)
        } _: { upstream in
            let client = try await PollingClient(try serverless(upstream.url))
            try await client.send(call("work"))
            #expect(await client.text() == failure("Invocation failed, status code 503"))
            #expect(tries.withLockedValue { $0 } == 1)
        }
    }
}

@Suite struct UpstreamLimitTests {
    @Test func aSlowCallHoldsUpNobodyElse() async throws {
        let go = Latch()
        try await WebhookServer.run { request in
            if request.event == "slow" { await go.wait() }
            return .answer(204)
        } _: { upstream in
            let service = try serverless(upstream.url)
            let (slow, quick) = (try await PollingClient(service), try await PollingClient(service))
            try await slow.send(call("slow", id: "s") + call("next", id: "n"))
            _ = await upstream.next("slow")
            try await quick.send(call("work"))
            #expect(await quick.text() == #"{"type":3,"invocationId":"0"}"# + "\u{1e}")
            // Nor the client's other work: it still answers those who ask it, and hears what is sent.
            async let response = service.rest(
                .post, "/api/hubs/chat/connections/\(slow.id)/:invoke", #"{"target":"ask"}"#)
            let asked = try JSON.value(from: ByteBuffer(string: String(await slow.text().dropLast())))
            try await slow.send(completion(asked["invocationId"]?.text ?? "", "7"))
            #expect(String(buffer: await response.body) == #"{"result":7,"protocol":"json"}"#)
            go.open()
            var text = ""
            while !text.contains(#""n""#) { text += await slow.text() }
            #expect(text == #"{"type":3,"invocationId":"s"}"# + "\u{1e}" + #"{"type":3,"invocationId":"n"}"# + "\u{1e}")
        }
    }

    @Test func callsOfOneClientKeepTheirOrder() async throws {
        try await WebhookServer.run { upstream in
            let client = try await PollingClient(try serverless(upstream.url) { $0.upstream.maximumCallsPerClient = 2 })
            let names = (0..<30).map { "m\($0)" }
            try await client.send(names.map { call($0, id: nil) }.joined())
            _ = await upstream.next("connected")
            for name in names { #expect(await upstream.next()?.event == name) }
        }
    }

    @Test func requestsUnderWayAreLimited() async throws {
        let under = NIOLockedValueBox((now: 0, most: 0))
        try await WebhookServer.run { _ in
            under.withLockedValue {
                $0.now += 1
                $0.most = max($0.most, $0.now)
            }
            await Task.yield()
            under.withLockedValue { $0.now -= 1 }
            return .answer(204)
        } _: { upstream in
            let service = try serverless(upstream.url) { $0.upstream.maximumConcurrency = 2 }
            try await withThrowingTaskGroup(of: Void.self) { tasks in
                for _ in 0..<12 {
                    tasks.addTask {
                        let client = try await PollingClient(service)
                        try await client.send(call("work"))
                        #expect(await client.text() == #"{"type":3,"invocationId":"0"}"# + "\u{1e}")
                    }
                }
                try await tasks.waitForAll()
            }
            #expect(under.withLockedValue { (1...2).contains($0.most) })
        }
    }

    @Test func whoDoesNotFitIntoTheQueueIsTold() async throws {
        let go = Latch()
        try await WebhookServer.run { request in
            if request.event == "slow" { await go.wait() }
            return .answer(204)
        } _: { upstream in
            // Only calls: the news of a client could still have the one place.
            let service = try serverless("chat/messages/*=" + upstream.url) { options in
                options.upstream.maximumConcurrency = 1
                options.upstream.maximumQueue = 0
            }
            let (slow, other) = (try await PollingClient(service), try await PollingClient(service))
            try await slow.send(call("slow", id: nil))
            _ = await upstream.next("slow")
            try await other.send(call("work"))
            #expect(await other.text() == failure("Invocation failed, status code 503"))
            go.open()
        }
    }
}

@Suite struct UpstreamRefusalTests {
    @Test func withoutUpstreamWhoCallsIsDisconnected() async throws {
        let service = try makeService { $0.mode = .serverless }
        let client = try await PollingClient(service)
        try await client.send(call("work"))
        let close = await client.lastWords()
        #expect(close.contains(#""type":7"#) && !close.contains("allowReconnect"))
    }

    @Test func callsThatNoRuleIsForAreIgnored() async throws {
        try await WebhookServer.run { upstream in
            let client = try await PollingClient(try serverless("chat/messages/work=" + upstream.url))
            try await client.send(call("other", id: "1") + call("work"))
            #expect(await client.text() == #"{"type":3,"invocationId":"0"}"# + "\u{1e}")
            #expect(await upstream.next()?.event == "work")
        }
    }

    @Test func streamsAreRefused() async throws {
        try await WebhookServer.run { upstream in
            let client = try await PollingClient(try serverless(upstream.url))
            try await client.send(#"{"type":4,"invocationId":"0","target":"t","arguments":[]}"# + "\u{1e}")
            #expect(await client.text() == failure("Streaming is not supported in serverless mode."))
        }
    }

    @Test func argumentsThatAreNoneFailTheCallOnly() async throws {
        try await WebhookServer.run { upstream in
            let client = try await PollingClient(try serverless(upstream.url), hubProtocol: "messagepack")
            // A map in place of the array.
            await client.send(ByteBuffer(bytes: [11, 0x95, 1, 0x80, 0xA1, 0x30, 0xA4] + Array("work".utf8) + [0x80]))
            let codec = MessagePackHubCodec()
            var answer = await client.poll().body
            let failed = HubMessage.Completion(id: "0", outcome: .failure("The arguments cannot be read."))
            #expect(try codec.read(from: &answer, maximumSize: nil) == .completion(failed))
            try await client.send(.invocation(.init(id: "1", target: "work", arguments: .values([]))), codec)
            answer = await client.poll().body
            #expect(try codec.read(from: &answer, maximumSize: nil) == .completion(.init(id: "1", outcome: .void)))
        }
    }

    @Test func targetsDoNotClimbInThePath() async throws {
        try await WebhookServer.run { upstream in
            let client = try await PollingClient(try serverless(upstream.url + "/api/{event}"))
            try await client.send(call(".."))
            #expect(await client.text() == failure("Invocation failed, status code 500"))
            try await client.send(call("a/../b"))
            #expect(await upstream.next("a/../b")?.path == "/api/a%2F..%2Fb")
        }
    }
}
