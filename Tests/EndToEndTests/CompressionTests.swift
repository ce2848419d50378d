// SignalBox: permessage-deflate, compressed once for all receivers of a broadcast
// SPDX-License-Identifier: Apache-2.0

import NIOCore
import SignalR
import SignalRWire
import Testing
import _SignalRWebSocket

@Suite struct CompressionTests {
    private static let offer = [("Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits")]
    private static let handshake = ByteBuffer(string: "{\"protocol\":\"json\",\"version\":1}\u{1E}")

    private func connect(_ server: TestServer, compressed: Bool) async throws -> (WebSocketClient, HubClient) {
        let socket = try await WebSocketClient(server, "/hub", headers: compressed ? Self.offer : [])
        let client = HubClient(socket, .json)
        #expect(try await client.handshake(.json) == "{}")
        return (socket, client)
    }

    /// The first two bytes of the next frame, left where they are.
    private func header(_ socket: WebSocketClient) async throws -> UInt16? {
        try await socket.socket.next { $0.getInteger(at: $0.readerIndex) }
    }

    @Test func `Off by default`() async throws {
        try await withServer { server in
            let (socket, client) = try await connect(server, compressed: true)
            #expect(socket.upgrade["sec-websocket-extensions"] == nil)
            try await client.send(.call("ToAll", ["x"]))
            #expect(try #require(await header(socket)) & 0x4000 == 0)
        }
    }

    @Test func `A broadcast reaches compressed and plain receivers alike`() async throws {
        try await withServer {
            $0.webSocketCompression = true
        } _: { server in
            let (first, one) = try await connect(server, compressed: true)
            let (second, two) = try await connect(server, compressed: true)
            let (third, three) = try await connect(server, compressed: false)
            #expect(
                first.upgrade["sec-websocket-extensions"]
                    == "permessage-deflate; server_no_context_takeover; client_no_context_takeover")
            #expect(third.upgrade["sec-websocket-extensions"] == nil)
            for length in [0, 10, 1000, 30_000] {
                let text = String(repeating: "ab", count: length)
                try await server.hub.context.clients.all.send("Message", text)
                for socket in [first, second] { #expect(try #require(await header(socket)) & 0x4000 != 0) }
                #expect(try #require(await header(third)) & 0x4000 == 0)
                for client in [one, two, three] {
                    #expect(try await client.next() == .call("Message", [.string(text)]))
                }
            }
        }
    }

    @Test func `Compressed calls are read, in fragments too`() async throws {
        try await withServer {
            $0.webSocketCompression = true
        } _: { server in
            let (socket, client) = try await connect(server, compressed: true)
            let text = String(repeating: "compress me ", count: 1000)
            var call = ByteBuffer()
            try client.codec.write(.call("Echo", [.string(text)], id: "1"), into: &call)
            var deflated = try PerMessageDeflate.compress(call)
            #expect(deflated.readableBytes < call.readableBytes / 10)
            let half = deflated.readSlice(length: deflated.readableBytes / 2)
            let start = try #require(half)
            for (opcode, piece, isLast) in [(WebSocketOpcode.text, start, false), (.continuation, deflated, true)] {
                var frame = ByteBuffer()
                WebSocketFrame.write(
                    opcode: opcode, payload: piece, final: isLast, mask: 0x0102_0304, compressed: opcode == .text,
                    into: &frame)
                try await socket.socket.write(frame)
            }
            #expect(try await client.next() == .result("1", .string(text)))
        }
    }

    @Test func `A small frame that becomes a huge message closes with 1009`() async throws {
        try await withServer {
            $0.webSocketCompression = true
            $0.maximumWebSocketFrameSize = 100_000
        } _: { server in
            let (socket, _) = try await connect(server, compressed: true)
            let bomb = try PerMessageDeflate.compress(ByteBuffer(repeating: 0x20, count: 1_000_000))
            var frame = ByteBuffer()
            WebSocketFrame.write(opcode: .text, payload: bomb, mask: 1, compressed: true, into: &frame)
            try await socket.socket.write(frame)
            while try await socket.receive() != nil {}
            #expect(socket.closeCode == 1009)
        }
    }

    @Test func `Compression that was not agreed on closes with 1002`() async throws {
        try await withServer { server in
            let (socket, _) = try await connect(server, compressed: true)
            var frame = ByteBuffer()
            WebSocketFrame.write(
                opcode: .text, payload: try PerMessageDeflate.compress(Self.handshake), mask: 1, compressed: true,
                into: &frame)
            try await socket.socket.write(frame)
            while try await socket.receive() != nil {}
            #expect(socket.closeCode == 1002)
        }
    }
}
