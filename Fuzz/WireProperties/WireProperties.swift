// SignalBox: what must hold for any bytes a peer can send
// SPDX-License-Identifier: Apache-2.0

import NIOCore
import SignalRWire

/// One property per parser, named as its fuzzer. The fuzzers call them with what they invent, the tests of SignalRWire
/// with what was found.
public enum WireProperty: String, CaseIterable, Sendable {
    case json = "FuzzJSON"
    case messagePack = "FuzzMessagePack"
    case handshake = "FuzzHandshake"
    case serverSentEvents = "FuzzServerSentEvents"
    case negotiation = "FuzzNegotiation"
    case service = "FuzzService"

    public struct Violation: Error {
        public let text: String
    }

    /// - Throws: `Violation` when the property does not hold.
    public func check(_ input: [UInt8]) throws {
        let bytes = ByteBuffer(bytes: input)
        switch self {
        case .json:
            try Self.valuesSettle(bytes, { try JSON.value(from: $0) }, { try JSON.write($0, into: &$1) })
            try Self.messagesSettle(bytes, JSONHubCodec(), MessagePackHubCodec())
        case .messagePack:
            try Self.valuesSettle(bytes, { try MessagePack.value(from: $0) }, { try MessagePack.write($0, into: &$1) })
            try Self.messagesSettle(bytes, MessagePackHubCodec(), JSONHubCodec())
        case .handshake: try Self.handshakesComeBack(bytes)
        case .serverSentEvents: try Self.eventsComeBack(bytes)
        case .negotiation: try Self.negotiationsComeBack(bytes)
        case .service: try Self.serviceMessagesSettle(bytes)
        }
    }

    private static func require(_ condition: Bool, _ text: @autoclosure () -> String) throws {
        if !condition { throw Violation(text: text()) }
    }

    // MARK: Values and messages

    /// What was read and written once is read and written the same from then on.
    private static func valuesSettle(
        _ bytes: ByteBuffer,
        _ read: (ByteBuffer) throws -> HubValue,
        _ write: (HubValue, inout ByteBuffer) throws -> Void
    ) throws {
        guard let value = try? read(bytes) else { return }
        var first = ByteBuffer()
        try write(value, &first)
        let settled = try read(first)
        var second = ByteBuffer()
        try write(settled, &second)
        var third = ByteBuffer()
        try write(try read(second), &third)
        try self.require(second == third, "\(value) does not settle")
    }

    private static func messagesSettle(
        _ bytes: ByteBuffer,
        _ codec: any HubCodec,
        _ other: any HubCodec
    ) throws {
        let (messages, error) = self.messages(in: bytes, codec, piece: .max)
        // Byte by byte costs the square of the length.
        if bytes.readableBytes <= 1024 {
            let (same, sameError) = self.messages(in: bytes, codec, piece: 1)
            try self.require(messages == same && error == sameError, "Read in pieces \(messages) are \(same).")
        }
        for message in messages {
            try self.payloadsAgree(in: message)
            try self.settles(message, codec)
            try self.settles(message, other)
        }
    }

    private static func messages(
        in bytes: ByteBuffer,
        _ codec: any HubCodec,
        piece: Int
    ) -> ([HubMessage], HubProtocolError?) {
        var rest = bytes
        var buffer = ByteBuffer()
        var messages: [HubMessage] = []
        while rest.readableBytes > 0, var next = rest.readSlice(length: min(piece, rest.readableBytes)) {
            buffer.writeBuffer(&next)
            do throws(HubProtocolError) {
                while let message = try codec.read(from: &buffer, maximumSize: nil) { messages.append(message) }
            } catch {
                return (messages, error)
            }
        }
        return (messages, nil)
    }

    /// What can be written can be read, and is the same when it is written again.
    private static func settles(_ message: HubMessage, _ codec: any HubCodec) throws {
        var first = ByteBuffer()
        guard (try? codec.write(message, into: &first)) != nil else { return }
        var copy = first
        guard let read = try codec.read(from: &copy, maximumSize: first.readableBytes) else {
            throw Violation(text: "\(message) is written incompletely")
        }
        var second = ByteBuffer()
        try codec.write(read, into: &second)
        try self.require(first == second && copy.readableBytes == 0, "\(message) does not settle")
    }

    private static func payloadsAgree(in message: HubMessage) throws {
        switch message {
        case .streamItem(let item): try self.agrees(item.item)
        case .completion(let completion):
            if case .result(let result) = completion.outcome { try self.agrees(result) }
        case .invocation(let invocation), .streamInvocation(let invocation):
            var reader = invocation.arguments.makeReader()
            while reader.remaining > 0 { try self.agrees(try reader.next()) }
        default: break
        }
    }

    /// The shortcuts say what the decoded value says.
    private static func agrees(_ payload: HubPayload) throws {
        let value = try? payload.value()
        let decoded = value.map(HubPayload.value)
        try self.require(
            payload.string() == decoded?.string() && payload.bool() == decoded?.bool()
                && payload.double()?.bitPattern == decoded?.double()?.bitPattern && payload.isNull == (value == .null),
            "\(payload) is not \(String(describing: value))"
        )
    }

    // MARK: The service protocol

    private static func serviceMessagesSettle(_ bytes: ByteBuffer) throws {
        let (messages, failed) = self.serviceMessages(in: bytes, piece: .max)
        if bytes.readableBytes <= 1024 {
            let (same, sameFailed) = self.serviceMessages(in: bytes, piece: 1)
            try self.require(messages == same && failed == sameFailed, "Read in pieces \(messages) are \(same).")
        }
        for message in messages {
            var first = ByteBuffer()
            guard (try? ServiceCodec.write(message, into: &first)) != nil else { continue }
            var copy = first
            guard let read = try ServiceCodec.read(from: &copy) else {
                throw Violation(text: "\(message) is written incompletely")
            }
            var second = ByteBuffer()
            try ServiceCodec.write(read, into: &second)
            try self.require(first == second && copy.readableBytes == 0, "\(message) does not settle")
        }
    }

    private static func serviceMessages(in bytes: ByteBuffer, piece: Int) -> ([ServiceMessage], failed: Bool) {
        var rest = bytes
        var buffer = ByteBuffer()
        var messages: [ServiceMessage] = []
        while rest.readableBytes > 0, var next = rest.readSlice(length: min(piece, rest.readableBytes)) {
            buffer.writeBuffer(&next)
            do throws(HubProtocolError) {
                while let message = try ServiceCodec.read(from: &buffer) { messages.append(message) }
            } catch {
                return (messages, true)
            }
        }
        return (messages, false)
    }

    // MARK: The rest

    private static func handshakesComeBack(_ bytes: ByteBuffer) throws {
        var input = bytes
        if let request = try? HandshakeRequest.read(from: &input, maximumSize: nil) {
            var written = ByteBuffer()
            request.write(into: &written)
            try self.require(try HandshakeRequest.read(from: &written, maximumSize: nil) == request, "\(request)")
        }
        input = bytes
        if let response = try? HandshakeResponse.read(from: &input, maximumSize: nil) {
            var written = ByteBuffer()
            response.write(into: &written)
            try self.require(try HandshakeResponse.read(from: &written, maximumSize: nil) == response, "\(response)")
        }
    }

    private static func negotiationsComeBack(_ bytes: ByteBuffer) throws {
        guard let response = try? NegotiateResponse(reading: bytes) else { return }
        var written = ByteBuffer()
        response.write(into: &written)
        try self.require(try NegotiateResponse(reading: written) == response, "\(response)")
    }

    private static func eventsComeBack(_ bytes: ByteBuffer) throws {
        let whole = self.events(in: bytes, piece: .max)
        try self.require(whole == self.events(in: bytes, piece: 1), "cut differently")
        try self.require(whole == self.events(in: bytes, piece: 3), "cut differently")

        var written = ByteBuffer()
        ServerSentEvent.write(bytes, into: &written)
        let events = self.events(in: written, piece: .max)
        try self.require(events.count == (bytes.readableBytes == 0 ? 0 : 1), "not one event")
        let hasCarriageReturn = bytes.readableBytesView.contains(UInt8(ascii: "\r"))
        try self.require(hasCarriageReturn || events.first ?? ByteBuffer() == bytes, "another event")
    }

    private static func events(in bytes: ByteBuffer, piece: Int) -> [ByteBuffer] {
        var parser = ServerSentEvent.Parser()
        var rest = bytes
        var events: [ByteBuffer] = []
        while rest.readableBytes > 0, let next = rest.readSlice(length: min(piece, rest.readableBytes)) {
            parser.feed(next)
            while let event = try? parser.next() { events.append(event) }
        }
        return events
    }
}
