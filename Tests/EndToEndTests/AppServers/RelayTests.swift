// SignalBox: clients that an app server serves: what it learns of them, and their bytes both ways
// SPDX-License-Identifier: Apache-2.0

import NIOCore
import SignalR
import SignalRWire
import Testing

@testable import SignalRService

@Suite struct RelayTests {
    @Test(arguments: Wire.all)
    func bytesGoBothWaysUntouched(_ wire: Wire) async throws {
        try await withService { world in
            let app = try await world.appServer()
            let (client, id) = try await world.client(of: app, wire)
            var call = ByteBuffer()
            try client.codec.write(HubMessage.call("Echo", ["hi"], id: "7"), into: &call)
            try await client.transport.send(call, isText: wire.hubProtocol == .json)
            guard case .connectionData(id, call, [])? = try await app.next() else {
                throw UnexpectedServiceMessage(message: nil)
            }
            var answer = ByteBuffer()
            try client.codec.write(HubMessage.result("7", "hi"), into: &answer)
            try await app.send(.connectionData(id: id, answer, []))
            #expect(try await client.next() == .result("7", "hi"))
            try await client.transport.close()
            #expect(try await app.next() == .closeConnection(id: id, error: "", headers: [], []))
        }
    }

    @Test func theServerLearnsWhoTheClientIs() async throws {
        try await withService { world in
            let app = try await world.appServer()
            let client = try await world.open(
                user: "ann", claims: ["role": ["a", "b"], "asrs.s.derror": "True", "flag": true, "object": ["k": 1]],
                query: "&asrs.op=%2Fchat&access_token=secret&x=1",
                headers: [("X-Test", "1"), ("Asrs-Migrate-From", "evil"), ("X-Forwarded-For", "203.0.113.7")])
            async let answer = client.handshake("{\"protocol\":\"json\",\"version\":1}")
            let open = try await app.meet()
            let identity = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/nameidentifier"
            let role = "http://schemas.microsoft.com/ws/2008/06/identity/claims/role"
            for claim in [
                ServiceMessage.Claim(identity, "ann"), .init("asrs.s.uid", "ann"), .init(role, "a"), .init(role, "b"),
                .init("asrs.s.derror", "True"), .init("flag", "true"), .init("object", #"{"k":1}"#),
                .init("aud", "http://localhost/client/?hub=chat"),
            ] { #expect(open.claims.contains(claim)) }
            #expect(open.query.hasPrefix("?"))
            #expect(open.query.hasSuffix("hub=chat&asrs.op=%2Fchat&x=1"))
            #expect(!open.query.contains("secret") && !open.query.contains("id="))
            #expect(open.extension == .protocol("json"))
            let headers = Dictionary(uniqueKeysWithValues: open.headers.map { ($0.name.lowercased(), $0.values) })
            #expect(headers["x-test"] == ["1"])
            #expect(headers["x-forwarded-for"] == ["203.0.113.7, 127.0.0.1"])
            #expect(headers["asrs-instance-id"] == [world.service.instanceID])
            for name in ["asrs-migrate-from", "authorization", "connection", "upgrade", "sec-websocket-key"] {
                #expect(headers[name] == nil)
            }
            try await app.write("{}\u{1E}", to: open.id)
            #expect(try await answer == "{}")
        }
    }

    @Test(arguments: [
        "{\"protocol\":\"json\",\"version\":1}\u{1E}",
        " { \"version\" : 1 , \"x\" : [ {} ] , \"protocol\" : \"JSON\" } \u{1E}",
    ])
    func theHandshakeIsHandedOnAsItIs(_ text: String) async throws {
        try await withService { world in
            let app = try await world.appServer()
            let client = try await world.open()
            try await client.send(text: text)
            guard case .openConnection(let open)? = try await app.next() else {
                throw UnexpectedServiceMessage(message: nil)
            }
            #expect(try await app.next() == .connectionData(id: open.id, ByteBuffer(string: text), []))
        }
    }

    @Test func whatWasSaidLastWaitsForThePoll() async throws {
        try await withService { world in
            let app = try await world.appServer()
            for _ in 0..<20 {
                let (client, id) = try await world.client(of: app, Wire(transport: .longPolling, hubProtocol: .json))
                // No poll waits, and one comes while the connection ends.
                try await app.write("{\"type\":7}\u{1E}", to: id)
                try await app.send(.closeConnection(id: id, error: "", headers: [], []))
                #expect(try await client.next() == .close())
                #expect(try await client.next() == nil)
            }
        }
    }

    @Test func whatFollowsTheHandshakeIsNotLost() async throws {
        try await withService { world in
            let app = try await world.appServer()
            let client = try await world.open()
            try await client.send(text: "{\"protocol\":\"json\",\"version\":1}\u{1E}{\"type\":6}\u{1E}")
            let id = try await app.meet().id
            #expect(try await app.text(of: id, count: 11) == "{\"type\":6}\u{1E}")
        }
    }

    @Test(arguments: HubProtocol.allCases)
    func clientsGetWholeMessages(_ hubProtocol: HubProtocol) async throws {
        try await withService { world in
            let app = try await world.appServer()
            let client = try await world.open(Wire(transport: .webSockets, hubProtocol: hubProtocol))
            async let answer = client.handshake(hubProtocol)
            let id = try await app.meet().id
            var bytes = ByteBuffer(string: "{}\u{1E}")
            let messages = (0..<5).map { HubMessage.call("t\($0)", [.string(String(repeating: "x", count: 50 * $0))]) }
            for message in messages { try client.codec.write(message, into: &bytes) }
            // Seven bytes at a time: nothing ends where a piece does.
            while let piece = bytes.readSlice(length: min(7, bytes.readableBytes)), piece.readableBytes > 0 {
                try await app.send(.connectionData(id: id, piece, []))
            }
            #expect(try await answer == "{}")
            for message in messages {
                // One WebSocket message each, since each was completed by a piece of its own.
                var unit = try #require(try await client.transport.receive())
                #expect(try client.codec.read(from: &unit, maximumSize: nil)?.plain() == message)
                #expect(unit.readableBytes == 0)
            }
        }
    }

    @Test func theHandshakeResponseComesFirst() async throws {
        try await withService { world in
            let app = try await world.appServer()
            let client = try await world.open(user: "ann")
            async let answer = client.handshake("{\"protocol\":\"json\",\"version\":1}")
            let id = try await app.meet().id
            // What OnConnectedAsync does may overtake the response.
            #expect(try await app.status(.member(id, "g", ack: 1)) == 1)
            try await app.send(.call(.group("g"), "group"), .call(.all, "all"), .call(.user("ann"), "user"))
            try await app.send(.call(.connections([id]), "one"))
            #expect(try await app.status(.check(.init(.user("ann"), ackID: 2))) == 1)
            try await app.write("{}", to: id)
            try await app.write("\u{1E}", to: id)
            #expect(try await answer == "{}")
            for name in ["group", "all", "user", "one"] { #expect(try await client.next() == .received(name)) }
        }
    }

    @Test func refusedHandshakesReachTheClient() async throws {
        try await withService { world in
            let app = try await world.appServer()
            let client = try await world.open()
            async let answer = client.handshake("{\"protocol\":\"json\",\"version\":9}")
            let id = try await app.meet().id
            try await app.write("{\"error\":\"no\"}\u{1E}", to: id)
            try await app.send(.closeConnection(id: id, error: "", headers: [], []))
            #expect(try await answer == "{\"error\":\"no\"}")
            #expect(try await client.next() == nil)
            try await eventually { try await app.status(.check(.init(.connection(id), ackID: 1))) == 2 }
        }
    }

    @Test func theServerEndsAConnection() async throws {
        try await withService { world in
            let app = try await world.appServer()
            let (client, id) = try await world.client(of: app)
            try await app.write("{\"type\":7}\u{1E}", to: id)
            try await app.send(.closeConnection(id: id, error: "boom", headers: [], []))
            #expect(try await client.next() == .close())
            #expect(try await client.next() == nil)
            // It is not told what it knows.
            try await eventually { try await app.status(.check(.init(.connection(id), ackID: 1))) == 2 }
        }
    }

    @Test func protocolsAreThoseOfTheService() async throws {
        try await withService { world in
            let app = try await world.appServer()
            let strange = try await world.open()
            let answer = try await strange.handshake("{\"protocol\":\"xml\",\"version\":1}")
            #expect(answer == "{\"error\":\"The protocol 'xml' is not supported.\"}")
            let blazor = try await world.open(Wire(transport: .webSockets, hubProtocol: .messagepack))
            async let welcome = blazor.handshake("{\"protocol\":\"blazorpack\",\"version\":1}")
            let open = try await app.meet()
            let id = open.id
            #expect(open.extension == .protocol("blazorpack"))
            try await app.send(
                .call(.all, "nothing"),
                .multicast(.init(to: .all, [.init("blazorpack", ByteBuffer(bytes: [2, 0x91, 6]))])))
            try await app.write("{}\u{1E}", to: id)
            #expect(try await welcome == "{}")
            #expect(try await blazor.anyMessage() == .ping)
        }
    }

    @Test func transportsCanBeRestrictedByTheApp() async throws {
        try await withService { world in
            _ = try await world.appServer()
            let token = world.token(claims: ["asrs.s.htt": 4])
            let negotiated = try await world.server.negotiate(
                "/client", query: "hub=chat&negotiateVersion=1", headers: [("Authorization", "Bearer \(token)")])
            #expect(negotiated.availableTransports?.map(\.transport) == ["LongPolling"])
            await #expect(throws: UnexpectedReply.self) {
                _ = try await WebSocketClient(
                    world.server, "/client?hub=chat&id=\(negotiated.token)",
                    headers: [("Authorization", "Bearer \(token)")])
            }
        }
    }

    @Test func slowServersHoldTheirClientsBack() async throws {
        try await withService {
            $0.relay.serverWindow = 1 << 16
        } _: { world in
            let app = try await world.appServer()
            let (client, id) = try await world.client(of: app)
            try await app.socket.socket.stopReading()
            let message = String(repeating: "x", count: 1 << 16)
            let writing = Task {
                for number in 0..<600 {
                    try await client.send(text: "\(number)" + message.dropFirst("\(number)".count))
                }
            }
            // 40 MB are more than all buffers on the way hold.
            let connection = try #require(world.connection(id))
            try await eventually { await connection.read { $0.isOverfull } }
            try await app.socket.socket.resumeReading()
            let text = try await app.text(of: id, count: 600 << 16)
            for number in 0..<600 {
                let start = text.utf8.index(text.startIndex, offsetBy: number << 16)
                #expect(text.utf8[start...].starts(with: "\(number)x".utf8))
            }
            try await writing.value
        }
    }

    @Test func statefulClientsComeBackToTheirServer() async throws {
        try await withService { world in
            let app = try await world.appServer("S1", .init(allowsStatefulReconnects: true))
            let authorization = [("Authorization", "Bearer \(world.token())")]
            let negotiated = try await world.server.negotiate(
                "/client", query: "hub=chat&negotiateVersion=1&useStatefulReconnect=true", headers: authorization)
            #expect(negotiated.useStatefulReconnect == true)
            let target = "/client?hub=chat&id=\(negotiated.token)"
            let first = HubClient(try await WebSocketClient(world.server, target, headers: authorization), .json)
            async let answer = first.handshake(.json, version: 2)
            let id = try await app.accept()
            #expect(try await answer == "{}")
            // Half a message is sent again as a whole.
            try await first.send(text: "{\"type\":6}\u{1E}{\"type\":1,\"target\":")
            #expect(try await app.text(of: id, count: 11) == "{\"type\":6}\u{1E}")
            first.transport.drop()
            let second = try await WebSocketClient(world.server, target, headers: authorization)
            #expect(try await app.next() == .connectionReconnect(id: id, []))
            try await app.write("{\"type\":9,\"sequenceId\":1}\u{1E}", to: id)
            #expect(try await second.receive() == ByteBuffer(string: "{\"type\":9,\"sequenceId\":1}\u{1E}"))
            try await second.send(ByteBuffer(string: "{\"type\":6}\u{1E}"), isText: true)
            #expect(try await app.text(of: id, count: 11) == "{\"type\":6}\u{1E}")
        }
    }
}
