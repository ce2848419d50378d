// SignalBox: graceful shutdown: every client hears of it, and the server ends in time
// SPDX-License-Identifier: Apache-2.0

import SignalR
import SignalRWire
import Testing

@Suite struct ShutdownTests {
    @Test(arguments: Wire.all)
    func `Clients are told to come back`(wire: Wire) async throws {
        try await withServer { server in
            let client = try await server.client(wire)
            try await server.bulletin.wait(for: "connected")
            if wire.transport == .longPolling {
                async let last = client.next()
                let connection = try #require(await server.hub.registry.connections(in: .all).first)
                try await until {
                    await withCheckedContinuation { answer in
                        connection.onLoop { answer.resume(returning: connection.transport != nil) }
                    }
                }
                await server.shutDown()
                #expect(try await last == .close(allowReconnect: true))
            } else {
                await server.shutDown()
                #expect(try await client.next() == .close(allowReconnect: true))
                #expect(try await client.next() == nil)
                if let socket = client.transport as? WebSocketClient { #expect(socket.closeCode == 1000) }
            }
            try await server.bulletin.wait(for: "disconnected in order")
        }
    }

    @Test func `Nobody new is let in`() async throws {
        try await withServer { server in
            let client = try await server.client()
            await server.shutDown()
            #expect(try await client.next() == .close(allowReconnect: true))
            try await until {
                guard let socket = try? await Socket.connect(port: server.port) else { return true }
                socket.close()
                return false
            }
        }
    }

    @Test func `A client that does not answer holds the shutdown for the close timeout only`() async throws {
        let start = ContinuousClock.now
        try await withServer {
            $0.webSocketCloseTimeout = .seconds(1)
        } _: { server in
            let client = try await server.client()
            try await (client.transport as? WebSocketClient)?.socket.stopReading()
            await server.shutDown()
            try await server.bulletin.wait(for: "disconnected in order")
            // The server's sockets end by themselves; the test does not close its own.
            let socket = try #require(client.transport as? WebSocketClient).socket
            try await socket.resumeReading()
            _ = try await socket.untilEnd()
        }
        #expect(ContinuousClock.now - start < .seconds(60))
    }

    @Test func `Running calls see the end of their connection`() async throws {
        try await withServer { server in
            let client = try await server.client()
            try await client.send(.stream("InfiniteStream", id: "1"))
            try await server.bulletin.wait(for: "streaming")
            await server.shutDown()
            try await server.bulletin.wait(for: "stream over")
        }
    }
}
