// SignalBox: a message as one array of the MessagePack hub protocol
// SPDX-License-Identifier: Apache-2.0

import NIOCore

extension HubMessage {
    /// Appends the array without its length. The counts are .NET's, which every peer accepts.
    func writeMessagePack(into buffer: inout ByteBuffer) throws(HubProtocolError) {
        switch self {
        case .invocation(let invocation): try invocation.writeMessagePack(.invocation, into: &buffer)
        case .streamInvocation(let invocation): try invocation.writeMessagePack(.streamInvocation, into: &buffer)
        case .streamItem(let item):
            try buffer.writeOpening(.streamItem, count: 4, headers: item.headers)
            try buffer.writeName(item.id)
            try item.item.writeMessagePack(into: &buffer)
        case .completion(let completion): try completion.writeMessagePack(into: &buffer)
        case .cancelInvocation(let cancel):
            try buffer.writeOpening(.cancelInvocation, count: 3, headers: cancel.headers)
            try buffer.writeName(cancel.id)
        case .ping: try buffer.writeOpening(.ping, count: 1)
        case .close(let close):
            try buffer.writeOpening(.close, count: 3)
            try buffer.writeStringOrNil(close.error)
            try MessagePack.write(.bool(close.allowReconnect), into: &buffer)
        case .ack(let number):
            try buffer.writeOpening(.ack, count: 2)
            MessagePack.write(integer: number, into: &buffer)
        case .sequence(let number):
            try buffer.writeOpening(.sequence, count: 2)
            MessagePack.write(integer: number, into: &buffer)
        case .unknown(let type): throw .unwritable(type)
        }
    }
}

extension HubMessage.Invocation {
    fileprivate func writeMessagePack(_ type: HubMessageType, into buffer: inout ByteBuffer) throws(HubProtocolError) {
        try buffer.writeOpening(type, count: 6, headers: self.headers)
        try buffer.writeStringOrNil(self.id)
        try buffer.writeName(self.target)
        try self.arguments.writeMessagePack(into: &buffer)
        try MessagePack.writeArrayHead(count: self.streamIDs.count, into: &buffer)
        for id in self.streamIDs { try buffer.writeName(id) }
    }
}

extension HubMessage.Completion {
    fileprivate func writeMessagePack(into buffer: inout ByteBuffer) throws(HubProtocolError) {
        let kind: Kind
        switch self.outcome {
        case .void: kind = .void
        case .result: kind = .result
        // .NET takes an empty text for no error.
        case .failure(let error): kind = error.isEmpty ? .void : .error
        }
        try buffer.writeOpening(.completion, count: kind == .void ? 4 : 5, headers: self.headers)
        try buffer.writeName(self.id)
        MessagePack.write(integer: Int64(kind.rawValue), into: &buffer)
        switch self.outcome {
        case .result(let result): try result.writeMessagePack(into: &buffer)
        case .failure(let error) where kind == .error: try MessagePack.write(string: error, into: &buffer)
        case .void, .failure: break
        }
    }
}

extension HubPayload {
    fileprivate func writeMessagePack(into buffer: inout ByteBuffer) throws(HubProtocolError) {
        switch self {
        case .messagePack(let bytes):
            // The stand-in for a value that could not be read.
            guard bytes.readableBytes > 0 else { throw .messagePack }
            buffer.writeImmutableBuffer(bytes)
        case .value(let value): try MessagePack.write(value, into: &buffer)
        case .json: try MessagePack.write(self.value(), into: &buffer)
        }
    }
}

extension HubArguments {
    fileprivate func writeMessagePack(into buffer: inout ByteBuffer) throws(HubProtocolError) {
        if case .unreadable(let reason) = self { throw HubProtocolError(reason) }
        try MessagePack.writeArrayHead(count: self.count, into: &buffer)
        if case .messagePack(let items, _) = self {
            buffer.writeImmutableBuffer(items)
            return
        }
        var reader = self.makeReader()
        while reader.remaining > 0 { try reader.next().writeMessagePack(into: &buffer) }
    }
}

extension ByteBuffer {
    /// The head of the array and the type.
    fileprivate mutating func writeOpening(_ type: HubMessageType, count: Int) throws(HubProtocolError) {
        try MessagePack.writeArrayHead(count: count, into: &self)
        MessagePack.write(integer: Int64(type.rawValue), into: &self)
    }

    fileprivate mutating func writeOpening(
        _ type: HubMessageType,
        count: Int,
        headers: HubHeaders
    ) throws(HubProtocolError) {
        try self.writeOpening(type, count: count)
        try MessagePack.writeMapHead(count: headers.count, into: &self)
        guard !headers.isEmpty else { return }
        for (name, value) in headers.sorted(by: { $0.key < $1.key }) {
            try self.writeName(name)
            try self.writeName(value)
        }
    }

    /// Peers close the connection for an empty id, target or header.
    fileprivate mutating func writeName(_ text: String) throws(HubProtocolError) {
        guard !text.isEmpty else {
            throw HubProtocolError("MessagePack cannot express an empty id, target or header.")
        }
        try MessagePack.write(string: text, into: &self)
    }

    /// Peers refuse or misread empty text here.
    fileprivate mutating func writeStringOrNil(_ text: String?) throws(HubProtocolError) {
        guard let text, !text.isEmpty else {
            self.writeInteger(MessagePack.Format.nil)
            return
        }
        try MessagePack.write(string: text, into: &self)
    }
}
