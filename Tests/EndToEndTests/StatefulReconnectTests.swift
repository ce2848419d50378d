// SignalBox: connections that outlive their sockets (stateful reconnect)
// SPDX-License-Identifier: Apache-2.0

import NIOConcurrencyHelpers
import NIOCore
import SignalRWire
import Testing

@testable import SignalR

@Suite struct StatefulReconnectTests {
    private func withServer(
        _ change: (inout HubOptions) -> Void = { _ in }, _ body: @Sendable (TestServer) async throws -> Void
    ) async throws {
        var app = TestApp(change)
        app.options.allowStatefulReconnects = true
        try await app.run(body)
    }

    private func tick(_ client: StatefulClient, _ text: String) async throws {
        try await client.server.hub.context.clients.client(client.connectionID).send("Tick", text)
    }

    @Test(arguments: HubProtocol.allCases)
    func `Id, groups, items and running calls survive the loss of the socket`(hubProtocol: HubProtocol) async throws {
        try await withServer { server in
            let client = try await StatefulClient(server, hubProtocol)
            try await client.send(.call("Join", ["red"], id: "1"))
            try await client.send(.call("Keep", ["this"], id: "2"))
            try await client.send(.call("Hold", ["a"], id: "3"))
            try await server.bulletin.wait(for: "holding a")
            try await client.drop()
            server.bulletin.post("a")
            try await server.hub.context.clients.group("red").send("Tick", "while away")
            try await client.reconnect()
            #expect(try await client.next() == .sequence(1))
            #expect(try await client.next() == .result("1", .null))
            #expect(try await client.next() == .result("2", .null))
            // The call's end and the send come from different tasks.
            let rest = Set([try await client.next(), try await client.next()])
            #expect(rest == [.result("3", "a"), .call("Tick", ["while away"])])
            try await client.send(.call("Kept", id: "4"))
            #expect(try await client.next() == .result("4", "this"))
            try await client.send(.call("ConnectionID", id: "5"))
            #expect(try await client.next() == .result("5", .string(client.connectionID)))
            #expect(server.bulletin.all == ["connected", "holding a", "a"])
        }
    }

    /// Sockets land on the server's event loops in turn, so a few tries meet both cases.
    @Test func `A client may come back on another event loop`() async throws {
        try await withServer { server in
            let client = try await StatefulClient(server)
            var isRemote: Set<Bool> = []
            for attempt in 0..<60 where isRemote.count < 2 {
                try await client.drop()
                try await tick(client, "\(attempt)")
                try await client.reconnect()
                #expect(try await client.next() == .sequence(Int64(attempt * 2 + 1)))
                #expect(try await client.next() == .call("Tick", [.string("\(attempt)")]))
                // Both ways work, whatever the size.
                let long = HubValue.string(String(repeating: "\(attempt % 10)", count: 30_000))
                try await client.send(.call("Echo", [long], id: "\(attempt)"))
                #expect(try await client.next() == .result("\(attempt)", long))
                try await client.send(.ack(Int64(attempt * 2 + 2)))
                let connection = try #require(client.connection)
                let found = NIOLockedValueBox(false)
                await connection.run { found.withLockedValue { $0 = connection.transport is RemoteTransport } }
                isRemote.insert(found.withLockedValue { $0 })
            }
            #expect(isRemote == [true, false])
            try await client.send(.close())
            #expect(try await client.next() == .close())
            #expect(try await client.next() == nil)
            #expect(client.socket?.closeCode == 1000)
        }
    }

    @Test func `A new socket takes over from one that still seems alive`() async throws {
        try await withServer { server in
            let client = try await StatefulClient(server)
            let old = client.now
            try await client.reconnect()
            #expect(try await client.next() == .sequence(1))
            #expect(try await old.next() == nil)
            try await client.send(.call("AddTwo", [1, 2], id: "1"))
            #expect(try await client.next() == .result("1", 3))
            #expect(server.bulletin.all == ["connected"])
        }
    }

    @Test func `Who stays away too long is gone`() async throws {
        try await withServer {
            $0.disconnectTimeout = .seconds(1)
        } _: { server in
            let client = try await StatefulClient(server)
            try await client.drop()
            try await server.bulletin.wait(for: "disconnected in order")
            try await until { try await client.statusOfReconnect() == 404 }
        }
    }

    @Test func `A Close frame is a goodbye`() async throws {
        try await withServer { server in
            let client = try await StatefulClient(server)
            try await server.bulletin.wait(for: "connected")
            try await client.now.transport.close()
            try await server.bulletin.wait(for: "disconnected in order")
            try await until { try await client.statusOfReconnect() == 404 }
        }
    }

    @Test func `Abort leaves nothing to come back to`() async throws {
        try await withServer { server in
            let client = try await StatefulClient(server)
            try await client.send(.call("Abort"))
            #expect(try await client.next() == .close())
            #expect(try await client.next() == nil)
            try await until { try await client.statusOfReconnect() == 404 }
        }
    }

    @Test func `Past the buffer's limit messages wait for an Ack`() async throws {
        try await withServer {
            $0.statefulReconnectBufferSize = 1000
        } _: { server in
            let client = try await StatefulClient(server)
            let texts = (1...4).map { "\($0)" + String(repeating: ".", count: 600) }
            for text in texts { try await tick(client, text) }
            // The first stays below the limit, one may overshoot.
            #expect(try await client.next() == .call("Tick", [.string(texts[0])]))
            #expect(try await client.next() == .call("Tick", [.string(texts[1])]))
            let held = try #require(client.connection)
            #expect(await held.queued() > 1000)
            try await client.send(.ack(2))
            #expect(try await client.next() == .call("Tick", [.string(texts[2])]))
            #expect(try await client.next() == .call("Tick", [.string(texts[3])]))
        }
    }

    @Test func `One message may be larger than the buffer`() async throws {
        try await withServer {
            $0.statefulReconnectBufferSize = 1000
        } _: { server in
            let client = try await StatefulClient(server)
            let long = String(repeating: "x", count: 5000)
            try await tick(client, long)
            #expect(try await client.next() == .call("Tick", [.string(long)]))
        }
    }

    @Test func `A stream waits for the client's Acks instead of filling the queue`() async throws {
        try await withServer {
            $0.statefulReconnectBufferSize = 10_000
            $0.maximumOutboundQueue = 100_000
        } _: { server in
            let client = try await StatefulClient(server)
            try await client.send(.stream("Numbers", [1000, 1000], id: "1"))
            let pad = String(repeating: " ", count: 1000)
            for number in 0..<1000 {
                #expect(try await client.next() == .item("1", .string("\(number)\(pad)")))
                if number % 5 == 4 { try await client.send(.ack(Int64(number + 1))) }
            }
            #expect(try await client.next() == .end("1"))
        }
    }

    @Test(arguments: HubProtocol.allCases)
    func `Half a message that came before the loss does not spoil what comes after`(
        hubProtocol: HubProtocol
    ) async throws {
        try await withServer { server in
            let client = try await StatefulClient(server, hubProtocol)
            var call = ByteBuffer()
            try client.now.codec.write(.call("Echo", ["one"], id: "1"), into: &call)
            var all = ByteBuffer()
            try client.now.codec.write(.call("Echo", ["zero"], id: "0"), into: &all)
            all.writeImmutableBuffer(try #require(call.getSlice(at: call.readerIndex, length: 10)))
            try await client.now.transport.send(all, isText: hubProtocol == .json)
            #expect(try await client.next() == .result("0", "zero"))
            try await client.drop()
            try await client.reconnect()
            #expect(try await client.next() == .sequence(1))
            #expect(try await client.next() == .result("0", "zero"))
            try await client.send(.sequence(2))
            try await client.send(.call("Echo", ["one"], id: "1"))
            #expect(try await client.next() == .result("1", "one"))
        }
    }

    @Test func `Calls while away wait for the client's own replay`() async throws {
        try await withServer { server in
            let client = try await StatefulClient(server)
            try await client.send(.call("Echo", ["one"], id: "1"))
            #expect(try await client.next() == .result("1", "one"))
            try await client.drop()
            try await client.reconnect()
            #expect(try await client.next() == .sequence(1))
            #expect(try await client.next() == .result("1", "one"))
            // The client replays both of its messages; the first is a duplicate.
            try await client.send(.sequence(1))
            try await client.send(.call("Echo", ["one"], id: "1"))
            try await client.send(.call("Echo", ["two"], id: "2"))
            #expect(try await client.next() == .result("2", "two"))
            #expect(server.bulletin.count("echo") == 2)
        }
    }
}

extension Connection {
    fileprivate func queued() async -> Int {
        let bytes = NIOLockedValueBox(0)
        await run { bytes.withLockedValue { $0 = self.queuedBytes } }
        return bytes.withLockedValue { $0 }
    }
}
