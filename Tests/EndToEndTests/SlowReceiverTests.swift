// SignalBox: one stalled reader among a thousand, under broadcast load
// SPDX-License-Identifier: Apache-2.0

import NIOConcurrencyHelpers
import NIOCore
import SignalR
import SignalRWire
import Testing
import _SignalRWebSocket

@Suite struct SlowReceiverTests {
    private static let crowd = 999
    private static let queue = 32_768
    private static let frame = String(repeating: "x", count: 4000)

    @Test func `The stalled one is closed, everybody else gets everything`() async throws {
        // Small kernel buffers, so that stalling shows after kilobytes.
        var app = TestApp {
            $0.maximumOutboundQueue = Self.queue
            // Nobody but the broadcasts speaks.
            $0.keepAliveInterval = .seconds(1000)
        }
        app.sendBuffer = 16_384
        try await app.run { server in
            let crowd = try await crowd(of: Self.crowd, on: server)
            let stalled = try await server.client()
            let id = try await stalled.text("ConnectionID")
            try await (stalled.transport as? WebSocketClient)?.socket.stopReading()
            let connection = try #require(server.hub.registry.connection(named: id))

            let expected = Self.bytes
            var largest = 0
            for round in 1...400 {
                try await server.hub.context.clients.all.send("Message", Self.frame)
                // Waiting for everybody keeps the load at one broadcast in flight for those who read.
                for socket in crowd {
                    let got = try await socket.next { $0.readSlice(length: expected.readableBytes) }
                    guard got == expected else {
                        Issue.record("round \(round): \(got.map { String(buffer: $0) } ?? "closed")")
                        return
                    }
                }
                largest = max(largest, await connection.queued())
                if server.bulletin.count("disconnected slow_consumer_bytes") == 1 { break }
            }
            try await server.bulletin.wait(for: "disconnected slow_consumer_bytes")
            #expect(largest <= Self.queue + expected.readableBytes)
            try await until { await server.hub.context.presence.count() == Self.crowd }
        }
    }

    /// The frame that every receiver of a broadcast gets.
    private static var bytes: ByteBuffer {
        var message = ByteBuffer(), bytes = ByteBuffer()
        message.writeString("{\"type\":1,\"target\":\"Message\",\"arguments\":[\"\(frame)\"]}\u{1E}")
        WebSocketFrame.write(opcode: .text, payload: message, into: &bytes)
        return bytes
    }

    private func crowd(of count: Int, on server: TestServer) async throws -> [Socket] {
        try await withThrowingTaskGroup(of: [Socket].self) { tasks in
            for part in 0..<8 {
                tasks.addTask {
                    var sockets: [Socket] = []
                    for _ in stride(from: part, to: count, by: 8) {
                        let client = HubClient(try await WebSocketClient(server, "/hub"), .json)
                        guard try await client.handshake(.json) == "{}",
                            let socket = client.transport as? WebSocketClient
                        else { throw TimedOut() }
                        sockets.append(socket.socket)
                    }
                    return sockets
                }
            }
            return try await tasks.reduce(into: []) { $0 += $1 }
        }
    }

    @Test(arguments: [TransportKind.serverSentEvents, .longPolling])
    func `The queue of every transport is bounded`(kind: TransportKind) async throws {
        var app = TestApp { $0.maximumOutboundQueue = Self.queue }
        app.sendBuffer = 16_384
        try await app.run { server in
            let client = try await server.client(Wire(transport: kind, hubProtocol: .json))
            try await server.bulletin.wait(for: "connected")
            try await (client.transport as? EventStreamClient)?.stream.stopReading()
            // A long-polling client that does not poll queues at once; a stream's sockets fill first.
            for _ in 0..<2000 where server.bulletin.count("disconnected slow_consumer_bytes") == 0 {
                try await server.hub.context.clients.all.send("Message", Self.frame)
                _ = await server.hub.context.presence.count()
            }
            try await server.bulletin.wait(for: "disconnected slow_consumer_bytes")
        }
    }
}

extension Connection {
    fileprivate func queued() async -> Int {
        await withCheckedContinuation { answer in onLoop { answer.resume(returning: self.queuedBytes) } }
    }
}
