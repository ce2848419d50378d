// SignalBox: the body of a REST send, as a message for clients
// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import NIOCore
import SignalR
import SignalRWire

/// Reads the message of a send (service reference, "Message body").
enum RestMessage {
    /// The message of a send, ready for any number of clients.
    /// - Parameter type: the value of `Content-Type`.
    /// - Throws: ``RestError`` with 400.
    static func read(_ body: ByteBuffer, type: String?) throws(RestError) -> Outgoing {
        switch try Format(body, type: type) {
        case .json: Outgoing(.invocation(try json(body)))
        case .messagePack:
            switch try messagePack(body) {
            case .frames(let frames): Outgoing(.encoded(try classic(frames)))
            case .message(let message): Outgoing(.invocation(try Call(message).invocation))
            }
        }
    }

    /// The same for one client that is asked for a result: frames are opened, since the call gets an id of its own.
    static func readCall(_ body: ByteBuffer, type: String?) throws(RestError) -> HubMessage.Invocation {
        guard try Format(body, type: type) == .messagePack else { return try json(body) }
        switch try messagePack(body) {
        case .message(let message): return try Call(message).invocation
        case .frames(let frames):
            guard case .invocation(let call)? = opened(frames) else { throw .invalid("No frame holds a call.") }
            return call
        }
    }

    /// An item of a stream: any JSON value, or frames with it.
    static func readItem(_ body: ByteBuffer, of stream: String, type: String?) throws(RestError) -> Outgoing {
        guard try Format(body, type: type) == .messagePack else {
            _ = try jsonValue(body)
            return Outgoing(.streamItem(.init(id: stream, item: .json(JSONText.trimmed(body)))))
        }
        guard case .frames(let frames) = try messagePack(body) else { throw .invalid("The body must hold frames.") }
        return Outgoing(.encoded(try classic(frames)))
    }

    private enum Format {
        case json, messagePack

        init(_ body: ByteBuffer, type: String?) throws(RestError) {
            guard body.readableBytes > 0 else { throw .invalid("The message is missing.") }
            switch type?.split(separator: ";").first?.trimmingBlanks.lowercased() {
            case nil, "application/json", "text/json": self = .json
            case "application/octet-stream", "application/x-msgpack": self = .messagePack
            default: throw .unsupportedType
            }
        }
    }

    /// `{"target":…,"arguments":[…]}`, names in any case. Arguments travel to JSON clients as they were written.
    static func json(_ body: ByteBuffer) throws(RestError) -> HubMessage.Invocation {
        var call = try Call(try jsonValue(body))
        if let position = call.position, let text = JSONText.items(of: body).dropFirst(position).first {
            call.invocation.arguments = .json(text, count: call.invocation.arguments.count)
        }
        return call.invocation
    }

    static func jsonValue(_ body: ByteBuffer) throws(RestError) -> HubValue {
        do {
            return try JSON.value(from: body)
        } catch {
            throw .invalid("The body is not valid JSON: \(error.message)")
        }
    }

    private enum Packed {
        case frames([String: ByteBuffer])
        case message(HubValue)
    }

    /// A map from protocol names to complete frames, which are passed on as they are; or one with target and arguments.
    private static func messagePack(_ body: ByteBuffer) throws(RestError) -> Packed {
        guard let message = try? MessagePack.value(from: body), case .map(let members) = message else {
            throw .invalid("The body must be a MessagePack map.")
        }
        var frames: [String: ByteBuffer] = [:]
        for member in members {
            guard case .binary(let frame) = member.value else { return .message(message) }
            frames[member.key.lowercased()] = ByteBuffer(bytes: frame)
        }
        return .frames(frames)
    }

    /// A value for classic clients, which may be any JSON, instead of a frame translated for them.
    private static func classic(_ frames: [String: ByteBuffer]) throws(RestError) -> [String: ByteBuffer] {
        var frames = frames
        guard let value = frames.removeValue(forKey: ClassicHubCodec().name) else { return frames }
        _ = try jsonValue(value)
        var line = ByteBuffer()
        do {
            try ClassicCodec.write(HubPayload.json(JSONText.trimmed(value)), into: &line)
        } catch {
            throw .invalid("The classic value cannot be written: \(error.message)")
        }
        frames[ClassicHubCodec.messagesName] = line
        return frames
    }

    /// The message in one of the frames.
    private static func opened(_ frames: [String: ByteBuffer]) -> HubMessage? {
        for codec in [JSONHubCodec(), MessagePackHubCodec()] as [any HubCodec] {
            if var frame = frames[codec.name], let message = try? codec.read(from: &frame, maximumSize: nil) {
                return message
            }
        }
        return nil
    }

    /// What is to be called on clients.
    private struct Call {
        var invocation: HubMessage.Invocation
        /// Which member of the message holds the arguments.
        var position: Int?

        /// The last of several members with a name counts.
        init(_ message: HubValue) throws(RestError) {
            guard case .map(let members) = message else { throw .invalid("The message must be an object.") }
            var (target, arguments): (String, [HubValue]) = ("", [])
            for (index, member) in members.enumerated() {
                switch (member.key.lowercased(), member.value) {
                case ("target", .string(let name)): target = name
                case ("arguments", .array(let values)): (arguments, self.position) = (values, index)
                case ("arguments", .null): (arguments, self.position) = ([], nil)
                case ("target", _): throw .invalid("'target' must be a string.")
                case ("arguments", _): throw .invalid("'arguments' must be an array.")
                default: break
                }
            }
            guard !target.isEmpty else { throw .invalid("'target' is missing.") }
            self.invocation = .init(id: nil, target: target, arguments: .values(arguments))
        }
    }
}

/// Places in a JSON text that was validated before.
enum JSONText {
    /// The texts of an object's values or of an array's items, in order, without white space around them.
    static func items(of text: ByteBuffer) -> [ByteBuffer] {
        var items: [ByteBuffer] = []
        var (depth, start, isInString, isEscaped) = (0, text.readerIndex, false, false)
        for (offset, byte) in text.readableBytesView.enumerated() {
            let index = text.readerIndex + offset
            if isInString {
                if !isEscaped, byte == UInt8(ascii: "\"") { isInString = false }
                isEscaped = !isEscaped && byte == UInt8(ascii: "\\")
                continue
            }
            switch byte {
            case UInt8(ascii: "\""): isInString = true
            case UInt8(ascii: ":") where depth == 1: start = index + 1
            case UInt8(ascii: ",") where depth == 1:
                items.append(trimmed(text, start..<index))
                start = index + 1
            case UInt8(ascii: "{"), UInt8(ascii: "["):
                depth += 1
                if depth == 1 { start = index + 1 }
            case UInt8(ascii: "}"), UInt8(ascii: "]"):
                depth -= 1
                guard depth == 0 else { continue }
                let last = trimmed(text, start..<index)
                if last.readableBytes > 0 { items.append(last) }
            default: break
            }
        }
        return items
    }

    static func trimmed(_ text: ByteBuffer) -> ByteBuffer { trimmed(text, text.readerIndex..<text.writerIndex) }

    private static func trimmed(_ text: ByteBuffer, _ range: Range<Int>) -> ByteBuffer {
        let blanks = Set(" \t\r\n".utf8)
        var slice = text.getSlice(at: range.lowerBound, length: range.count) ?? ByteBuffer()
        while let byte = slice.readableBytesView.first, blanks.contains(byte) { slice.moveReaderIndex(forwardBy: 1) }
        while let byte = slice.readableBytesView.last, blanks.contains(byte) {
            slice.moveWriterIndex(to: slice.writerIndex - 1)
        }
        return slice
    }
}

extension RestError {
    fileprivate static let unsupportedType = RestError.invalid(
        "The content type must be application/json or application/octet-stream.")
}

extension Substring {
    fileprivate var trimmingBlanks: Substring {
        var text = self[...]
        while text.last == " " { text.removeLast() }
        while text.first == " " { text.removeFirst() }
        return text
    }
}
