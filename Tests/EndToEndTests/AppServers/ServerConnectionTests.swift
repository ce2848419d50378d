// SignalBox: app servers and the service: who may attach, handshake, pings, bad bytes
// SPDX-License-Identifier: Apache-2.0

import NIOCore
import SignalR
import SignalRWire
import Testing

@testable import SignalRService

@Suite struct ServerConnectionTests {
    private static let hello = ByteBuffer(bytes: [0x08, 0x97, 1, 1, 0, 0xA0, 0, 0x80, 0xC2])
    private static let welcome = ByteBuffer(bytes: [0x05, 0x94, 2, 0xA0, 0x80, 0xC0])

    @Test func handshakeIsAnsweredFirstAndByteForByte() async throws {
        try await withService { world in
            let app = try await AppServer(world, id: "S1")
            try await app.socket.send(Self.hello, isText: false)
            #expect(try await app.socket.receive() == Self.welcome)
        }
    }

    @Test func messagesMayBeCutAnywhere() async throws {
        try await withService { world in
            let app = try await AppServer(world, id: "S1")
            for byte in Self.hello.readableBytesView {
                try await app.socket.send(ByteBuffer(bytes: [byte]), isText: false)
            }
            #expect(try await app.socket.receive() == Self.welcome)
        }
    }

    @Test(arguments: [
        ServiceMessage.HandshakeRequest(version: 2), .init(connectionType: 7),
        .init(connectionType: 1, target: "elsewhere"),
    ])
    func handshakesAreRefusedWithAReason(_ request: ServiceMessage.HandshakeRequest) async throws {
        try await withService { world in
            let app = try await AppServer(world, id: "S1")
            try await app.send(.handshakeRequest(request))
            guard case .handshakeResponse(let error?, nil, [])? = try await app.next() else {
                throw UnexpectedServiceMessage(message: nil)
            }
            #expect(!error.isEmpty)
            #expect(try await app.next() == nil)
        }
    }

    @Test func anotherFirstMessageEndsTheConnection() async throws {
        try await withService { world in
            let app = try await AppServer(world, id: "S1")
            try await app.send(.ping([]))
            #expect(try await app.next() == nil)
        }
    }

    @Test func withoutATokenOfTheServiceNobodyAttaches() async throws {
        try await withService { world in
            let keys = world.service.options.keys
            let strange = AccessKeys(AccessKeys.makeKey())
            for (status, token) in [
                (401, nil), (401, "nonsense"),
                (401, strange.token(audience: "http://h/server/?hub=chat", lifetime: .seconds(60))),
                (401, keys.token(audience: "http://h/client/?hub=chat", lifetime: .seconds(60))),
                (401, keys.token(audience: "http://h/server/?hub=other", lifetime: .seconds(60))),
                (101, keys.token(audience: "https://h:8080/server?hub=CHAT", lifetime: .seconds(60))),
            ] as [(Int, String?)] {
                let headers = token.map { [("Authorization", "Bearer \($0)")] } ?? []
                let socket = try await world.server.connect()
                let reply = try await socket.request(
                    "GET", "/server/?hub=chat&cid=1", headers: headers + WebSocketClient.handshake)
                #expect(reply.status == status)
                socket.close()
            }
            #expect(world.service.context(ofHub: "other") == nil)
        }
    }

    @Test(arguments: ["", "hub=a&hub=b", "hub=1x"])
    func aHubIsNeeded(_ query: String) async throws {
        try await withService { world in
            let socket = try await world.server.connect()
            let reply = try await socket.request("GET", "/server?\(query)", headers: WebSocketClient.handshake)
            #expect(reply.status == 400)
        }
    }

    @Test func theSecondaryKeyIsAsGood() async throws {
        let secondary = AccessKeys.makeKey()
        try await withService {
            $0.keys = AccessKeys(ServiceWorld.key, secondary: secondary)
        } _: { world in
            let token = AccessKeys(secondary).token(audience: "http://h/server/?hub=chat", lifetime: .seconds(60))
            let socket = try await WebSocketClient(
                world.server, "/server/?hub=chat&cid=1", headers: [("Authorization", "Bearer \(token)")])
            try await socket.send(Self.hello, isText: false)
            #expect(try await socket.receive() == Self.welcome)
        }
    }

    @Test func silenceIsFilledWithPings() async throws {
        try await withService {
            $0.relay.pingInterval = .seconds(1)
        } _: { world in
            let app = try await world.appServer()
            #expect(try await app.socket.receive() == ByteBuffer(bytes: [2, 0x91, 3]))
            #expect(try await app.socket.receive() == ByteBuffer(bytes: [2, 0x91, 3]))
        }
    }

    @Test func serversThatSayNothingAreDropped() async throws {
        try await withService {
            $0.relay.serverTimeout = .seconds(1)
        } _: { world in
            let app = try await world.appServer()
            #expect(try await app.next() == nil)
        }
    }

    @Test func handshakesHaveATime() async throws {
        try await withService {
            $0.relay.handshakeTimeout = .seconds(1)
        } _: { world in
            let app = try await AppServer(world, id: "S1")
            #expect(try await app.next() == nil)
        }
    }

    @Test func statusAndServersAreTold() async throws {
        try await withService { world in
            let (one, two) = (try await world.appServer("S1"), try await world.appServer("S2"))
            _ = try await world.open().transport
            try await one.send(.ping(["status", "1"]))
            guard case .ping(let status)? = try await one.next() else { throw UnexpectedServiceMessage(message: nil) }
            #expect(status.count == 8)
            #expect(Array(status.prefix(6)) == ["status", "1", "clientcount", "0", "servercount", "2"])
            try await two.send(.ping(["#client", "0", "servers", ""]))
            guard case .ping(let servers)? = try await two.next() else { throw UnexpectedServiceMessage(message: nil) }
            #expect(servers.first == "servers")
            let parts = try #require(servers.last).split(separator: ":")
            #expect(parts.count == 2 && Int64(parts[0]) ?? 0 > 638_000_000_000_000_000 && parts[1] == "S1;S2")
        }
    }

    @Test(arguments: ["00", "0591c1c1c1c1", "ffffffff7f", "808080808001", "0394060a"])
    func badBytesEndTheConnection(_ hex: String) async throws {
        try await withService { world in
            let app = try await world.appServer()
            let bytes = stride(from: 0, to: hex.count, by: 2).compactMap {
                UInt8(hex.dropFirst($0).prefix(2), radix: 16)
            }
            try await app.socket.send(ByteBuffer(bytes: bytes), isText: false)
            #expect(try await app.next() == nil)
            _ = try await world.appServer()
        }
    }

    @Test func unknownMessagesAreIgnored() async throws {
        try await withService { world in
            let app = try await world.appServer()
            try await app.socket.send(ByteBuffer(bytes: [4, 0x93, 0x29, 0xC0, 2]), isText: false)
            try await app.send(
                .connectionData(id: "nobody", ByteBuffer(string: "x"), []),
                .closeConnection(id: "nobody", error: nil, headers: [], []), .serviceError("x"),
                .connectionReconnect(id: "nobody", []), .member("nobody", "g"), .ping(["odd"]))
            #expect(try await app.status(.check(.init(.connection("nobody"), ackID: 4))) == 2)
        }
    }

    @Test func keysAreForIdentityProvidersOnly() async throws {
        try await withService { world in
            let app = try await world.appServer()
            try await app.send(.accessKeyRequest(token: "t", keyID: nil, []))
            guard case .accessKeyResponse(let response)? = try await app.next() else {
                throw UnexpectedServiceMessage(message: nil)
            }
            #expect(response.accessKey == nil && response.keyID == nil && response.errorType != nil)
        }
    }
}
