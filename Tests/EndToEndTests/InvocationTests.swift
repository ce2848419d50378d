// SignalBox: calls and their answers, on every transport with every protocol
// SPDX-License-Identifier: Apache-2.0

import NIOCore
import SignalR
import SignalRWire
import Testing

@Suite struct InvocationTests {
    @Test(arguments: Wire.all)
    func `A call is answered with its result`(wire: Wire) async throws {
        try await withServer { server in
            let client = try await server.client(wire)
            #expect(try await client.invoke("Echo", "hello") == .result("1", "hello"))
            #expect(try await client.invoke("AddTwo", 40, 2, id: "2") == .result("2", 42))
            #expect(try await client.invoke("DoNothing", id: "3") == .result("3", .null))
        }
    }

    @Test(arguments: Wire.all)
    func `Every kind of value survives the way there and back`(wire: Wire) async throws {
        let values: [HubValue] = [
            .null, true, -1, 9_007_199_254_740_993, 0.5, "", "Grüße 👋 \"\\\n", [1, "two", [3.5]],
            .map([.init(key: "b", value: 1), .init(key: "a", value: .map([]))]),
            .string(String(repeating: "x", count: 20_000)),
        ]
        try await withServer { server in
            let client = try await server.client(wire)
            for value in values { #expect(try await client.invoke("Echo", value) == .result("1", value)) }
        }
    }

    @Test(arguments: Wire.all)
    func `A call without an id gets no answer, not even an error`(wire: Wire) async throws {
        try await withServer { server in
            let client = try await server.client(wire)
            try await client.send(.call("Echo", ["x"]))
            try await client.send(.call("Nope"))
            try await client.send(.call("Echo", []))
            try await client.send(.call("ThrowException", ["boom"]))
            #expect(try await client.invoke("AddTwo", 1, 1, id: "after") == .result("after", 2))
            #expect(server.bulletin.count("echo") == 1)
        }
    }

    @Test func `Names are found without regard to case`() async throws {
        try await withServer { server in
            let client = try await server.client()
            #expect(try await client.invoke("aDDtWO", 1, 2) == .result("1", 3))
        }
    }

    @Test(arguments: Wire.all)
    func `An unknown method is told by its name`(wire: Wire) async throws {
        try await withServer { server in
            let client = try await server.client(wire)
            let text = "Failed to invoke 'nope' due to an error on the server. HubException: Method does not exist."
            #expect(try await client.invoke("nope") == .failure("1", text))
            #expect(try await client.invoke("Echo", "still here") == .result("1", "still here"))
        }
    }

    private static let misfits: [(arguments: [HubValue], detail: String)] = [
        ([1], "Invocation provides 1 argument(s) but target expects 2."),
        ([1, 2, 3], "Invocation provides 3 argument(s) but target expects 2."),
        ([], "Invocation provides 0 argument(s) but target expects 2."),
        (
            [1, "two"],
            "Error binding arguments. "
                + "Make sure that the types of the provided values match the types of the hub method being invoked."
        ),
    ]

    @Test(arguments: Wire.all, [false, true])
    func `Arguments that do not fit fail the call and no more`(wire: Wire, isDetailed: Bool) async throws {
        try await withServer {
            $0.detailedErrors = isDetailed
        } _: { server in
            let client = try await server.client(wire)
            for (arguments, detail) in Self.misfits {
                let text = "Failed to invoke 'AddTwo' due to an error on the server."
                try await client.send(.call("AddTwo", arguments, id: "1"))
                #expect(
                    try await client.next()
                        == .failure("1", isDetailed ? "\(text) InvalidDataException: \(detail)" : text))
            }
            #expect(try await client.invoke("AddTwo", 1, 2) == .result("1", 3))
        }
    }

    @Test(arguments: Wire.all, [false, true])
    func `What a method throws is hidden unless it is meant for clients`(wire: Wire, isDetailed: Bool) async throws {
        try await withServer {
            $0.detailedErrors = isDetailed
        } _: { server in
            let client = try await server.client(wire)
            let text = "An unexpected error occurred invoking 'ThrowException' on the server."
            #expect(
                try await client.invoke("ThrowException", "boom")
                    == .failure("1", isDetailed ? text + " InvalidOperationException: boom" : text))
            #expect(
                try await client.invoke("MethodThatThrowsHubException")
                    == .failure(
                        "1",
                        "An unexpected error occurred invoking 'MethodThatThrowsHubException' on the server. "
                            + "HubException: This is a hub exception"))
        }
    }

    @Test(arguments: Wire.all)
    func `Five hundred calls at once are answered in order`(wire: Wire) async throws {
        try await withServer { server in
            let client = try await server.client(wire)
            var bytes = ByteBuffer()
            for number in 0..<500 {
                try client.codec.write(.call("Echo", [.int(Int64(number))], id: "\(number)"), into: &bytes)
            }
            try await client.transport.send(bytes, isText: wire.hubProtocol == .json)
            for number in 0..<500 { #expect(try await client.next() == .result("\(number)", .int(Int64(number)))) }
        }
    }

    @Test(arguments: Wire.all)
    func `A message may arrive in any pieces`(wire: Wire) async throws {
        try await withServer { server in
            let client = try await server.client(wire)
            var bytes = ByteBuffer()
            try client.codec.write(.call("Echo", ["ä"], id: "1"), into: &bytes)
            try client.codec.write(.call("AddTwo", [1, 2], id: "2"), into: &bytes)
            while let piece = bytes.readSlice(length: min(7, bytes.readableBytes)), piece.readableBytes > 0 {
                // Pieces of text may end within a character, which a WebSocket's text messages may not.
                try await client.transport.send(piece, isText: false)
            }
            #expect(try await client.next() == .result("1", "ä"))
            #expect(try await client.next() == .result("2", 3))
        }
    }
}
