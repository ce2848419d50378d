// SignalBox: the event stream against the test vectors
// SPDX-License-Identifier: Apache-2.0

import NIOCore
import SignalRWire
import Testing

@Suite struct ServerSentEventsTests {
    @Test(arguments: Vector.of("sse", ["both", "write"]))
    func writesEvents(_ vector: Vector) {
        var written = ByteBuffer()
        if let payload = vector.message.text {
            ServerSentEvent.write(ByteBuffer(string: payload), into: &written)
        } else {
            ServerSentEvent.writeOpening(into: &written)
        }
        #expect(written == vector.wire)
    }

    @Test(arguments: Vector.of("sse", ["both", "parse"]))
    func readsEvents(_ vector: Vector) throws {
        #expect(try Self.events(in: vector.wire) == [vector.message.text ?? ""])
        #expect(try Self.events(in: vector.wire, pieces: 1) == [vector.message.text ?? ""])
    }

    @Test(
        arguments: [
            (":\r\n", []),
            ("\r\n\r\n", []),
            ("data\n\n", [""]),
            ("data:\n\n", [""]),
            ("data: \n\n", [""]),
            ("data:a\n\ndata:  b\n\n", ["a", " b"]),
            ("event: x\nid: 1\nretry: 5\ndata: a\n\n", ["a"]),
            ("dat: a\ndatab: a\n: data: a\n\n", []),
            ("data: a\rb\r\n\r\n", ["a\rb"]),
            ("data: a\n\ndata: b\n", ["a"]),
            ("data: a\ndata\ndata: b\n\n", ["a\n\nb"]),
        ] as [(String, [String])])
    func readsFields(_ stream: String, _ events: [String]) throws {
        #expect(try Self.events(in: ByteBuffer(string: stream)) == events)
        #expect(try Self.events(in: ByteBuffer(string: stream), pieces: 1) == events)
    }

    @Test func aLoneCarriageReturnStays() {
        var written = ByteBuffer()
        ServerSentEvent.write(ByteBuffer(string: "a\rb\n\r\n"), into: &written)
        #expect(written.text == "data: a\rb\r\ndata: \r\r\ndata: \r\n\r\n")
    }

    @Test(arguments: ["data: 0123456789", "data: 01234\ndata: 56789\n", ": a comment", "data: 01234\n: 56789"])
    func eventsAreBounded(_ stream: String) throws {
        var parser = ServerSentEvent.Parser(maximumEventSize: 9)
        parser.feed(ByteBuffer(string: stream))
        #expect(throws: HubProtocolError("A server-sent event exceeds 9 bytes.")) {
            while try parser.next() != nil {}
        }
    }

    @Test func manyEventsAtOnceAreNotTooLarge() throws {
        var parser = ServerSentEvent.Parser(maximumEventSize: 9)
        parser.feed(ByteBuffer(string: String(repeating: "data: a\n\n", count: 1000)))
        var count = 0
        while try parser.next() != nil { count += 1 }
        #expect(count == 1000)
    }

    static func events(in stream: ByteBuffer, pieces: Int? = nil) throws -> [String] {
        var parser = ServerSentEvent.Parser()
        var stream = stream
        var events: [String] = []
        while let piece = stream.readSlice(length: min(pieces ?? .max, stream.readableBytes)), piece.readableBytes > 0 {
            parser.feed(piece)
            while let event = try parser.next() { events.append(event.text) }
        }
        return events
    }
}
