// SignalBox: streams from clients, on every transport with every protocol
// SPDX-License-Identifier: Apache-2.0

import NIOCore
import SignalR
import SignalRWire
import Testing

@Suite struct UploadTests {
    @Test(arguments: Wire.all)
    func `A method reads what its client uploads`(wire: Wire) async throws {
        try await withServer { server in
            let client = try await server.client(wire)
            try await client.send(.call("StreamingConcat", id: "2", streams: ["1"]))
            try await client.send(.item("1", "Hello "))
            try await client.send(.item("1", "world"))
            try await client.send(.end("1"))
            #expect(try await client.next() == .result("2", "Hello world"))
        }
    }

    @Test(arguments: Wire.all)
    func `A completion with a value ends an upload just as well`(wire: Wire) async throws {
        try await withServer { server in
            let client = try await server.client(wire)
            try await client.send(.call("StreamingConcat", id: "2", streams: ["1"]))
            try await client.send(.item("1", "x"))
            try await client.send(.result("1", .null))
            #expect(try await client.next() == .result("2", "x"))
        }
    }

    @Test(arguments: Wire.all)
    func `A failed upload reaches the method as the client's error`(wire: Wire) async throws {
        try await withServer { server in
            let client = try await server.client(wire)
            try await client.send(.call("StreamingConcat", id: "2", streams: ["1"]))
            try await client.send(.failure("1", "Something bad"))
            #expect(
                try await client.next()
                    == .failure(
                        "2",
                        "An unexpected error occurred invoking 'StreamingConcat' on the server. HubException: Something bad"
                    ))
        }
    }

    @Test(arguments: Wire.all)
    func `The number of streams must match`(wire: Wire) async throws {
        try await withServer { server in
            let client = try await server.client(wire)
            let text =
                "An unexpected error occurred invoking 'StreamingConcat' on the server. HubException: Client sent "
            #expect(
                try await client.invoke("StreamingConcat")
                    == .failure("1", text + "0 stream(s), Hub method expects 1."))
            try await client.send(.call("StreamingConcat", id: "2", streams: ["7", "8"]))
            #expect(try await client.next() == .failure("2", text + "2 stream(s), Hub method expects 1."))
        }
    }

    @Test func `An item of another type fails the stream, not the connection`() async throws {
        try await withServer { server in
            let client = try await server.client()
            try await client.send(.call("StreamingConcat", id: "2", streams: ["1"]))
            try await client.send(.item("1", [1, 2]))
            #expect(
                try await client.next()
                    == .failure(
                        "2",
                        "An unexpected error occurred invoking 'StreamingConcat' on the server. "
                            + "HubException: Failed to bind Stream message."))
            #expect(try await client.invoke("AddTwo", 1, 2) == .result("1", 3))
        }
    }

    @Test func `Several uploads of one call are told apart`() async throws {
        try await withServer { server in
            let client = try await server.client()
            try await client.send(.call("TwoUploads", id: "3", streams: ["1", "2"]))
            for number in 1...5 {
                try await client.send(.item("1", .int(Int64(number * 10))))
                try await client.send(.item("2", .int(Int64(number))))
            }
            try await client.send(.end("2"))
            try await client.send(.end("1"))
            #expect(try await client.next() == .result("3", 135))
        }
    }

    @Test(arguments: Wire.all)
    func `Items go up and come down at once`(wire: Wire) async throws {
        try await withServer { server in
            let client = try await server.client(wire)
            try await client.send(.stream("StreamEcho", id: "2", streams: ["1"]))
            for number in 0..<20 {
                try await client.send(.item("1", .int(Int64(number))))
                #expect(try await client.next() == .item("2", .int(Int64(number))))
            }
            try await client.send(.end("1"))
            #expect(try await client.next() == .end("2"))
        }
    }

    @Test func `Items of streams that nobody reads go nowhere`() async throws {
        try await withServer { server in
            let client = try await server.client()
            try await client.send(.item("none", "x"))
            try await client.send(.end("none"))
            try await client.send(.call("IgnoreUpload", id: "2", streams: ["1"]))
            #expect(try await client.next() == .result("2", "done"))
            for number in 0..<100 { try await client.send(.item("1", .int(Int64(number)))) }
            try await client.send(.end("1"))
            #expect(try await client.invoke("AddTwo", 1, 2) == .result("1", 3))
        }
    }

    @Test func `Losing the client fails its uploads`() async throws {
        try await withServer { server in
            let client = try await server.client()
            try await client.send(.call("SlowUpload", ["go"], id: "2", streams: ["1"]))
            try await server.bulletin.wait(for: "uploading")
            client.transport.drop()
            try await server.bulletin.wait(for: "disconnected transport_failed")
            server.bulletin.post("go")
        }
    }

    @Test(arguments: Wire.all)
    func `A full upload buffer holds back everything behind it`(wire: Wire) async throws {
        try await withServer { server in
            let client = try await server.client(wire)
            try await client.send(.call("SlowUpload", ["go"], id: "2", streams: ["1"]))
            try await server.bulletin.wait(for: "uploading")
            var bytes = ByteBuffer()
            for number in 0..<15 { try client.codec.write(.item("1", .int(Int64(number))), into: &bytes) }
            try client.codec.write(.end("1"), into: &bytes)
            try client.codec.write(.call("Echo", ["behind"]), into: &bytes)
            try await client.transport.send(bytes, isText: wire.hubProtocol == .json)
            // Round trips of others: plenty of time for the server to go too far.
            for _ in 0..<20 { _ = try await server.negotiate() }
            #expect(server.bulletin.count("echo") == 0)
            server.bulletin.post("go")
            #expect(try await client.next() == .result("2", 15))
            try await server.bulletin.wait(for: "echo")
        }
    }
}
