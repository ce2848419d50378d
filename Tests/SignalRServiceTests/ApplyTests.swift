// SignalBox: options that are replaced while the service runs
// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import Logging
import NIOPosix
import SignalR
import Testing

@testable import SignalRService

@Suite struct ApplyTests {
    private static let other = "another-key-of-at-least-32-characters"

    private func negotiate(
        _ service: SignalBoxService, _ keys: AccessKeys, hub: String = "chat", origin: String? = nil
    ) async -> HTTPResponse.Status {
        let token = keys.clientToken(hub: hub, endpoint: "http://localhost")
        return await service.client(
            .post, "hub=\(hub)&negotiateVersion=1", token: token, isNegotiate: true,
            headers: origin.map { [.origin: $0] } ?? [:]
        ).status
    }

    @Test func keysRotate() async throws {
        let service = try makeService()
        let (old, new) = (service.options.keys, AccessKeys(Self.other))
        // One hub that is there, and one that is yet to be made.
        #expect(await negotiate(service, old) == .ok)
        #expect(await negotiate(service, new) == .unauthorized)

        var options = service.options
        options.keys = AccessKeys(Self.other, secondary: testKey)
        await service.apply(options)
        for hub in ["chat", "board"] {
            #expect(await negotiate(service, old, hub: hub) == .ok)
            #expect(await negotiate(service, new, hub: hub) == .ok)
        }

        options.keys = new
        await service.apply(options)
        for hub in ["chat", "board", "more"] {
            #expect(await negotiate(service, old, hub: hub) == .unauthorized)
            #expect(await negotiate(service, new, hub: hub) == .ok)
        }
    }

    @Test func originsAndHubsChange() async throws {
        let service = try makeService { $0.allowedOrigins = ["http://a"] }
        let keys = service.options.keys
        #expect(await negotiate(service, keys, origin: "http://a") == .ok)
        var options = service.options
        options.allowedOrigins = ["http://b"]
        options.allowedHubs = ["chat"]
        await service.apply(options)
        #expect(await negotiate(service, keys, origin: "http://a") == .forbidden)
        #expect(await negotiate(service, keys, origin: "http://b") == .ok)
        #expect(await negotiate(service, keys, hub: "Chat") == .ok)
        #expect(await negotiate(service, keys, hub: "other") == .notFound)
        options.allowedHubs = nil
        await service.apply(options)
        #expect(await negotiate(service, keys, hub: "other") == .ok)
    }

    /// The registry, and with it everybody in it, is the same.
    @Test func hubsStay() async throws {
        let service = try makeService()
        let name = try #require(HubName("chat"))
        let before = try service.hub(name)
        var options = service.options
        options.connections.maximumOutboundQueue = 7
        options.hubs["chat"] = HubException(connections: options.connections)
        options.hubs["chat"]?.connections?.clientTimeout = .seconds(3)
        await service.apply(options)
        let after = try service.hub(name)
        #expect(after !== before && after.registry === before.registry)
        #expect(after.relay.servers === before.relay.servers)
        #expect(after.server.options.clientTimeout == .seconds(3))
        #expect(after.endpoint.options.maximumOutboundQueue == 7)
        #expect(after.endpoint.options.codecs.map(\.name) == before.endpoint.options.codecs.map(\.name))
    }

    @Test func modesStay() async throws {
        let service = try makeService { options in
            options.mode = .classic
            options.hubs["chat"] = HubException(mode: .serverless)
        }
        #expect(try service.hub(#require(HubName("chat"))).relay.mode == .serverless)
        #expect(try service.hub(#require(HubName("other"))).relay.mode == .classic)
        var options = service.options
        options.mode = .default
        options.hubs = ["board": HubException(mode: .default)]
        await service.apply(options)
        #expect(try service.hub(#require(HubName("chat"))).relay.mode == .serverless)
        #expect(try service.hub(#require(HubName("board"))).relay.mode == .classic)
        #expect(service.options.mode == .classic)
    }

    @Test func anUpstreamWhoseOptionsStayStays() throws {
        let options = UpstreamOptions(rules: [try UpstreamRule("http://localhost")])
        func make(_ options: UpstreamOptions) -> Upstream {
            Upstream(options, eventLoopGroup: MultiThreadedEventLoopGroup.singleton, logger: Logger(label: "test"))
        }
        let source = UpstreamSource(make(options), keys: AccessKeys(testKey))
        let first = source.upstream
        source.replace(keys: AccessKeys(Self.other), options) { make(options) }
        #expect(source.upstream === first)
        var changed = options
        changed.timeout = .seconds(1)
        source.replace(keys: AccessKeys(Self.other), changed) { make(changed) }
        #expect(source.upstream !== first && source.upstream.options.timeout == .seconds(1))
    }
}
