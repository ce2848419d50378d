// SignalBox: the handshake of the hub protocol and every way to fail it
// SPDX-License-Identifier: Apache-2.0

import NIOCore
import SignalR
import SignalRWire
import Testing

@Suite struct HandshakeTests {
    private static let refusals: [(request: String, error: String)] = [
        (#"{"protocol":"telegraph","version":1}"#, "The protocol 'telegraph' is not supported."),
        (#"{"protocol":"json","version":9001}"#, "The server does not support version 9001 of the 'json' protocol."),
        ("what is this", "An unexpected error occurred during connection handshake."),
        (#"{"version":1}"#, "An unexpected error occurred during connection handshake."),
        (#"{"protocol":null,"version":1}"#, "An unexpected error occurred during connection handshake."),
        (#"{"protocol":"json","version":"1"}"#, "An unexpected error occurred during connection handshake."),
        ("", "An unexpected error occurred during connection handshake."),
    ]

    @Test(arguments: TransportKind.allCases)
    func `A handshake that cannot be met is told why, and the transport ends`(kind: TransportKind) async throws {
        try await withServer { server in
            for (request, error) in Self.refusals {
                let client = HubClient(try await server.open(kind), .json)
                #expect(try await client.handshake(request) == "{\"error\":\"\(error)\"}")
                #expect(try await client.next() == nil)
                if let socket = client.transport as? WebSocketClient { #expect(socket.closeCode == 1000) }
            }
            #expect(server.bulletin.all.isEmpty)
        }
    }

    @Test(arguments: [
        #"{"protocol":"json","version":1}"#, #"{"protocol":"JSON","version":2}"#, #"{"version":0,"protocol":"json"}"#,
        #" { "x" : [ { } ] , "protocol" : "json" , "version" : 1 } "#,
    ])
    func `A handshake is read leniently`(request: String) async throws {
        try await withServer { server in
            let client = HubClient(try await server.open(.webSockets), .json)
            #expect(try await client.handshake(request) == "{}")
            #expect(try await client.invoke("AddTwo", 1, 2) == .result("1", 3))
        }
    }

    @Test func `Binary protocols do not fit into Server-Sent Events`() async throws {
        try await withServer { server in
            let client = HubClient(try await server.open(.serverSentEvents), .json)
            #expect(
                try await client.handshake(.messagepack) == #"{"error":"Cannot use the 'messagepack' protocol on the "#
                    + #"current transport. The transport does not support 'Binary' transfer format."}"#)
            #expect(try await client.next() == nil)
        }
    }

    @Test func `A protocol that the options leave out is not supported`() async throws {
        try await withServer {
            $0.codecs = [MessagePackHubCodec()]
        } _: { server in
            let client = HubClient(try await server.open(.webSockets), .json)
            #expect(try await client.handshake(.json) == #"{"error":"The protocol 'json' is not supported."}"#)
        }
    }

    @Test func `WebSocket opcodes follow the protocol`() async throws {
        try await withServer { server in
            for hubProtocol in HubProtocol.allCases {
                let socket = try await WebSocketClient(server, "/hub")
                let client = HubClient(socket, hubProtocol)
                try await client.send(text: "{\"protocol\":\"\(hubProtocol)\",\"version\":1}\u{1E}")
                #expect(
                    try await socket.message()
                        == .init(bytes: ByteBuffer(string: "{}\u{1E}"), isText: hubProtocol == .json))
                try await client.send(.call("DoNothing", id: "1"))
                #expect(try await socket.message()?.isText == (hubProtocol == .json))
            }
        }
    }

    @Test func `A refused handshake is text whatever was asked for`() async throws {
        try await withServer { server in
            let socket = try await WebSocketClient(server, "/hub")
            try await HubClient(socket, .json).send(text: "{\"protocol\":\"messagepack\",\"version\":3}\u{1E}")
            #expect(try await socket.message()?.isText == true)
        }
    }

    @Test(arguments: Wire.all)
    func `Messages may follow the handshake at once`(wire: Wire) async throws {
        try await withServer { server in
            let client = HubClient(try await server.open(wire.transport), wire.hubProtocol)
            var bytes = ByteBuffer(string: "{\"protocol\":\"\(wire.hubProtocol)\",\"version\":1}\u{1E}")
            try client.codec.write(.call("AddTwo", [1, 2], id: "1"), into: &bytes)
            try await client.transport.send(bytes, isText: false)
            var answer = ByteBuffer(), expected = ByteBuffer(string: "{}\u{1E}")
            try client.codec.write(.result("1", 3), into: &expected)
            while answer.readableBytes < expected.readableBytes {
                answer.writeImmutableBuffer(try #require(try await client.transport.receive()))
            }
            #expect(answer == expected)
        }
    }

    @Test(arguments: [TransportKind.webSockets, .serverSentEvents])
    func `A handshake that does not come in time is cancelled`(kind: TransportKind) async throws {
        try await withServer {
            $0.handshakeTimeout = .seconds(1)
        } _: { server in
            let client = HubClient(try await server.open(kind), .json)
            let answer = try await client.transport.receive()
            #expect(answer == ByteBuffer(string: "{\"error\":\"Handshake was canceled.\"}\u{1E}"))
            #expect(try await client.next() == nil)
        }
    }

    @Test func `A handshake without an end is cancelled by its size`() async throws {
        try await withServer { server in
            let client = HubClient(try await server.open(.webSockets), .json)
            try await client.send(text: String(repeating: " ", count: 40_000))
            let answer = try await client.transport.receive()
            #expect(answer == ByteBuffer(string: "{\"error\":\"Handshake was canceled.\"}\u{1E}"))
            #expect(try await client.next() == nil)
        }
    }
}
