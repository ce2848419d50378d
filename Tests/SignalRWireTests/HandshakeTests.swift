// SignalBox: the handshake against the test vectors
// SPDX-License-Identifier: Apache-2.0

import NIOCore
import SignalRWire
import Testing

@Suite struct HandshakeTests {
    static func vectors(_ part: String, _ outcomes: String..., directions: Set<String> = ["both", "parse"]) -> [Vector]
    {
        Vector.of("handshake", directions).filter {
            $0.name.hasPrefix("handshake/\(part)") && outcomes.contains($0.outcome)
        }
    }

    @Test(arguments: vectors("request", "ok"))
    func readsRequests(_ vector: Vector) throws {
        var wire = vector.wire
        let request = try HandshakeRequest.read(from: &wire, maximumSize: 32768)
        #expect(request == HandshakeRequest(vector.message))
        #expect(wire.readableBytes == 0)
    }

    @Test(arguments: vectors("request", "ok", directions: ["both"]))
    func writesRequests(_ vector: Vector) throws {
        var written = ByteBuffer()
        HandshakeRequest(vector.message).write(into: &written)
        #expect(written == vector.wire)
    }

    @Test(arguments: vectors("request", "incomplete"))
    func waitsForMore(_ vector: Vector) throws {
        var wire = vector.wire
        #expect(try HandshakeRequest.read(from: &wire, maximumSize: nil) == nil)
        #expect(wire == vector.wire)
    }

    @Test(arguments: vectors("request", "protocolError"))
    func refusesRequests(_ vector: Vector) throws {
        var wire = vector.wire
        let text = try #require(vector["outcome"]?["text"]?.text)
        #expect(throws: HubProtocolError(text)) { try HandshakeRequest.read(from: &wire, maximumSize: nil) }

        let plain = "An unexpected error occurred during connection handshake."
        for (key, error) in [("reply", plain), ("replyDetailed", "\(plain) InvalidDataException: \(text)")] {
            var reply = ByteBuffer()
            HandshakeResponse(error: error).write(into: &reply)
            #expect(reply.text == vector["outcome"]?[key]?.text)
        }
    }

    @Test(arguments: Vector.of("handshake", ["exchange"]))
    func exchanges(_ vector: Vector) throws {
        var request = ByteBuffer(string: vector.message["clientSends"]?.text ?? "")
        let isSilent = request.readableBytes == 0
        #expect(try (HandshakeRequest.read(from: &request, maximumSize: nil) == nil) == isSilent)

        var wire = vector.wire
        let response = try #require(try HandshakeResponse.read(from: &wire, maximumSize: nil))
        #expect((response.error == nil) == (vector.outcome == "ok"))
        var written = ByteBuffer()
        response.write(into: &written)
        #expect(written == vector.wire)
    }

    @Test(arguments: vectors("response", "ok"))
    func readsResponses(_ vector: Vector) throws {
        var wire = vector.wire
        let message = vector.message["handshake"] ?? vector.message
        let response = try #require(try HandshakeResponse.read(from: &wire, maximumSize: 32768))
        #expect(response == HandshakeResponse(error: message["error"]?.text))

        var rest: [HubMessage] = []
        while let next = try JSONHubCodec().read(from: &wire, maximumSize: nil) { rest.append(next) }
        #expect(rest == (vector.message["rest"]?.items ?? []).compactMap(HubMessage.init(vector:)))

        if vector["direction"]?.text == "both" {
            var written = ByteBuffer()
            response.write(into: &written)
            #expect(written == vector.wire)
        }
    }

    @Test(arguments: vectors("response", "protocolError"))
    func refusesResponses(_ vector: Vector) throws {
        var wire = vector.wire
        let text = try #require(vector["outcome"]?["text"]?.text)
        #expect(throws: HubProtocolError(text)) { try HandshakeResponse.read(from: &wire, maximumSize: nil) }
    }

    @Test func aRequestThatIsTooLongStaysInTheBuffer() throws {
        var bytes = ByteBuffer(repeating: UInt8(ascii: " "), count: 101)
        #expect(throws: HubProtocolError.self) { try HandshakeRequest.read(from: &bytes, maximumSize: 100) }
        #expect(bytes.readableBytes == 101)
    }

    @Test func aVersionIsAThirtyTwoBitInteger() throws {
        for version in ["1.0", "1e0", "2147483648", "99999999999999999999"] {
            var bytes = ByteBuffer(string: "{\"protocol\":\"json\",\"version\":\(version)}\u{1E}")
            #expect(throws: HubProtocolError.self, "\(version)") {
                try HandshakeRequest.read(from: &bytes, maximumSize: nil)
            }
        }
    }
}

extension HandshakeRequest {
    fileprivate init(_ vector: HubValue) {
        self.init(protocol: vector["protocol"]?.text ?? "", version: vector["version"]?.number ?? 0)
    }
}
