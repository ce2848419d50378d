// SignalBox: the service's limits over real sockets: who is let in, who is counted, and who sends too much
// SPDX-License-Identifier: Apache-2.0

import NIOCore
import SignalR
import SignalRWire
import Testing

@testable import SignalRService

@Suite struct LimitTests {
    private static let tooMuch = HubMessage.close(
        error: "Connection closed: the rate limit of what a client may send was exceeded.", allowReconnect: true)

    /// Machines that run tests are slow at times, so no rate fills up.
    private static let noTimePasses: @Sendable () -> Double = { 1_000 }

    private static func limits(_ change: (inout ServiceLimits) -> Void) -> ServiceLimits {
        var limits = ServiceLimits()
        change(&limits)
        return limits
    }

    private static func negotiate(
        _ world: ServiceWorld, user: String? = nil, token: String? = nil
    ) async throws -> Reply {
        try await world.server.request(
            "POST", "/client/negotiate?hub=chat&negotiateVersion=1",
            headers: [("Authorization", "Bearer \(token ?? world.token(user: user))")], body: "")
    }

    // MARK: Counting

    /// However a connection ends, or does not begin, its place is free afterwards.
    @Test func everyPlaceIsGivenBack() async throws {
        try await withService {
            $0.mode = .classic
            $0.connections.disconnectTimeout = .seconds(60)
        } _: { world in
            let admission = world.service.admission
            for wire in Wire.all {
                let client = try await world.open(wire, user: "ann")
                #expect(admission.count(of: "chat", user: "ann") == 1, "\(wire)")
                #expect(try await client.handshake(wire.hubProtocol) == "{}")
                try await client.transport.close()
                try await eventually { admission.count() == 0 }
            }
            // Shakes hands wrongly; sends garbage; goes without a word.
            #expect(
                try await world.open().handshake("{\"protocol\":\"none\",\"version\":1}")?.contains("error") == true)
            try await world.open().send(text: "garbage\u{1E}")
            try await world.open().transport.drop()
            try await eventually { admission.count() == 0 }
            // Refused before it was a connection.
            let authorization = ("Authorization", "Bearer \(world.token())")
            for target in ["/client?hub=chat", "/client?hub=chat&id=AAAAAAAAAAAAAAAAAAAAAA"] {
                for headers in [[authorization], [], [authorization, ("Upgrade", "websocket")]] {
                    let reply = try await world.server.request("GET", target, headers: headers)
                    #expect([400, 401, 404].contains(reply.status))
                }
            }
            #expect(admission.count() == 0)
        }
    }

    @Test(arguments: TransportKind.allCases)
    func whoNeverShakesHandsLosesItsPlace(_ kind: TransportKind) async throws {
        try await withService {
            $0.mode = .classic
            $0.connections.handshakeTimeout = .seconds(1)
        } _: { world in
            let client = try await world.open(Wire(transport: kind, hubProtocol: .json))
            try await eventually { world.service.admission.count() == 0 }
            client.transport.drop()
        }
    }

    @Test func aSecondTransportTakesNoSecondPlace() async throws {
        try await withService {
            $0.mode = .classic
        } _: { world in
            let authorization = [("Authorization", "Bearer \(world.token())")]
            let token = try await world.server.negotiate(
                "/client", query: "hub=chat&negotiateVersion=1", headers: authorization
            ).token
            let target = "/client?hub=chat&id=\(token)"
            let stream = try await EventStreamClient(world.server, target, headers: authorization)
            #expect(world.service.admission.count() == 1)
            let again = try await world.server.request(
                "GET", target, headers: authorization + [("Accept", "text/event-stream")])
            #expect(again.status == 409)
            #expect(world.service.admission.count() == 1)
            stream.drop()
            try await eventually { world.service.admission.count() == 0 }
        }
    }

    @Test func refusalsSayWhenToComeAgain() async throws {
        try await withService {
            $0.mode = .classic
            $0.limits = Self.limits { $0.connectionsPerUser = 1 }
        } _: { world in
            let first = try await world.open(user: "ann")
            let refused = try await Self.negotiate(world, user: "ann")
            #expect(refused.status == 429)
            #expect(refused["retry-after"].flatMap { Int($0) }.map { (1...60).contains($0) } == true)
            #expect(try await Self.negotiate(world, user: "bob").status == 200)
            try await first.transport.close()
            try await eventually { try await Self.negotiate(world, user: "ann").status == 200 }
        }
    }

    /// Negotiated while there was room, and too late with the transport.
    @Test(arguments: TransportKind.allCases)
    func theLastPlaceIsGivenOnce(_ kind: TransportKind) async throws {
        try await withService {
            $0.mode = .classic
            $0.limits = Self.limits { $0.connections = 1 }
        } _: { world in
            let authorization = [("Authorization", "Bearer \(world.token())")]
            let tokens = [
                try await world.server.negotiate(
                    "/client", query: "hub=chat&negotiateVersion=1", headers: authorization),
                try await world.server.negotiate(
                    "/client", query: "hub=chat&negotiateVersion=1", headers: authorization),
            ].map(\.token)
            let first = try await WebSocketClient(
                world.server, "/client?hub=chat&id=\(tokens[0])", headers: authorization)
            let more =
                kind == .webSockets
                ? WebSocketClient.handshake : kind == .serverSentEvents ? [("Accept", "text/event-stream")] : []
            let late = try await world.server.request(
                "GET", "/client?hub=chat&id=\(tokens[1])", headers: authorization + more)
            #expect(late.status == 429)
            #expect(late["retry-after"] != nil)
            first.drop()
            try await eventually { world.service.admission.count() == 0 }
        }
    }

    // MARK: Storms

    @Test func strangersUseUpNobodysTurn() async throws {
        try await withService {
            $0.mode = .classic
            $0.clock = Self.noTimePasses
            $0.limits = Self.limits { $0.connects = .init(1, burst: 1) }
        } _: { world in
            for _ in 0..<5 { #expect(try await Self.negotiate(world, token: "no.such.token").status == 401) }
            #expect(try await Self.negotiate(world).status == 200)
            let refused = try await Self.negotiate(world)
            #expect(refused.status == 429 && refused["retry-after"] != nil)
            // Not even the token is looked at now.
            #expect(try await Self.negotiate(world, token: "no.such.token").status == 429)
        }
    }

    @Test func browsersCanReadARefusal() async throws {
        try await withService {
            $0.limits = Self.limits { $0.connections = 0 }
        } _: { world in
            let headers = [("Origin", "https://app.example"), ("Authorization", "Bearer \(world.token())")]
            // The first request of a hub makes it.
            for _ in 0..<2 {
                let refused = try await world.server.request(
                    "POST", "/client/negotiate?hub=chat", headers: headers, body: "")
                #expect(refused.status == 429)
                #expect(refused["access-control-allow-origin"] == "https://app.example")
                #expect(refused["access-control-expose-headers"] == "Retry-After")
            }
        }
    }

    @Test func socketsWithoutNegotiateAreCountedAsWell() async throws {
        try await withService {
            $0.mode = .classic
            $0.clock = Self.noTimePasses
            $0.limits = Self.limits { $0.connects = .init(1, burst: 2) }
        } _: { world in
            let headers = [("Authorization", "Bearer \(world.token())")]
            for _ in 0..<2 { _ = try await WebSocketClient(world.server, "/client?hub=chat", headers: headers) }
            let refused = try await world.server.request(
                "GET", "/client?hub=chat", headers: headers + WebSocketClient.handshake)
            #expect(refused.status == 429)
        }
    }

    // MARK: Sending too much

    @Test(arguments: Wire.all)
    func whoSendsTooOftenIsToldAndEnds(_ wire: Wire) async throws {
        try await withService {
            $0.clock = Self.noTimePasses
            $0.limits = Self.limits { $0.messagesPerConnection = .init(1, burst: 5) }
        } _: { world in
            let app = try await world.appServer()
            let (client, id) = try await world.client(of: app, wire)
            let (calm, calmID) = try await world.client(of: app, wire)
            var size = 0
            for number in 0..<5 {
                let message = HubMessage.call("x", [.int(Int64(number))])
                var bytes = ByteBuffer()
                try wire.hubProtocol.codec.write(message, into: &bytes)
                size += bytes.readableBytes
                try await client.send(message)
            }
            var received = 0
            while received < size, case .connectionData(id, let bytes, _)? = try await app.next() {
                received += bytes.readableBytes
            }
            #expect(received == size)
            // A whole burst more at once, which no clock makes up for.
            var storm = ByteBuffer()
            for _ in 0..<10 { try wire.hubProtocol.codec.write(HubMessage.ping, into: &storm) }
            try await client.transport.send(storm, isText: wire.hubProtocol == .json)
            #expect(try await client.next() == Self.tooMuch)
            #expect(try await client.next() == nil)
            #expect(try await app.next() == .closeConnection(id: id, error: "", headers: [], []))
            try await app.send(.call(.connections([calmID]), "still"))
            #expect(try await calm.next() == .received("still"))
        }
    }

    @Test func callsOfServerlessClientsAreCountedBeforeTheyRun() async throws {
        try await withService {
            $0.mode = .classic
            $0.clock = Self.noTimePasses
            $0.limits = Self.limits { $0.messagesPerUser = .init(1, burst: 3) }
        } _: { world in
            let client = try await world.open(user: "ann")
            let other = try await world.open(user: "ann")
            for client in [client, other] { #expect(try await client.handshake(.json) == "{}") }
            for number in 0..<2 {
                try await client.send(.call("x", id: "\(number)"))
                guard case .completion = try await client.next() else { throw UnexpectedMessage(message: nil) }
            }
            var storm = ByteBuffer()
            for _ in 0..<4 { try JSONHubCodec().write(HubMessage.ping, into: &storm) }
            try await other.transport.send(storm, isText: true)
            #expect(try await other.next() == Self.tooMuch)
        }
    }

    @Test func bytesAreLimitedToo() async throws {
        try await withService {
            $0.clock = Self.noTimePasses
            $0.limits = Self.limits { $0.bytesPerConnection = .init(10, burst: 4_000) }
        } _: { world in
            let app = try await world.appServer()
            let (client, id) = try await world.client(of: app)
            let half = "{\"type\":1,\"target\":\"x\",\"arguments\":[\"\(String(repeating: "a", count: 2_000))\"]}\u{1E}"
            try await client.send(text: half)
            #expect(try await app.text(of: id, count: half.utf8.count) == half)
            try await client.send(text: half)
            #expect(try await client.next() == Self.tooMuch)
        }
    }

    // MARK: Changing

    @Test func limitsChangeForThoseWhoAreThere() async throws {
        try await withService { world in
            let app = try await world.appServer()
            let (client, id) = try await world.client(of: app)
            let ping = "{\"type\":6}\u{1E}"
            for _ in 0..<10 { try await client.send(text: ping) }
            #expect(try await app.text(of: id, count: 10 * ping.utf8.count) == String(repeating: ping, count: 10))
            await world.service.update(Self.limits { $0.messagesPerConnection = .init(1, burst: 1) })
            try await client.send(text: ping + ping)
            #expect(try await client.next() == Self.tooMuch)
            await world.service.update(Self.limits { $0.connections = 0 })
            #expect(try await Self.negotiate(world).status == 429)
        }
    }

    // MARK: REST

    @Test func keysHaveARateOfRequests() async throws {
        try await withService {
            $0.clock = Self.noTimePasses
            $0.limits = Self.limits { $0.requestsPerKey = .init(1, burst: 2) }
        } _: { world in
            let path = "/api/hubs/chat/:send"
            let token = world.service.options.keys.restToken(path: path, endpoint: "http://localhost")
            var replies: [Reply] = []
            for _ in 0..<4 {
                replies.append(
                    try await world.server.request(
                        "POST", path,
                        headers: [("Authorization", "Bearer \(token)"), ("Content-Type", "application/json")],
                        body: #"{"target":"x"}"#))
            }
            #expect(replies.prefix(2).allSatisfy { $0.status == 202 })
            let refused = try #require(replies.first { $0.status == 429 })
            #expect(refused["retry-after"] != nil)
            #expect(refused["x-ms-error-code"] == "Warning.Request.Unknown")
            #expect(try await world.server.request("GET", "/api/health").status == 200)
        }
    }
}
