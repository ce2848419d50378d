// SignalBox: the JSON hub protocol
// SPDX-License-Identifier: Apache-2.0

public import NIOCore

/// The hub protocol "json" (HubProtocol.md, "JSON Encoding"): one JSON object per message, each followed by 0x1E.
public struct JSONHubCodec: HubCodec {
    public init() {}

    public var name: String { "json" }
    public var transferFormat: TransferFormat { .text }
    public var maximumVersion: Int { 2 }

    public func read(
        from buffer: inout ByteBuffer,
        maximumSize: Int?
    ) throws(HubProtocolError) -> HubMessage? {
        guard let frame = try RecordSeparator.readFrame(from: &buffer, maximumSize: maximumSize) else { return nil }
        let envelope = try frame.withUnsafeReadableBytes { bytes throws(HubProtocolError) in try JSONEnvelope(bytes) }
        return try envelope.message(in: frame)
    }

    public func write(_ message: HubMessage, into buffer: inout ByteBuffer) throws(HubProtocolError) {
        buffer.reserveCapacity(minimumWritableBytes: HubMessage.usualSize)
        try buffer.writeOrRestore { buffer throws(HubProtocolError) in
            try message.writeJSON(into: &buffer)
        }
    }
}

// MARK: Reading

extension JSONEnvelope {
    fileprivate func message(in frame: ByteBuffer) throws(HubProtocolError) -> HubMessage {
        guard let type else { throw .missing("type") }
        switch HubMessageType(rawValue: type) {
        case .invocation: return .invocation(try self.invocation(in: frame))
        case .streamInvocation:
            let invocation = try self.invocation(in: frame)
            guard invocation.id != nil else { throw .missing("invocationId") }
            return .streamInvocation(invocation)
        case .streamItem:
            let id = try self.requiredID()
            guard let item else { throw .missing("item") }
            return .streamItem(.init(id: id, item: .json(frame.readableSlice(item)), headers: self.headers))
        case .completion:
            return .completion(
                .init(id: try self.requiredID(), outcome: try self.outcome(in: frame), headers: self.headers))
        case .cancelInvocation: return .cancelInvocation(.init(id: try self.requiredID(), headers: self.headers))
        case .ping: return .ping
        case .close: return .close(.init(error: self.error, allowReconnect: self.allowsReconnect))
        case .ack: return .ack(try self.requiredSequenceID())
        case .sequence: return .sequence(try self.requiredSequenceID())
        case nil: return .unknown(type: type)
        }
    }

    private func invocation(in frame: ByteBuffer) throws(HubProtocolError) -> HubMessage.Invocation {
        guard let target else { throw .missing("target") }
        guard let arguments else { throw .missing("arguments") }
        return HubMessage.Invocation(
            id: self.invocationID.flatMap { $0.isEmpty ? nil : $0 },
            target: target,
            arguments: .json(frame.readableSlice(arguments.range), count: arguments.count),
            streamIDs: self.streamIDs,
            headers: self.headers
        )
    }

    /// .NET refuses an error next to any result. A null result beside it is what some peers write for "none".
    private func outcome(in frame: ByteBuffer) throws(HubProtocolError) -> HubMessage.Completion.Outcome {
        if let error {
            if let result, !result.isNull {
                throw HubProtocolError("The 'error' and 'result' properties are mutually exclusive.")
            }
            return .failure(error)
        }
        return self.result.map { .result(.json(frame.readableSlice($0.range))) } ?? .void
    }

    private func requiredID() throws(HubProtocolError) -> String {
        guard let id = self.invocationID, !id.isEmpty else { throw .missing("invocationId") }
        return id
    }

    private func requiredSequenceID() throws(HubProtocolError) -> Int64 {
        guard let sequenceID else { throw .missing("sequenceId") }
        return sequenceID
    }
}

extension HubProtocolError {
    static func missing(_ property: StaticString) -> HubProtocolError {
        HubProtocolError("Missing required property '\(property)'.")
    }
}

// MARK: Writing

extension HubMessage {
    fileprivate func writeJSON(into buffer: inout ByteBuffer) throws(HubProtocolError) {
        switch self {
        case .invocation(let invocation): try invocation.writeJSON(opening: "{\"type\":1", into: &buffer)
        case .streamInvocation(let invocation): try invocation.writeJSON(opening: "{\"type\":4", into: &buffer)
        case .streamItem(let item):
            buffer.writeOpening("{\"type\":2", headers: item.headers, id: item.id)
            buffer.writeStaticString(",\"item\":")
            try item.item.writeJSON(into: &buffer)
        case .completion(let completion):
            buffer.writeOpening("{\"type\":3", headers: completion.headers, id: completion.id)
            try completion.outcome.writeJSON(into: &buffer)
        case .cancelInvocation(let cancel): buffer.writeOpening("{\"type\":5", headers: cancel.headers, id: cancel.id)
        case .ping: buffer.writeStaticString("{\"type\":6")
        case .close(let close): close.writeJSON(into: &buffer)
        case .ack(let number): buffer.writeString("{\"type\":8,\"sequenceId\":\(number)")
        case .sequence(let number): buffer.writeString("{\"type\":9,\"sequenceId\":\(number)")
        case .unknown(let type): throw .unwritable(type)
        }
        buffer.writeStaticString("}\u{1E}")
    }
}

extension HubMessage.Invocation {
    fileprivate func writeJSON(
        opening: StaticString,
        into buffer: inout ByteBuffer
    ) throws(HubProtocolError) {
        buffer.writeOpening(opening, headers: self.headers, id: self.id)
        buffer.writeStaticString(",\"target\":")
        JSON.write(string: self.target, into: &buffer)
        buffer.writeStaticString(",\"arguments\":")
        try self.arguments.writeJSON(into: &buffer)
        if !self.streamIDs.isEmpty {
            buffer.writeStaticString(",\"streamIds\":")
            try JSON.write(.array(self.streamIDs.map(HubValue.string)), into: &buffer)
        }
    }
}

extension HubMessage.Completion.Outcome {
    fileprivate func writeJSON(into buffer: inout ByteBuffer) throws(HubProtocolError) {
        switch self {
        case .void: break
        case .result(let result):
            buffer.writeStaticString(",\"result\":")
            try result.writeJSON(into: &buffer)
        case .failure(let error):
            guard !error.isEmpty else { break }
            buffer.writeStaticString(",\"error\":")
            JSON.write(string: error, into: &buffer)
        }
    }
}

extension HubMessage.Close {
    fileprivate func writeJSON(into buffer: inout ByteBuffer) {
        buffer.writeStaticString("{\"type\":7")
        if let error {
            buffer.writeStaticString(",\"error\":")
            JSON.write(string: error, into: &buffer)
        }
        if self.allowReconnect { buffer.writeStaticString(",\"allowReconnect\":true") }
    }
}

extension ByteBuffer {
    /// What most messages begin with. Peers refuse null and empty members, so those are left out.
    fileprivate mutating func writeOpening(_ opening: StaticString, headers: HubHeaders, id: String?) {
        self.writeStaticString(opening)
        if !headers.isEmpty {
            var separator: StaticString = ",\"headers\":{"
            for (name, value) in headers.sorted(by: { $0.key < $1.key }) {
                self.writeStaticString(separator)
                JSON.write(string: name, into: &self)
                self.writeStaticString(":")
                JSON.write(string: value, into: &self)
                separator = ","
            }
            self.writeStaticString("}")
        }
        if let id, !id.isEmpty {
            self.writeStaticString(",\"invocationId\":")
            JSON.write(string: id, into: &self)
        }
    }
}

extension HubPayload {
    func writeJSON(into buffer: inout ByteBuffer) throws(HubProtocolError) {
        switch self {
        case .json(let text): buffer.writeImmutableBuffer(text)
        case .value(let value): try JSON.write(value, into: &buffer)
        case .messagePack: try JSON.write(self.value(), into: &buffer)
        }
    }
}

extension HubArguments {
    func writeJSON(into buffer: inout ByteBuffer) throws(HubProtocolError) {
        if case .json(let text, _) = self {
            buffer.writeImmutableBuffer(text)
            return
        }
        if case .unreadable(let reason) = self { throw HubProtocolError(reason) }
        buffer.writeStaticString("[")
        var reader = self.makeReader()
        var isFirst = true
        while reader.remaining > 0 {
            if !isFirst { buffer.writeStaticString(",") }
            isFirst = false
            try reader.next().writeJSON(into: &buffer)
        }
        buffer.writeStaticString("]")
    }
}

extension JSON {
    /// Takes the next item off the text of an array that has lost its opening bracket, and the separator after it.
    static func readItem(from text: inout ByteBuffer) throws(HubProtocolError) -> ByteBuffer {
        let (item, end) = try text.withUnsafeReadableBytes { bytes throws(HubProtocolError) in
            var scanner = JSONScanner(bytes)
            let item = try scanner.value()
            try scanner.separatorOrClosingBracket()
            return (item, scanner.position)
        }
        defer { text.moveReaderIndex(forwardBy: end) }
        return text.readableSlice(item)
    }
}

extension HubProtocolError {
    static func unwritable(_ type: Int) -> HubProtocolError {
        HubProtocolError("A message of the unknown type \(type) cannot be written.")
    }
}
