// SignalBox: hostile and broken input: a clear error for the sender, nothing for anybody else
// SPDX-License-Identifier: Apache-2.0

import NIOCore
import SignalR
import SignalRWire
import Testing

@Suite struct BadInputTests {
    private static let closed = HubMessage.close(error: "Connection closed with an error.", allowReconnect: true)

    @Test(arguments: Wire.all)
    func `A message may have exactly the allowed size`(wire: Wire) async throws {
        try await withServer { server in
            let client = try await server.client(wire)
            try await client.sendEcho(ofSize: 32_768)
            guard case .completion? = try await client.next() else {
                Issue.record("no answer")
                return
            }
            try await client.sendEcho(ofSize: 32_769)
            #expect(try await client.next() == Self.closed)
            #expect(try await client.next() == nil)
            try await server.bulletin.wait(for: "disconnected protocol_error")
        }
    }

    @Test func `With detailed errors the limit is named`() async throws {
        try await withServer {
            $0.detailedErrors = true
        } _: { server in
            let client = try await server.client()
            try await client.sendEcho(ofSize: 32_769)
            #expect(
                try await client.next()
                    == .close(
                        error:
                            "Connection closed with an error. InvalidDataException: The maximum message size of 32768B was "
                            + "exceeded. The message size can be configured in AddHubOptions.",
                        allowReconnect: true))
        }
    }

    private static let texts = [
        "garbage\u{1E}", "\u{1E}", "{}\u{1E}", "{\"type\":1}\u{1E}", "{\"type\":\"1\"}\u{1E}", "[1]\u{1E}",
        "{\"type\":3,\"invocationId\":\"1\",\"result\":1,\"error\":\"x\"}\u{1E}",
        "{\"type\":1,\"target\":\"Echo\",\"arguments\":[" + String(repeating: "[", count: 100)
            + String(repeating: "]", count: 100) + "]}\u{1E}",
        "{\"type\":9,\"sequenceId\":\"x\"}\u{1E}", "{\"type\":7,\"allowReconnect\":1}\u{1E}",
    ]

    @Test(arguments: [TransportKind.webSockets, .serverSentEvents, .longPolling])
    func `What is no hub message closes its connection and no other`(kind: TransportKind) async throws {
        try await withServer { server in
            let bystander = try await server.client()
            for text in Self.texts {
                let client = try await server.client(Wire(transport: kind, hubProtocol: .json))
                try await client.send(text: text)
                #expect(try await client.next() == Self.closed, "\(text)")
                #expect(try await client.next() == nil)
            }
            #expect(try await bystander.invoke("AddTwo", 1, 2) == .result("1", 3))
        }
    }

    private static let binaries: [[UInt8]] = [
        [0xFF, 0xFF, 0xFF, 0xFF, 0xFF], [0x01, 0xC0], [0x00], [0x02, 0x91, 0xA1],
        // An array that claims four billion items, a map that claims as many.
        [0x06, 0xDD, 0xFF, 0xFF, 0xFF, 0xFF, 0x01],
        [0x07, 0x95, 0x01, 0xDF, 0xFF, 0xFF, 0xFF, 0xFF],
        // Deep nesting as a header map's value, where only strings may be.
        [0x7F, 0x96, 0x01, 0x81, 0xA1, 0x61] + [UInt8](repeating: 0x91, count: 122),
    ]

    @Test(arguments: [TransportKind.webSockets, .longPolling])
    func `MessagePack bombs`(kind: TransportKind) async throws {
        try await withServer { server in
            let bystander = try await server.client()
            for bytes in Self.binaries {
                let client = try await server.client(Wire(transport: kind, hubProtocol: .messagepack))
                try await client.transport.send(ByteBuffer(bytes: bytes), isText: false)
                #expect(try await client.next() == Self.closed, "\(bytes)")
                #expect(try await client.next() == nil)
            }
            #expect(try await bystander.invoke("AddTwo", 1, 2) == .result("1", 3))
        }
    }

    @Test(arguments: [false, true])
    func `A result that cannot be written closes the connection`(isStateful: Bool) async throws {
        try await withServer {
            $0.allowStatefulReconnects = true
        } _: { server in
            for call in [HubMessage.call("NotANumber", id: "1"), .stream("NotNumbers", id: "1")] {
                let client = isStateful ? try await StatefulClient(server).now : try await server.client()
                try await client.send(call)
                #expect(try await client.next() == Self.closed)
                #expect(try await client.next() == nil)
            }
            try await server.bulletin.wait(for: "disconnected write_failed", count: 2)
            // MessagePack has a way to write it.
            let client = try await server.client(Wire(transport: .webSockets, hubProtocol: .messagepack))
            guard case .completion(let end)? = try await client.invoke("NotANumber"), case .result = end.outcome else {
                Issue.record("no result")
                return
            }
        }
    }

    @Test func `Unknown message types are ignored`() async throws {
        try await withServer { server in
            let client = try await server.client()
            try await client.send(text: "{\"type\":99,\"x\":[1,{}]}\u{1E}{\"x\":{\"y\":[]},\"type\":6}\u{1E}")
            #expect(try await client.invoke("AddTwo", 1, 2) == .result("1", 3))
        }
    }

    @Test func `A silent client that once pinged is given up, one that never did is not`() async throws {
        try await withServer {
            $0.clientTimeout = .seconds(1)
            $0.detailedErrors = true
        } _: { server in
            let (pinging, silent) = (try await server.client(), try await server.client())
            try await pinging.send(.ping)
            #expect(
                try await pinging.next()
                    == .close(
                        error: "Connection closed with an error. OperationCanceledException: "
                            + "Client hasn't sent a message/ping within the configured ClientTimeoutInterval.",
                        allowReconnect: true))
            try await server.bulletin.wait(for: "disconnected client_timeout")
            #expect(try await silent.invoke("AddTwo", 1, 2) == .result("1", 3))
        }
    }

    @Test func `The server pings, but not polls`() async throws {
        try await withServer {
            $0.keepAliveInterval = .seconds(1)
            $0.pollTimeout = .seconds(3)
        } _: { server in
            for wire in [Wire.webSocketJSON, Wire(transport: .serverSentEvents, hubProtocol: .json)] {
                #expect(try await server.client(wire).anyMessage() == .ping)
            }
            let client = try await server.client(Wire(transport: .longPolling, hubProtocol: .json))
            let polls = try #require(client.transport as? LongPollingClient)
            #expect(try await polls.polls.request("GET", polls.target).body.readableBytes == 0)
        }
    }

    @Test func `Ten thousand half-open negotiates harm nobody`() async throws {
        try await withServer { server in
            let client = try await server.client()
            let socket = try await server.connect()
            let one = Socket.request("POST", "/hub/negotiate", body: ByteBuffer())
            for _ in 0..<200 {
                var fifty = ByteBuffer()
                for _ in 0..<50 { fifty.writeImmutableBuffer(one) }
                try await socket.write(fifty)
                for _ in 0..<50 { #expect(try await socket.reply().status == 200) }
            }
            #expect(try await client.invoke("AddTwo", 1, 2) == .result("1", 3))
            #expect(try await server.client().invoke("AddTwo", 1, 2) == .result("1", 3))
        }
    }
}
