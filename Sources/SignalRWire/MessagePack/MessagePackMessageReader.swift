// SignalBox: one array of the MessagePack hub protocol as a message
// SPDX-License-Identifier: Apache-2.0

import NIOCore

/// Reads the items of a message in their fixed order.
///
/// As in .NET the count of the array matters only for the items that older peers leave out; items after the known
/// ones, and bytes after the array, are dropped.
struct MessagePackMessageReader {
    /// The message's own array and that of its arguments.
    private static let levelsOfMessage = 1
    private static let levelsOfArguments = 2

    private let frame: ByteBuffer
    private var reader: MessagePackReader

    /// - Parameter bytes: Those of `frame`.
    init(frame: ByteBuffer, bytes: UnsafeRawBufferPointer) {
        self.frame = frame
        self.reader = MessagePackReader(bytes)
    }

    mutating func message() throws(HubProtocolError) -> HubMessage {
        guard let count = self.reader.arrayCount() else { throw .unreadableArray("message") }
        let type = Int(try self.int32("messageType"))
        switch HubMessageType(rawValue: type) {
        case .invocation: return .invocation(try self.invocation(count, isStreaming: false))
        case .streamInvocation: return .streamInvocation(try self.invocation(count, isStreaming: true))
        case .streamItem:
            let headers = try self.headers()
            return .streamItem(.init(id: try self.id(of: "StreamItem"), item: self.payload(), headers: headers))
        case .completion: return .completion(try self.completion())
        case .cancelInvocation:
            let headers = try self.headers()
            return .cancelInvocation(.init(id: try self.id(of: "CancelInvocation"), headers: headers))
        case .ping: return .ping
        case .close: return .close(try self.close(count))
        case .ack: return .ack(try self.sequenceID())
        case .sequence: return .sequence(try self.sequenceID())
        case nil: return .unknown(type: type)
        }
    }

    private mutating func invocation(
        _ count: Int,
        isStreaming: Bool
    ) throws(HubProtocolError) -> HubMessage.Invocation {
        let headers = try self.headers()
        var id: String?
        if isStreaming {
            id = try self.id(of: "StreamInvocation")
        } else if let given = try self.string("invocationId"), !given.isEmpty {
            id = given
        }
        guard let target = try self.string("target"), !target.isEmpty else {
            throw HubProtocolError(
                "Null or empty target for \(isStreaming ? "StreamInvocation" : "Invocation") message.")
        }
        let arguments = self.arguments()
        var invocation = HubMessage.Invocation(id: id, target: target, arguments: arguments, headers: headers)
        // After arguments that cannot be read nobody knows where the stream ids are.
        if case .unreadable = arguments { return invocation }
        if count > 5 { invocation.streamIDs = try self.streamIDs() }
        return invocation
    }

    private mutating func completion() throws(HubProtocolError) -> HubMessage.Completion {
        let headers = try self.headers()
        let id = try self.id(of: "Completion")
        let outcome: HubMessage.Completion.Outcome
        switch HubMessage.Completion.Kind(rawValue: try self.int32("resultKind")) {
        case .error: outcome = try self.string("error").map { .failure($0) } ?? .void
        case .void: outcome = .void
        case .result: outcome = .result(self.payload())
        case nil: throw HubProtocolError("Invalid invocation result kind.")
        }
        return HubMessage.Completion(id: id, outcome: outcome, headers: headers)
    }

    private mutating func close(_ count: Int) throws(HubProtocolError) -> HubMessage.Close {
        let error = try self.string("error")
        guard count > 2 else { return HubMessage.Close(error: error) }
        guard let allowReconnect = self.reader.bool() else { throw .unreadable("allowReconnect", "Boolean") }
        return HubMessage.Close(error: error, allowReconnect: allowReconnect)
    }
}

// MARK: Items, with .NET's texts

extension MessagePackMessageReader {
    private mutating func headers() throws(HubProtocolError) -> HubHeaders {
        guard let count = self.reader.mapCount() else {
            throw HubProtocolError("Reading map length for 'headers' failed.")
        }
        var headers: HubHeaders = [:]
        for index in 0..<count {
            guard let name = try self.headerPart("Key", index), !name.isEmpty else {
                throw HubProtocolError("Null or empty key in header.")
            }
            guard let value = try self.headerPart("Value", index), !value.isEmpty else {
                throw HubProtocolError("Null or empty value in header.")
            }
            headers[name] = value
        }
        return headers
    }

    private mutating func headerPart(_ part: String, _ index: Int) throws(HubProtocolError) -> String? {
        if self.reader.passesNil() { return nil }
        guard let text = self.reader.string() else { throw .unreadable("headers[\(index)].\(part)", "String") }
        return text
    }

    private mutating func id(of message: StaticString) throws(HubProtocolError) -> String {
        guard let id = try self.string("invocationId"), !id.isEmpty else {
            throw HubProtocolError("Null or empty invocation ID for \(message) message.")
        }
        return id
    }

    /// A failure here fails only the invocation: the message around the arguments is clear.
    private mutating func arguments() -> HubArguments {
        guard let count = self.reader.arrayCount() else {
            return .unreadable(HubProtocolError.unreadableArray("arguments").message)
        }
        let start = self.reader.position
        let levelsLeft = MessagePackReader.maximumDepth - Self.levelsOfArguments
        for _ in 0..<count where !self.reader.skip(levelsLeft: levelsLeft) {
            return .unreadable(
                "Error binding arguments. Make sure that the types of the provided values match the types of the hub "
                    + "method being invoked."
            )
        }
        return .messagePack(self.frame.readableSlice(start..<self.reader.position), count: count)
    }

    /// One value, or the empty payload when it is missing or not well-formed: that fails only its stream or call.
    private mutating func payload() -> HubPayload {
        let start = self.reader.position
        guard self.reader.skip(levelsLeft: MessagePackReader.maximumDepth - Self.levelsOfMessage) else {
            return .messagePack(ByteBuffer())
        }
        return .messagePack(self.frame.readableSlice(start..<self.reader.position))
    }

    private mutating func streamIDs() throws(HubProtocolError) -> [String] {
        guard let count = self.reader.arrayCount() else { throw .unreadableArray("streamIds") }
        var ids: [String] = []
        for _ in 0..<count {
            guard let id = try self.string("streamIds"), !id.isEmpty else {
                throw HubProtocolError("Null or empty value in streamIds received.")
            }
            ids.append(id)
        }
        return ids
    }

    private mutating func sequenceID() throws(HubProtocolError) -> Int64 {
        guard let number = self.reader.integer() else { throw .unreadable("sequenceId", "Int64") }
        return number
    }

    private mutating func int32(_ field: String) throws(HubProtocolError) -> Int32 {
        guard let number = self.reader.integer(), let number = Int32(exactly: number) else {
            throw .unreadable(field, "Int32")
        }
        return number
    }

    /// Text, or nil for nil.
    private mutating func string(_ field: String) throws(HubProtocolError) -> String? {
        if self.reader.passesNil() { return nil }
        guard let text = self.reader.string() else { throw .unreadable(field, "String") }
        return text
    }
}

extension HubMessage.Completion {
    /// What follows in a MessagePack completion.
    enum Kind: Int32 {
        case error = 1
        case void = 2
        case result = 3
    }
}

extension HubProtocolError {
    fileprivate static func unreadable(_ field: String, _ type: StaticString) -> HubProtocolError {
        HubProtocolError("Reading '\(field)' as \(type) failed.")
    }

    fileprivate static func unreadableArray(_ field: StaticString) -> HubProtocolError {
        HubProtocolError("Reading array length for '\(field)' failed.")
    }
}
