// SignalBox: WebSocket frames against a running hub: what is forgiven, and the code of what is not
// SPDX-License-Identifier: Apache-2.0

import NIOCore
import SignalR
import SignalRWire
import Testing
import _SignalRWebSocket

@Suite struct WebSocketTests {
    private func connected(_ server: TestServer) async throws -> (WebSocketClient, HubClient) {
        let client = try await server.client()
        return (try #require(client.transport as? WebSocketClient), client)
    }

    @Test func `Fragments, with pings between them`() async throws {
        try await withServer { server in
            let (socket, client) = try await connected(server)
            var call = ByteBuffer()
            try client.codec.write(.call("Echo", ["fragments"], id: "1"), into: &call)
            let pieces = [call.readSlice(length: 10), call.readSlice(length: 10)].compactMap { $0 }
            try await socket.frame(.text, pieces[0], final: false)
            try await socket.frame(.ping, ByteBuffer(string: "still there?"))
            try await socket.frame(.continuation, pieces[1], final: false)
            try await socket.frame(.continuation, call)
            #expect(try await client.next() == .result("1", "fragments"))
        }
    }

    @Test func `A ping is answered with its payload`() async throws {
        try await withServer { server in
            let (socket, _) = try await connected(server)
            try await socket.frame(.ping, ByteBuffer(string: "echo me"))
            #expect(try await socket.socket.next { $0.readBytes(length: 9) } == [0x8A, 7] + Array("echo me".utf8))
        }
    }

    @Test func `Pings of a client that does not read are not piled up`() async throws {
        var app = TestApp { $0.sendTimeout = .seconds(120) }
        (app.sendBuffer, app.receiveBuffer) = (16 << 10, 16 << 10)
        try await app.run { server in
            let (socket, client) = try await connected(server)
            try await socket.socket.stopReading()
            let sent = 20_000
            func payload(_ number: Int) -> ByteBuffer {
                let text = "\(number)"
                return ByteBuffer(string: text + String(repeating: ".", count: 125 - text.utf8.count))
            }
            for start in stride(from: 0, to: sent, by: 1000) {
                var pings = ByteBuffer()
                for number in start..<start + 1000 {
                    WebSocketFrame.write(opcode: .ping, payload: payload(number), mask: 0x0102_0304, into: &pings)
                }
                try await socket.socket.write(pings)
            }
            try await client.send(.call("Echo", ["after them"], id: "1"))
            try await server.bulletin.wait(for: "echo")
            try await socket.socket.resumeReading()
            var reader = WebSocketReader(role: .client, maximumFrameSize: 1 << 20, maximumInflatedSize: 0)
            var (pongs, last) = (0, ByteBuffer())
            while last != payload(sent - 1) {
                let event = try await socket.socket.next { try reader.next(from: &$0) }
                guard let event else { throw ChannelError.eof }
                if case .pong(let payload) = event { (pongs, last) = (pongs + 1, payload) }
            }
            #expect(pongs < sent / 2)
        }
    }

    @Test func `An empty id is none`() async throws {
        try await withServer { server in
            let client = HubClient(try await WebSocketClient(server, "/hub?id="), .json)
            #expect(try await client.handshake(.json) == "{}")
            #expect(try await client.invoke("AddTwo", 1, 2) == .result("1", 3))
        }
    }

    /// Bytes after the handshake, and the code they are closed with.
    private static let violations: [(name: String, bytes: [UInt8], code: UInt16)] = [
        ("not masked", [0x81, 0x01, 0x20], 1002),
        ("reserved bit", [0xA1, 0x80, 0, 0, 0, 0], 1002),
        ("reserved opcode", [0x83, 0x80, 0, 0, 0, 0], 1002),
        ("continuation of nothing", [0x80, 0x80, 0, 0, 0, 0], 1002),
        ("fragmented ping", [0x09, 0x80, 0, 0, 0, 0], 1002),
        ("long ping", [0x89, 0xFE, 0x00, 0x7E, 0, 0, 0, 0], 1002),
        ("new message within a message", [0x01, 0x80, 0, 0, 0, 0, 0x81, 0x80, 0, 0, 0, 0], 1002),
        ("invalid UTF-8", [0x81, 0x82, 0, 0, 0, 0, 0xC3, 0x28], 1007),
        ("too large", [0x82, 0xFF, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0], 1009),
        ("close code 1005", [0x88, 0x82, 0, 0, 0, 0, 0x03, 0xED], 1002),
        ("close with one byte", [0x88, 0x81, 0, 0, 0, 0, 0x03], 1002),
    ]

    @Test(arguments: violations)
    func `Broken frames close with their code and nobody else notices`(
        name: String, bytes: [UInt8], code: UInt16
    ) async throws {
        try await withServer { server in
            let bystander = try await server.client()
            let (socket, client) = try await connected(server)
            try await server.bulletin.wait(for: "connected", count: 2)
            try await socket.socket.write(ByteBuffer(bytes: bytes))
            while try await client.next() != nil {}
            #expect(socket.closeCode == code)
            try await server.bulletin.wait(for: "disconnected websocket_protocol_error")
            #expect(try await bystander.invoke("AddTwo", 1, 2) == .result("1", 3))
        }
    }

    @Test(arguments: [1000, 1001, 3000, 4999] as [UInt16])
    func `The client's close code comes back`(code: UInt16) async throws {
        try await withServer { server in
            let (socket, client) = try await connected(server)
            try await socket.socket.write(
                WebSocketFrame.close(code: .init(rawValue: code), reason: "bye", mask: 0xABCD_EF01))
            while try await client.next() != nil {}
            #expect(socket.closeCode == code)
            #expect(try await socket.socket.untilEnd().readableBytes == 0)
        }
    }

    @Test func `A client that does not answer Close is cut off`() async throws {
        try await withServer {
            $0.webSocketCloseTimeout = .milliseconds(200)
        } _: { server in
            let (socket, client) = try await connected(server)
            try await client.send(.call("Abort"))
            // Reads bytes instead of frames, so that nothing answers.
            let rest = try await socket.socket.untilEnd()
            #expect(rest.readableBytesView.suffix(4).elementsEqual([0x88, 0x02, 0x03, 0xE8]))
        }
    }

    @Test func `Nothing is read after a Close`() async throws {
        try await withServer { server in
            let (socket, client) = try await connected(server)
            try await client.send(.close())
            try await client.send(.call("Echo", ["too late"]))
            while try await client.next() != nil {}
            #expect(socket.closeCode == 1000)
            try await server.bulletin.wait(for: "disconnected in order")
            #expect(server.bulletin.count("echo") == 0)
        }
    }
}
