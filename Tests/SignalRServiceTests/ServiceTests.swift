// SignalBox: who may enter the service, and what clients find there
// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import NIOCore
import SignalR
import SignalRWire
import Testing

@testable import SignalRService

@Suite struct DoorTests {
    @Test(arguments: ["", "x=1", "hub=", "hub=1", "hub=a%2Fb", "hub=chat&hub=chat"])
    func requestsWithoutOneHubAre400(_ query: String) async throws {
        #expect(try await makeService().client(.post, query, isNegotiate: true).status == .badRequest)
    }

    /// As Azure has it (service reference, "Client endpoint").
    @Test func whoNegotiatedHasFiveSeconds() {
        #expect(SignalBoxService.Options(keys: AccessKeys("k")).connections.negotiateTimeout == .seconds(5))
    }

    @Test func clientsWithoutATokenAre401() async throws {
        let response = try await makeService().client(.post, "hub=chat", isNegotiate: true)
        #expect(response.status == .unauthorized)
        #expect(response.headers[.wwwAuthenticate] == "Bearer")
    }

    @Test func tokensOfOthersMakeNoHub() async throws {
        let service = try makeService()
        let keys = AccessKeys(AccessKeys.makeKey())
        let strange = keys.clientToken(hub: "chat", endpoint: "http://h")
        let response = await service.client(.post, "hub=chat", token: strange, isNegotiate: true)
        #expect(response.status == .unauthorized)
        #expect(response.body.readableBytes == 0)
        #expect(service.context(ofHub: "chat") == nil)
    }

    @Test func tokensForAnotherHubAre401OnHubsThatExist() async throws {
        let service = try makeService()
        _ = try await PollingClient(service)
        let token = service.options.keys.clientToken(hub: "other", endpoint: "http://h")
        #expect(await service.client(.post, "hub=chat", token: token, isNegotiate: true).status == .unauthorized)
    }

    @Test func hubsAreBounded() async throws {
        let service = try makeService { $0.maximumHubs = 2 }
        for hub in ["a", "b", "A"] { _ = try await PollingClient(service, hub: hub) }
        let token = service.options.keys.clientToken(hub: "c", endpoint: "http://h")
        #expect(await service.client(.post, "hub=c", token: token, isNegotiate: true).status == .serviceUnavailable)
    }

    @Test func browsersOfEveryOriginMayConnect() async throws {
        let origin: HTTPFields = [.origin: "https://app.example"]
        let service = try makeService()
        for (method, status) in [(HTTPRequest.Method.options, 204), (.post, 401)] {
            let response = await service.client(method, "hub=chat", isNegotiate: true, headers: origin)
            #expect(response.status.code == status)
            #expect(response.headers[.accessControlAllowOrigin] == "https://app.example")
            #expect(response.headers[.accessControlAllowCredentials] == "true")
        }
    }

    @Test func originsCanBeListed() async throws {
        let service = try makeService { $0.allowedOrigins = ["https://app.example"] }
        let response = await service.client(
            .options, "hub=chat", isNegotiate: true, headers: [.origin: "https://evil.example"])
        #expect(response.status == .forbidden)
    }

    @Test func inPlayModeEverybodyMayEnterAndSayWhoTheyAre() async throws {
        let service = try makeService { $0.requiresAuthentication = false }
        let response = await service.client(.post, "hub=chat", token: "nonsense", isNegotiate: true)
        #expect(response.status == .ok)
        _ = try await PollingClient(service, query: "&userId=carol")
        #expect(await service.context(ofHub: "chat")?.presence.users() == ["carol": 1])
    }

    @Test func otherwiseTheQuerySaysNothingAboutTheUser() async throws {
        let service = try makeService()
        _ = try await PollingClient(service, query: "&userId=carol")
        _ = try await PollingClient(service, user: "bob", query: "&userId=carol")
        #expect(await service.context(ofHub: "chat")?.presence.users() == ["bob": 1])
    }
}

@Suite struct ClientTests {
    @Test func hubsDifferByNameOnly() async throws {
        let service = try makeService()
        let (one, two) = (try await PollingClient(service, hub: "one"), try await PollingClient(service, hub: "two"))
        _ = await service.rest(.post, "/api/hubs/ONE/:send", #"{"target":"a"}"#)
        _ = await service.rest(.post, "/api/hubs/two/:send", #"{"target":"b"}"#)
        #expect(await one.text() == #"{"type":1,"target":"a","arguments":[]}"# + "\u{1e}")
        #expect(await two.text() == #"{"type":1,"target":"b","arguments":[]}"# + "\u{1e}")
    }

    @Test func callsThatNobodyHandlesFail() async throws {
        let client = try await PollingClient(makeService())
        try await client.send(#"{"type":1,"invocationId":"7","target":"work","arguments":[1]}"# + "\u{1e}")
        let answer = try JSON.value(from: ByteBuffer(string: String(await client.text().dropLast())))
        #expect(answer["type"] == 3)
        #expect(answer["invocationId"] == "7")
        #expect(answer["error"]?.text?.contains("work") == true)
    }

    @Test func drainingTellsClientsToComeBack() async throws {
        let service = try makeService()
        let client = try await PollingClient(service)
        async let last = client.lastWords()
        #expect(await service.drain(timeout: .seconds(5)) == 0)
        #expect(await last == #"{"type":7,"allowReconnect":true}"# + "\u{1e}")
    }
}
