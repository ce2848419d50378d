// SignalBox: how connections begin and end, on every transport with every protocol
// SPDX-License-Identifier: Apache-2.0

import SignalR
import SignalRWire
import Testing

@Suite struct LifetimeTests {
    @Test(arguments: Wire.all)
    func `A client that says Close is answered with Close`(wire: Wire) async throws {
        try await withServer { server in
            let client = try await server.client(wire)
            try await client.send(.close())
            #expect(try await client.next() == .close())
            #expect(try await client.next() == nil)
            if let socket = client.transport as? WebSocketClient { #expect(socket.closeCode == 1000) }
            try await server.bulletin.wait(for: "disconnected in order")
            #expect(server.bulletin.all == ["connected", "disconnected in order"])
        }
    }

    @Test(arguments: Wire.all)
    func `The hub learns of the error in a client's Close`(wire: Wire) async throws {
        try await withServer { server in
            let client = try await server.client(wire)
            try await client.send(.close(error: "crashed"))
            #expect(try await client.next() == .close())
            #expect(try await client.next() == nil)
            try await server.bulletin.wait(for: "disconnected client_closed")
        }
    }

    @Test(arguments: Wire.all)
    func `A client that ends its transport in order leaves in order`(wire: Wire) async throws {
        try await withServer { server in
            let client = try await server.client(wire)
            try await server.bulletin.wait(for: "connected")
            try await client.transport.close()
            try await server.bulletin.wait(for: "disconnected in order")
        }
    }

    @Test func `A WebSocket's Close frame is answered, after the hub's last word`() async throws {
        try await withServer { server in
            let client = try await server.client()
            try await server.bulletin.wait(for: "connected")
            try await client.transport.close()
            #expect(try await client.next() == .close(allowReconnect: true))
            #expect(try await client.next() == nil)
            #expect((client.transport as? WebSocketClient)?.closeCode == 1000)
        }
    }

    @Test(arguments: Wire.all)
    func `Aborting closes for good`(wire: Wire) async throws {
        try await withServer { server in
            let client = try await server.client(wire)
            try await client.send(.call("Abort"))
            #expect(try await client.next() == .close())
            #expect(try await client.next() == nil)
            try await server.bulletin.wait(for: "disconnected in order")
        }
    }

    @Test(arguments: Wire.all)
    func `A refused connection is told why and never disconnects`(wire: Wire) async throws {
        try await withServer { server in
            let client = try await server.client(wire, query: "refuse=no+entry")
            #expect(try await client.next() == .close(error: "Connection closed with an error. HubException: no entry"))
            #expect(try await client.next() == nil)
            try await until { await server.hub.context.presence.count() == 0 }
            #expect(server.bulletin.all.isEmpty)
        }
    }

    @Test(arguments: [false, true])
    func `Why the hub crashed while connecting is told with detailed errors only`(isDetailed: Bool) async throws {
        try await withServer {
            $0.detailedErrors = isDetailed
        } _: { server in
            let client = try await server.client(query: "crash=oops")
            let text = "Connection closed with an error."
            #expect(
                try await client.next() == .close(error: isDetailed ? text + " InvalidOperationException: oops" : text))
        }
    }

    @Test(arguments: Wire.all)
    func `Messages wait until the hub has let the client in`(wire: Wire) async throws {
        try await withServer { server in
            let client = try await server.client(wire, query: "slow=yes")
            try await client.send(.call("Echo", ["early"], id: "1"))
            for _ in 0..<10 { _ = try await server.negotiate() }
            #expect(server.bulletin.count("echo") == 0)
            server.bulletin.post("let in")
            #expect(try await client.next() == .result("1", "early"))
        }
    }

    @Test func `A client that leaves while it is let in is disconnected afterwards`() async throws {
        try await withServer { server in
            let client = try await server.client(query: "slow=yes")
            client.transport.drop()
            try await until { await server.hub.context.presence.count() == 0 }
            server.bulletin.post("let in")
            try await server.bulletin.wait(for: "disconnected transport_failed")
            #expect(server.bulletin.all.suffix(2) == ["connected", "disconnected transport_failed"])
        }
    }

    @Test func `TCP loss is no orderly end`() async throws {
        try await withServer { server in
            let client = try await server.client()
            try await server.bulletin.wait(for: "connected")
            try await (client.transport as? WebSocketClient)?.socket.reset()
            try await server.bulletin.wait(for: "disconnected transport_failed")
        }
    }

    @Test func `A long-polling client that stops polling is given up`() async throws {
        try await withServer {
            $0.disconnectTimeout = .seconds(1)
        } _: { server in
            let client = try await server.client(Wire(transport: .longPolling, hubProtocol: .json))
            try await server.bulletin.wait(for: "connected")
            client.transport.drop()
            try await server.bulletin.wait(for: "disconnected in order")
        }
    }

    @Test(arguments: Wire.all)
    func `What the hub knows about its caller`(wire: Wire) async throws {
        try await withServer {
            $0.userID = { _, request in request.query("user") }
        } _: { server in
            let client = try await server.client(
                wire, query: "user=ann&colour=bl%C3%BCe", headers: [("User-Agent", "test/1")])
            #expect(
                try await client.invoke("Features")
                    == .result(
                        "1",
                        [
                            .string(wire.transport.rawValue), .string(wire.hubProtocol.rawValue), "/hub", "blüe",
                            "test/1",
                        ]))
            #expect(try await client.invoke("UserID") == .result("1", "ann"))
            _ = try await client.invoke("Keep", "this")
            #expect(try await client.invoke("Kept") == .result("1", "this"))
            let other = try await server.client(wire)
            #expect(try await other.invoke("Kept") == .result("1", .null))
            #expect(try await other.invoke("UserID") == .result("1", .null))
        }
    }
}
