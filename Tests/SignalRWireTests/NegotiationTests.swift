// SignalBox: negotiation against the test vectors
// SPDX-License-Identifier: Apache-2.0

import Foundation
import NIOCore
import SignalRWire
import Testing

@Suite struct NegotiationTests {
    static let transports = [
        AvailableTransport(transport: "WebSockets", transferFormats: ["Text", "Binary"]),
        AvailableTransport(transport: "ServerSentEvents", transferFormats: ["Text"]),
        AvailableTransport(transport: "LongPolling", transferFormats: ["Text", "Binary"]),
    ]

    /// A refused method has no body, hence nothing for these tests.
    static let vectors = Vector.of("negotiate").filter { $0.wire.readableBytes > 0 }

    @Test(arguments: vectors)
    func writesResponses(_ vector: Vector) throws {
        var written = ByteBuffer()
        Self.response(to: vector).write(into: &written)
        #expect(written == vector.wire)
    }

    @Test(arguments: vectors)
    func readsResponses(_ vector: Vector) throws {
        #expect(try NegotiateResponse(reading: vector.wire) == Self.response(to: vector))
    }

    private static func response(to vector: Vector) -> NegotiateResponse {
        if vector.name == "negotiate/redirect" {
            return .redirect(url: "https://myapp.example/chat", accessToken: "abc")
        }
        let query = URLComponents(
            string: vector.message["request"]?.text?.split(separator: " ").last.map(String.init) ?? "")
        let requested = query?.queryItems?.first { $0.name.lowercased() == "negotiateversion" }?.value
        let minimum = vector["note"]?.text?.split(separator: " ").last.flatMap { Int($0) } ?? 0
        switch NegotiateVersion.resolve(query: requested, minimum: minimum) {
        case .failure(let error): return .failure(error.message)
        case .success(let version):
            return .success(
                .init(
                    negotiateVersion: version,
                    connectionID: "AAECAwQFBgcICQoLDA0ODw",
                    connectionToken: version > 0 ? "EBESExQVFhcYGRobHB0eHw" : nil,
                    useStatefulReconnect: vector.name == "negotiate/stateful",
                    availableTransports: Self.transports
                )
            )
        }
    }

    @Test(arguments: [
        (nil, 0, 0), ("0", 0, 0), ("1", 0, 1), ("7", 1, 1), ("2147483647", 0, 1), ("0", -1, 0), ("-1", -1, -1),
    ])
    func resolvesVersions(_ query: String?, _ minimum: Int, _ version: Int) throws {
        #expect(try NegotiateVersion.resolve(query: query, minimum: minimum).get() == version)
    }

    @Test(arguments: ["", "abc", "1.0", "2147483648", "1 "])
    func refusesOddVersions(_ query: String) {
        let error = HubProtocolError("The client requested a non-integer protocol version.")
        #expect(throws: error) { try NegotiateVersion.resolve(query: query, minimum: 0).get() }
    }

    @Test(arguments: [
        "", "[]", "null", "{}", "{\"url\":1}",
        "{\"connectionId\":\"a\",\"availableTransports\":{}}",
        "{\"connectionId\":\"a\",\"availableTransports\":[{}]}",
        "{\"connectionId\":\"a\",\"availableTransports\":[1]}",
        "{\"connectionId\":\"a\",\"negotiateVersion\":1,\"availableTransports\":[]}",
        "{\"connectionId\":\"a\",\"negotiateVersion\":1.5,\"availableTransports\":[]}",
        "{\"Url\":\"/signalr\",\"ProtocolVersion\":\"1.5\",\"ConnectionId\":\"a\"}",
    ])
    func refusesOtherBodies(_ body: String) {
        #expect(throws: HubProtocolError.self) { try NegotiateResponse(reading: ByteBuffer(string: body)) }
    }

    @Test func ignoresWhatItDoesNotKnow() throws {
        let body = """
            { "error": null, "url": null, "new": [1], "negotiateVersion": 0, "connectionId": "a", "connectionToken": null,
              "availableTransports": [{"transport": "WebSockets", "transferFormats": ["Text", "Binary"], "x": {}}] }
            """
        let expected = NegotiateResponse.Success(
            negotiateVersion: 0,
            connectionID: "a",
            connectionToken: nil,
            availableTransports: [Self.transports[0]]
        )
        #expect(try NegotiateResponse(reading: ByteBuffer(string: body)) == .success(expected))
    }
}
