// SignalBox: the body of a REST send, as a message for clients
// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import NIOCore
import SignalR
import SignalRWire

/// Reads the message of a send (service reference, "Message body").
enum RestMessage {
    /// - Parameter type: the value of `Content-Type`.
    /// - Throws: ``RestError`` with 400 or 415.
    static func read(_ body: ByteBuffer, type: String?) throws(RestError) -> Outgoing {
        guard body.readableBytes > 0 else { throw .invalid("The message is missing.") }
        switch type?.split(separator: ";").first?.trimmingBlanks.lowercased() {
        case nil, "application/json", "text/json": return try json(body)
        case "application/octet-stream", "application/x-msgpack": return try messagePack(body)
        default: throw .unsupportedType
        }
    }

    /// `{"target":…,"arguments":[…]}`, names in any case. Arguments travel to JSON clients as they were written.
    private static func json(_ body: ByteBuffer) throws(RestError) -> Outgoing {
        let message: HubValue
        do {
            message = try JSON.value(from: body)
        } catch {
            throw .invalid("The body is not valid JSON: \(error.message)")
        }
        let call = try Call(message)
        guard let position = call.position, let text = JSONText.values(ofObject: body).dropFirst(position).first else {
            return call.outgoing(.values(call.arguments))
        }
        return call.outgoing(.json(text, count: call.arguments.count))
    }

    /// A map from protocol names to complete frames, which are passed on as they are; or one with target and arguments.
    private static func messagePack(_ body: ByteBuffer) throws(RestError) -> Outgoing {
        guard let message = try? MessagePack.value(from: body), case .map(let members) = message else {
            throw .invalid("The body must be a MessagePack map.")
        }
        var frames: [String: ByteBuffer] = [:]
        for member in members {
            guard case .binary(let frame) = member.value else {
                let call = try Call(message)
                return call.outgoing(.values(call.arguments))
            }
            frames[member.key.lowercased()] = ByteBuffer(bytes: frame)
        }
        return Outgoing(.encoded(frames))
    }

    /// What is to be called on clients.
    private struct Call {
        let target: String
        var arguments: [HubValue] = []
        /// Which member of the message holds the arguments.
        var position: Int?

        /// The last of several members with a name counts.
        init(_ message: HubValue) throws(RestError) {
            guard case .map(let members) = message else { throw .invalid("The message must be an object.") }
            var target = ""
            for (position, member) in members.enumerated() {
                switch (member.key.lowercased(), member.value) {
                case ("target", .string(let name)): target = name
                case ("arguments", .array(let values)): (self.arguments, self.position) = (values, position)
                case ("arguments", .null): (self.arguments, self.position) = ([], nil)
                case ("target", _): throw .invalid("'target' must be a string.")
                case ("arguments", _): throw .invalid("'arguments' must be an array.")
                default: break
                }
            }
            guard !target.isEmpty else { throw .invalid("'target' is missing.") }
            self.target = target
        }

        func outgoing(_ arguments: HubArguments) -> Outgoing {
            Outgoing(.invocation(.init(id: nil, target: target, arguments: arguments)))
        }
    }
}

/// Places in a JSON text that was validated before.
enum JSONText {
    /// The texts of an object's values, in order, without white space around them.
    static func values(ofObject text: ByteBuffer) -> [ByteBuffer] {
        var values: [ByteBuffer] = []
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
            case UInt8(ascii: ",") where depth == 1: values.append(trimmed(text, start..<index))
            case UInt8(ascii: "{"), UInt8(ascii: "["): depth += 1
            case UInt8(ascii: "}"), UInt8(ascii: "]"):
                depth -= 1
                if depth == 0, start > text.readerIndex { values.append(trimmed(text, start..<index)) }
            default: break
            }
        }
        return values
    }

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
