// SignalBox: the HTTP/1.1 host: keep-alive, pipelining, bodies, limits and time
// SPDX-License-Identifier: Apache-2.0

import Hummingbird
import NIOCore
import SignalR
import SignalRHummingbird
import SignalRWire
import Testing

@Suite struct HTTPTests {
    /// A server with an ordinary route beside the hub: it answers with what it was sent.
    private func withApp(
        _ change: (inout TestApp) -> Void = { _ in }, _ body: @Sendable (TestServer) async throws -> Void
    ) async throws {
        var app = TestApp()
        app.routes = { router in
            router.get("plain") { _, _ in "plain" }
            router.post("mirror") { request, _ in
                let body = try await request.body.collect(upTo: 1 << 20)
                return Response(status: .ok, body: .init(byteBuffer: body))
            }
        }
        change(&app)
        try await app.run(body)
    }

    @Test func `One TCP connection serves negotiate, a poll, a send and then an event stream`() async throws {
        try await withApp { server in
            let socket = try await server.connect()
            #expect(try await socket.request("GET", "/plain").text == "plain")
            let polled = try await negotiate(socket)
            #expect(try await socket.request("GET", "/hub?id=\(polled)").status == 200)
            #expect(try await socket.request("POST", "/hub?id=\(polled)", body: ByteBuffer(string: "x")).status == 200)
            let streamed = try await negotiate(socket)
            try await socket.write(
                Socket.request("GET", "/hub?id=\(streamed)", headers: [("Accept", "text/event-stream")]))
            #expect(try await socket.head().status == 200)
            #expect(try await socket.chunk() == ByteBuffer(string: ":\r\n"))
        }
    }

    @Test func `One TCP connection serves negotiate and then a WebSocket`() async throws {
        try await withApp { server in
            let socket = try await server.connect()
            let id = try await negotiate(socket)
            let client = HubClient(try await WebSocketClient(socket, "/hub?id=\(id)"), .json)
            #expect(try await client.handshake(.json) == "{}")
        }
    }

    private func negotiate(_ socket: Socket) async throws -> String {
        let text = try await socket.request("POST", "/hub/negotiate", body: ByteBuffer()).text
        return String(text.split(separator: "\"connectionId\":\"").last?.prefix(22) ?? "")
    }

    @Test func `Frames may follow the upgrade request at once`() async throws {
        try await withApp { server in
            let socket = try await server.connect()
            var bytes = Socket.request("GET", "/hub", headers: WebSocketClient.handshake)
            bytes.writeBytes([0x81, 0xA0, 0, 0, 0, 0])
            bytes.writeString("{\"protocol\":\"json\",\"version\":1}\u{1E}")
            try await socket.write(bytes)
            #expect(try await socket.head().status == 101)
            #expect(try await socket.next { $0.readBytes(length: 5) } == [0x81, 3] + Array("{}\u{1E}".utf8))
        }
    }

    @Test func `A long body in pieces and chunks`() async throws {
        try await withApp { server in
            let socket = try await server.connect()
            let text = String(repeating: "0123456789", count: 20_000)
            #expect(try await socket.request("POST", "/mirror", body: ByteBuffer(string: text)).text == text)
            try await socket.write("POST /mirror HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
            for piece in ["5\r\nhello\r\n", "1\r", "\n \r\n6\r\nwo", "rld!\r\n", "0\r\n\r\n"] {
                try await socket.write(piece)
            }
            #expect(try await socket.reply().text == "hello world!")
        }
    }

    @Test func `A hub's POST may be chunked`() async throws {
        try await withApp { server in
            let client = try await server.client(Wire(transport: .longPolling, hubProtocol: .json))
            let target = try #require(client.transport as? LongPollingClient).target
            let socket = try await server.connect()
            let call = "{\"type\":1,\"invocationId\":\"1\",\"target\":\"AddTwo\",\"arguments\":[1,2]}\u{1E}"
            try await socket.write("POST \(target) HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
            for byte in call { try await socket.write("1\r\n\(byte)\r\n") }
            try await socket.write("0\r\n\r\n")
            #expect(try await socket.reply().status == 200)
            #expect(try await client.next() == .result("1", 3))
        }
    }

    @Test func `Pipelined requests are answered in order`() async throws {
        try await withApp { server in
            let socket = try await server.connect()
            var bytes = ByteBuffer()
            for number in 0..<50 {
                bytes.writeImmutableBuffer(Socket.request("POST", "/mirror", body: ByteBuffer(string: "\(number)")))
                bytes.writeImmutableBuffer(Socket.request("GET", "/plain"))
            }
            try await socket.write(bytes)
            for number in 0..<50 {
                #expect(try await socket.reply().text == "\(number)")
                #expect(try await socket.reply().text == "plain")
            }
        }
    }

    @Test func `Thousands of requests in one segment are answered, whatever the stack`() async throws {
        try await withApp { server in
            let socket = try await server.connect()
            let one = ByteBuffer(string: "GET /plain HTTP/1.1\r\n\r\n")
            let count = 20_000
            async let sent: Void = socket.write(ByteBuffer(repeating: one, count: count))
            for _ in 0..<count {
                let reply = try await socket.reply()
                guard reply.text == "plain" else {
                    Issue.record("\(reply)")
                    return
                }
            }
            try await sent
        }
    }

    @Test func `A client may ask before it sends a body`() async throws {
        try await withApp { server in
            let socket = try await server.connect()
            try await socket.write(
                "POST /mirror HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
            #expect(try await socket.head().status == 100)
            try await socket.write("hello")
            #expect(try await socket.reply().text == "hello")
        }
    }

    @Test func `HEAD has no body`() async throws {
        try await withApp { server in
            let socket = try await server.connect()
            #expect(try await socket.request("HEAD", "/hub").status == 405)
            // A body would be taken for the next response.
            #expect(try await socket.request("GET", "/plain").text == "plain")
        }
    }

    @Test func `Connection close is honoured`() async throws {
        try await withApp { server in
            let socket = try await server.connect()
            let reply = try await socket.request("GET", "/plain", headers: [("Connection", "close")])
            #expect(reply["connection"] == "close")
            #expect(try await socket.untilEnd().readableBytes == 0)
        }
    }

    @Test func `Too many header bytes`() async throws {
        try await withApp {
            $0.http.maximumHeaderSize = 2000
        } _: { server in
            let long = [("X-Long", String(repeating: "x", count: 3000))]
            let reply = try await server.request("GET", "/plain", headers: long)
            #expect(reply.status == 431)
            #expect(reply["connection"] == "close")
        }
    }

    @Test(arguments: ["what is this\r\n\r\n", "GET / HTTP/9.9\r\n\r\n", "GET / HTTP/1.1\r\nBad Header: x\r\n\r\n"])
    func `What is not HTTP is a bad request`(bytes: String) async throws {
        try await withApp { server in
            let socket = try await server.connect()
            try await socket.write(bytes)
            #expect(try await socket.reply().status == 400)
            #expect(try await socket.untilEnd().readableBytes == 0)
        }
    }

    @Test(arguments: [
        "", "GET /plain HTTP/1.1\r\nHost:", "POST /mirror HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc",
    ])
    func `Who sends too slowly is closed`(bytes: String) async throws {
        try await withApp {
            $0.http.requestTimeout = .seconds(1)
        } _: { server in
            let socket = try await server.connect()
            try await socket.write(bytes)
            #expect(try await socket.reply().status == 408)
            #expect(try await socket.untilEnd().readableBytes == 0)
        }
    }

    @Test func `An idle connection is closed`() async throws {
        try await withApp {
            $0.http.requestTimeout = .seconds(3)
            $0.http.idleTimeout = .seconds(3)
        } _: { server in
            let socket = try await server.connect()
            #expect(try await socket.request("GET", "/plain").text == "plain")
            #expect(try await socket.untilEnd().readableBytes == 0)
        }
    }

    @Test func `A body that breaks off is no body`() async throws {
        try await withApp { server in
            let client = try await server.client(Wire(transport: .longPolling, hubProtocol: .json))
            let target = try #require(client.transport as? LongPollingClient).target
            let socket = try await server.connect()
            try await socket.write("POST \(target) HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{\"type\":1,")
            socket.close()
            #expect(try await client.invoke("AddTwo", 1, 2) == .result("1", 3))
        }
    }
}

extension ByteBuffer {
    fileprivate init(repeating piece: ByteBuffer, count: Int) {
        self.init()
        for _ in 0..<count { writeImmutableBuffer(piece) }
    }
}
