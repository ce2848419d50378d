// SignalBox: the arguments of an invocation, read one by one
// SPDX-License-Identifier: Apache-2.0

public import NIOCore

/// The arguments of an invocation: as bytes when they were received, as values when they will be sent.
public enum HubArguments: Sendable, Hashable {
    case values([HubValue])
    /// The text of the JSON array, from `[` to `]`.
    case json(ByteBuffer, count: Int)
    /// The MessagePack values one after the other, without an array header.
    case messagePack(ByteBuffer, count: Int)
    case payloads([HubPayload])
    /// The peer's arguments are no arguments at all. That fails this invocation, not the connection; the text says why.
    case unreadable(String)

    /// The number of arguments; 0 when they are unreadable.
    public var count: Int {
        switch self {
        case .values(let values): values.count
        case .json(_, let count), .messagePack(_, let count): count
        case .payloads(let payloads): payloads.count
        case .unreadable: 0
        }
    }

    public func makeReader() -> HubArgumentReader { HubArgumentReader(self) }
}

/// Hands out arguments in order, as slices that share the message's memory.
public struct HubArgumentReader: Sendable {
    /// How many `next()` can still return.
    public private(set) var remaining: Int
    private var rest: HubArguments

    init(_ arguments: HubArguments) {
        self.remaining = arguments.count
        self.rest = arguments
        if case .json(var text, let count) = arguments {
            // Without its opening bracket every item of the array is followed by one byte, a comma or the bracket.
            text.moveReaderIndex(forwardBy: min(1, text.readableBytes))
            self.rest = .json(text, count: count)
        }
    }

    /// The next argument.
    ///
    /// - Throws: `HubProtocolError` when there is none left, or when the arguments are unreadable.
    public mutating func next() throws(HubProtocolError) -> HubPayload {
        if case .unreadable(let reason) = self.rest { throw HubProtocolError(reason) }
        guard self.remaining > 0 else { throw HubProtocolError("There are no more arguments.") }
        let payload: HubPayload
        switch self.rest {
        case .values(let values): payload = .value(values[values.count - self.remaining])
        case .payloads(let payloads): payload = payloads[payloads.count - self.remaining]
        case .json(var text, let count):
            payload = .json(try JSON.readItem(from: &text))
            self.rest = .json(text, count: count)
        case .messagePack(var bytes, let count):
            payload = .messagePack(try MessagePack.readItem(from: &bytes))
            self.rest = .messagePack(bytes, count: count)
        case .unreadable(let reason): throw HubProtocolError(reason)
        }
        self.remaining -= 1
        return payload
    }
}
