// SignalBox: bytes that go to the socket past the channel stay in order, and never reach somebody else
// SPDX-License-Identifier: Apache-2.0

import NIOCore
import SignalR
import SignalRWire
import Testing

@Suite struct SocketOutputTests {
    private static let streamed = [
        Wire(transport: .webSockets, hubProtocol: .json), Wire(transport: .webSockets, hubProtocol: .messagepack),
        Wire(transport: .serverSentEvents, hubProtocol: .json),
    ]

    @Test(arguments: streamed)
    func `A plain socket is written directly`(wire: Wire) async throws {
        try await withServer { server in
            let client = try await server.client(wire)
            let connection = try await self.connection(of: client, on: server)
            try await until { await connection.writesDirectly() }
            try await server.hub.context.clients.all.send("Message", "direct")
            #expect(try await client.next() == .call("Message", ["direct"]))
        }
    }

    @Test(arguments: streamed)
    func `A socket under TLS is not`(wire: Wire) async throws {
        var app = TestApp()
        app.tls = try TestCertificate().configurations()
        try await app.run { server in
            let client = try await server.client(wire)
            let connection = try await self.connection(of: client, on: server)
            for number in 0..<5 {
                try await server.hub.context.clients.all.send("Message", "\(number)")
                #expect(try await client.next() == .call("Message", [.string("\(number)")]))
            }
            #expect(await !connection.writesDirectly())
        }
    }

    /// Messages of all sizes, of which the socket takes parts and nothing, and which come from broadcasts and single sends in turn.
    @Test(arguments: streamed)
    func `A reader that pauses gets everything in order`(wire: Wire) async throws {
        var app = TestApp {
            $0.maximumOutboundQueue = 64 << 20
            // A pause is as long as a busy machine makes it.
            $0.sendTimeout = .seconds(1000)
        }
        app.sendBuffer = 16_384
        app.receiveBuffer = 16_384
        try await app.run { server in
            let client = try await server.client(wire)
            let connection = try await self.connection(of: client, on: server)
            var expected = 0
            for pause in 0..<2 {
                try await client.pausable.stopReading()
                for number in expected..<expected + 200 {
                    let text = "\(number) " + String(repeating: "x", count: number * 7919 % 9000)
                    let clients = server.hub.context.clients
                    if number % 3 == pause {
                        try await clients.client(connection.id.description).send("Message", text)
                    } else {
                        try await clients.all.send("Message", text)
                    }
                    // A look at every connection of the hub: what was sent has reached the event loop.
                    if number % 7 == 0 { _ = await server.hub.context.presence.count() }
                }
                #expect(await !connection.writesDirectly(), "The test must get behind.")
                try await client.pausable.resumeReading()
                for number in expected..<expected + 200 {
                    let text = "\(number) " + String(repeating: "x", count: number * 7919 % 9000)
                    let got = try await client.next()
                    guard got == .call("Message", [.string(text)]) else {
                        Issue.record("message \(number): \(String(describing: got).prefix(100))")
                        return
                    }
                }
                expected += 200
                try await until { await connection.writesDirectly() }
            }
        }
    }

    /// A socket's number belongs to the next client as soon as it is closed; a broadcast that still wrote to it would come before that
    /// client's own upgrade.
    @Test func `Clients that come and go under broadcasts get nothing of each other`() async throws {
        try await withServer { server in
            try await withThrowingTaskGroup(of: Void.self) { tasks in
                let broadcasts = Task {
                    while !Task.isCancelled {
                        try await server.hub.context.clients.all.send("Message", "to all")
                        _ = await server.hub.context.presence.count()
                    }
                }
                for seed in 0..<6 {
                    tasks.addTask {
                        for round in 0..<25 {
                            // The upgrade and the handshake fail when anything comes before them.
                            let client = HubClient(try await WebSocketClient(server, "/hub"), .json)
                            #expect(try await client.handshake(.json) == "{}")
                            for _ in 0..<3 { #expect(try await client.next() == .call("Message", ["to all"])) }
                            switch (seed + round) % 3 {
                            case 0: try await client.pausable.reset()
                            case 1: try client.pausable.close()
                            default: try await client.transport.close()
                            }
                        }
                    }
                }
                try await tasks.waitForAll()
                broadcasts.cancel()
                _ = await broadcasts.result
            }
        }
    }

    private func connection(of client: HubClient, on server: TestServer) async throws -> Connection {
        let id = try await client.text("ConnectionID")
        return try #require(server.hub.registry.connection(named: id))
    }
}

extension HubClient {
    fileprivate var pausable: Socket {
        get throws {
            switch transport {
            case let client as WebSocketClient: client.socket
            case let client as EventStreamClient: client.stream
            default: throw TimedOut()
            }
        }
    }
}

extension Connection {
    fileprivate func writesDirectly() async -> Bool {
        await withCheckedContinuation { answer in onLoop { answer.resume(returning: self.idleSocket != nil) } }
    }
}
