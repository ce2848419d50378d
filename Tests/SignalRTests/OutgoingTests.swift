// SignalBox: a message is encoded once per format, whoever asks
// SPDX-License-Identifier: Apache-2.0

import NIOConcurrencyHelpers
import NIOCore
import SignalRWire
import Testing

@testable import SignalR

/// Writes the target of an invocation, and counts.
private final class CountingCodec: HubCodec {
    let name: String
    let transferFormat: TransferFormat
    let maximumVersion = 2
    let count = NIOLockedValueBox(0)

    init(_ name: String, _ transferFormat: TransferFormat) {
        self.name = name
        self.transferFormat = transferFormat
    }

    func read(from buffer: inout ByteBuffer, maximumSize: Int?) throws(HubProtocolError) -> HubMessage? { nil }

    func write(_ message: HubMessage, into buffer: inout ByteBuffer) throws(HubProtocolError) {
        count.withLockedValue { $0 += 1 }
        guard case .invocation(let call) = message, call.target != "fail" else { throw HubProtocolError("cannot") }
        buffer.writeString(call.target)
    }
}

@Suite struct OutgoingTests {
    private let text = CountingCodec("text", .text)
    private let binary = CountingCodec("binary", .binary)
    private var codecs: [any HubCodec] { [text, binary] }

    private func message(_ target: String) -> Outgoing {
        Outgoing(.invocation(.init(id: nil, target: target, arguments: .values([]))))
    }
    private func bytes(_ outgoing: Outgoing, _ codec: UInt8, _ packaging: Packaging) -> ByteBuffer? {
        outgoing.batch(for: Format(codec: codec, packaging: packaging), codecs: codecs)?.bytes()
    }
    private func count(_ codec: CountingCodec) -> Int { codec.count.withLockedValue { $0 } }

    @Test func `Every packaging wraps the same message`() {
        let hi = message("hi")
        #expect(bytes(hi, 0, .bare) == ByteBuffer(string: "hi"))
        #expect(bytes(hi, 0, .webSocketText) == ByteBuffer(bytes: [0x81, 2] + Array("hi".utf8)))
        #expect(bytes(hi, 1, .webSocketBinary) == ByteBuffer(bytes: [0x82, 2] + Array("hi".utf8)))
        #expect(bytes(hi, 0, .serverSentEvent) == ByteBuffer(string: "c\r\ndata: hi\r\n\r\n\r\n"))
        // FIN and RSV1, then deflate without the tail.
        #expect(bytes(hi, 0, .deflatedText)?.readableBytesView.first == 0xC1)
        #expect(bytes(hi, 0, .deflatedBinary)?.readableBytesView.first == 0xC2)
    }

    @Test func `A format is encoded once for all receivers`() async {
        let hi = message("hi")
        await withTaskGroup(of: ByteBuffer?.self) { receivers in
            for _ in 0..<200 { receivers.addTask { bytes(hi, 0, .webSocketText) } }
            for await bytes in receivers { #expect(bytes?.readableBytes == 4) }
        }
        #expect(count(text) == 1)
        #expect(count(binary) == 0)
        _ = bytes(hi, 1, .webSocketBinary)
        #expect(count(binary) == 1)
    }

    @Test func `All receivers get the very same batch`() {
        let (hi, format) = (message("hi"), Format(codec: 0, packaging: .webSocketText))
        #expect(hi.batch(for: format, codecs: codecs) === hi.batch(for: format, codecs: codecs))
    }

    @Test func `What cannot be encoded is tried once`() {
        let bad = message("fail")
        for _ in 0..<3 { #expect(bytes(bad, 0, .bare) == nil) }
        #expect(count(text) == 1)
    }

    @Test func `Messages of other nodes come encoded, for the protocols they know`() {
        let relayed = Outgoing(.encoded(["binary": ByteBuffer(string: "framed")]))
        #expect(bytes(relayed, 1, .bare) == ByteBuffer(string: "framed"))
        #expect(bytes(relayed, 0, .bare) == nil)
        #expect(count(text) + count(binary) == 0)
        #expect(relayed.isNumbered)
    }

    @Test func `Raw messages keep their own kind`() {
        let raw = Outgoing(.raw(ByteBuffer(string: "x"), .binary))
        #expect(bytes(raw, 0, .webSocketText) == ByteBuffer(bytes: [0x82, 1, 0x78]))
        #expect(bytes(raw, 0, .bare) == ByteBuffer(string: "x"))
    }

    @Test func `Only hub messages are numbered`() {
        #expect(message("x").isNumbered)
        #expect(!Outgoing(.ping).isNumbered)
        #expect(!Outgoing(.ack(1)).isNumbered)
        #expect(!Outgoing(.close(.init(error: nil, allowReconnect: false))).isNumbered)
    }
}
