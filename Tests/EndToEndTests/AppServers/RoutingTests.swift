// SignalBox: which app server gets which client, and what happens when it goes
// SPDX-License-Identifier: Apache-2.0

import NIOCore
import SignalR
import SignalRWire
import Testing

@testable import SignalRService

@Suite struct RoutingTests {
    private static let handshake = "{\"protocol\":\"json\",\"version\":1}"
    private static let lost = HubMessage.close(error: "Connection closed with an error.", allowReconnect: true)

    @Test(arguments: Wire.all)
    func withoutAServerClientsAreTold(_ wire: Wire) async throws {
        try await withService { world in
            let answer = try await world.open(wire).handshake(wire.hubProtocol)
            #expect(answer?.hasPrefix("{\"error\":\"SignalR Service is now in ") == true)
            #expect(answer?.hasSuffix(" However app servers are not connected.\"}") == true)
        }
    }

    @Test func clientsWaitForAServerThatRestarts() async throws {
        try await withService {
            $0.relay.serverPatience = .seconds(20)
        } _: { world in
            let first = try await world.appServer("S1")
            let (client, _) = try await world.client(of: first)
            first.socket.drop()
            #expect(try await client.next() == Self.lost)
            let again = try await world.open()
            async let answer = again.handshake(Self.handshake)
            let second = try await world.appServer("S1")
            try await second.accept()
            #expect(try await answer == "{}")
        }
    }

    @Test func patienceEnds() async throws {
        try await withService {
            $0.relay.serverPatience = .milliseconds(50)
        } _: { world in
            let app = try await world.appServer("S1")
            app.socket.drop()
            try await eventually { world.hub?.relay.servers.serve(.core) == false }
            #expect(try await world.open().handshake(Self.handshake)?.contains("app servers are not connected") == true)
        }
    }

    @Test func clientsOfALostServerComeBackToAnother() async throws {
        try await withService { world in
            let (one, two) = (try await world.appServer("S1"), try await world.appServer("S2"))
            var clients: [String: HubClient] = [:]
            for server in ["S1", "S2"] {
                let claims: [String: HubValue] = ["asrs.s.sn": .string(server), "asrs.s.ssticky": "Preferred"]
                clients[server] = try await world.client(of: server == "S1" ? one : two, claims: claims).client
            }
            one.socket.drop()
            #expect(try await clients["S1"]?.next() == Self.lost)
            #expect(try await clients["S1"]?.next() == nil)
            let again = try await world.client(of: two, claims: ["asrs.s.sn": "S1", "asrs.s.ssticky": "Preferred"])
            try await two.send(.call(.all, "here"))
            for client in [clients["S2"], again.client] { #expect(try await client?.next() == .received("here")) }
        }
    }

    @Test func clientsThatWereNotLetInYetAreToldInTheirHandshake() async throws {
        try await withService { world in
            let app = try await world.appServer()
            let client = try await world.open()
            async let answer = client.handshake(Self.handshake)
            _ = try await app.meet()
            app.socket.drop()
            #expect(try await answer == #"{"error":"No app server is currently connected to the Azure service."}"#)
        }
    }

    @Test func theLeastLoadedServerIsNext() async throws {
        try await withService { world in
            let (one, two) = (try await world.appServer("S1"), try await world.appServer("S2"))
            let sticky: [String: HubValue] = ["asrs.s.sn": "S1", "asrs.s.ssticky": "Required"]
            let first = try await world.client(of: one, claims: sticky)
            let second = try await world.client(of: one, claims: sticky)
            _ = try await world.client(of: two)
            _ = try await world.client(of: two)
            for (client, id) in [first, second] {
                client.transport.drop()
                #expect(try await one.next() == .closeConnection(id: id, error: "", headers: [], []))
            }
            _ = try await world.client(of: one)
        }
    }

    @Test func requiredServersAreNotReplaced() async throws {
        try await withService { world in
            let app = try await world.appServer("S1")
            let client = try await world.open(claims: ["asrs.s.sn": "S2", "asrs.s.ssticky": "Required"])
            let answer = try await client.handshake(Self.handshake)
            #expect(answer?.hasPrefix("{\"error\":") == true)
            _ = try await world.client(of: app, claims: ["asrs.s.sn": "S2", "asrs.s.ssticky": "Preferred"])
        }
    }

    @Test func crowdedServersAreAskedForMoreConnections() async throws {
        try await withService {
            $0.relay.clientsPerConnection = 1
        } _: { world in
            let app = try await world.appServer("S1")
            let (_, _) = try await world.client(of: app)
            let client = try await world.open()
            async let answer = client.handshake(Self.handshake)
            // The request and the client come in either order.
            var target: String?
            var id: String?
            for _ in 0..<3 {
                switch try await app.next() {
                case .ping(let pairs): target = pairs == ["target", world.service.instanceID] ? pairs[1] : nil
                case .openConnection(let open): id = open.id
                default: break
                }
            }
            try await app.write("{}\u{1E}", to: #require(id))
            #expect(try await answer == "{}")
            let more = try await world.appServer("S1", .init(connectionType: 1, target: #require(target)))
            _ = try await world.client(of: more)
        }
    }

    // MARK: Weak connections and modes

    @Test(arguments: ServiceMode.allCases)
    func weakConnectionsSendAndOwnNobody(_ mode: ServiceMode) async throws {
        try await withService {
            $0.mode = mode
        } _: { world in
            let weak = try await world.appServer("M", .init(connectionType: 2))
            let client: HubClient
            if mode == .default {
                #expect(try await world.open().handshake(Self.handshake)?.contains("error") == true)
                client = try await world.client(of: world.appServer("S1"), user: "ann").client
            } else {
                client = try await world.open(user: "ann")
                #expect(try await client.handshake(Self.handshake) == "{}")
            }
            #expect(try await weak.status(.check(.init(.user("ann"), ackID: 1))) == 1)
            try await weak.send(.call(.user("ann"), "hello"))
            #expect(try await client.next() == .received("hello"))
            let hub = try #require(world.hub)
            let id = try #require(await hub.connections(of: "ann").first)
            try await weak.send(.closeConnection(id: id, error: "enough", headers: [], []))
            #expect(try await client.next() == .close(error: "enough", allowReconnect: true))
            #expect(try await client.next() == nil)
        }
    }

    @Test func serverlessModeHasNoPlaceForAppServers() async throws {
        try await withService {
            $0.mode = .serverless
        } _: { world in
            let app = try await AppServer(world, id: "S1")
            try await app.send(.handshakeRequest(.init()))
            guard case .handshakeResponse(let error?, _, _)? = try await app.next() else {
                throw UnexpectedServiceMessage(message: nil)
            }
            #expect(error.contains("serverless"))
        }
    }

    @Test func classicModeDecidesForEveryClient() async throws {
        try await withService {
            $0.mode = .classic
        } _: { world in
            let alone = try await world.open()
            #expect(try await alone.handshake(Self.handshake) == "{}")
            let app = try await world.appServer()
            let (routed, _) = try await world.client(of: app)
            try await app.send(.call(.all, "both"))
            for client in [alone, routed] { #expect(try await client.next() == .received("both")) }
        }
    }

    // MARK: Shutdown

    @Test func finishingServersKeepTheirClientsAndGetNoNewOnes() async throws {
        try await withService { world in
            let (one, two) = (try await world.appServer("S1"), try await world.appServer("S2"))
            let sticky: [String: HubValue] = ["asrs.s.sn": "S1", "asrs.s.ssticky": "Preferred"]
            let (client, id) = try await world.client(of: one, claims: sticky)
            try await one.send(.ping(["shutdown", "fin:2"]))
            #expect(try await one.next() == .ping(["shutdown", "finack"]))
            _ = try await world.client(of: two, claims: sticky)
            try await client.send(text: "{\"type\":6}\u{1E}")
            #expect(try await one.text(of: id, count: 11) == "{\"type\":6}\u{1E}")
            try await one.socket.close()
            #expect(try await client.next() == Self.lost)
        }
    }

    @Test(arguments: [false, true])
    func clientsMoveToAnotherServer(_ pauses: Bool) async throws {
        try await withService { world in
            let request = ServiceMessage.HandshakeRequest(
                migrationLevel: 1, allowsStatefulReconnects: pauses ? false : nil)
            let one = try await world.appServer("S1", request)
            let (client, id) = try await world.client(of: one, user: "ann")
            let two = try await world.appServer("S2", request)
            try await one.send(.ping(["shutdown", "fin:1"]))
            #expect(try await one.next() == .ping(["shutdown", "finack"]))
            if pauses {
                #expect(try await one.next() == .flowControl(id: id, kind: 1, operation: 1, []))
                try await one.write("{\"type\":6}\u{1E}", to: id)
                try await one.send(.flowControl(id: id, kind: 1, operation: 2, []))
                #expect(try await client.anyMessage() == .ping)
            }
            let headers = [ServiceMessage.Header("Asrs-Migrate-To", ["S2"])]
            #expect(try await one.next() == .closeConnection(id: id, error: "", headers: headers, []))
            let open = try await two.meet()
            #expect(open.id == id)
            #expect(open.headers.contains(.init("Asrs-Migrate-From", ["S1"])))
            try await two.send(.call(.user("ann"), "moved"))
            #expect(try await client.next() == .received("moved"))
            try await client.send(text: "{\"type\":6}\u{1E}")
            #expect(try await two.text(of: id, count: 11) == "{\"type\":6}\u{1E}")
            one.socket.drop()
            try await two.write("{\"type\":7}\u{1E}", to: id)
            #expect(try await client.next() == .close())
        }
    }

    @Test func clientsStayWhenTheyCannotBePaused() async throws {
        try await withService {
            $0.relay.pauseTimeout = .milliseconds(50)
        } _: { world in
            let request = ServiceMessage.HandshakeRequest(migrationLevel: 1, allowsStatefulReconnects: false)
            let one = try await world.appServer("S1", request)
            let (client, id) = try await world.client(of: one)
            _ = try await world.appServer("S2", request)
            try await one.send(.ping(["shutdown", "fin:1"]))
            #expect(try await one.next() == .ping(["shutdown", "finack"]))
            #expect(try await one.next() == .flowControl(id: id, kind: 1, operation: 1, []))
            try await client.send(text: "{\"type\":6}\u{1E}")
            #expect(try await one.next() == .flowControl(id: id, kind: 1, operation: 3, []))
            #expect(try await one.text(of: id, count: 11) == "{\"type\":6}\u{1E}")
        }
    }

    @Test func drainingTellsClientsAndServers() async throws {
        try await withService { world in
            let app = try await world.appServer()
            let (client, id) = try await world.client(of: app)
            async let left = world.service.drain(timeout: .seconds(5))
            #expect(try await client.next() == .close(allowReconnect: true))
            #expect(try await app.next() == .closeConnection(id: id, error: "", headers: [], []))
            #expect(try await app.next() == nil)
            #expect(await left == 0)
        }
    }

    // MARK: REST

    @Test func restReachesRoutedClients() async throws {
        try await withService { world in
            let app = try await world.appServer()
            let (client, id) = try await world.client(of: app)
            let path = "/api/hubs/chat/connections/\(id)/:send"
            let token = world.service.options.keys.restToken(path: path, endpoint: "http://localhost")
            let reply = try await world.server.request(
                "POST", path + "?api-version=2022-06-01",
                headers: [("Authorization", "Bearer \(token)"), ("Content-Type", "application/json")],
                body: "{\"target\":\"rest\",\"arguments\":[\"a\",1]}")
            #expect(reply.status == 202)
            #expect(try await client.next() == .received("rest"))
        }
    }
}
