// SignalBox: the JSON of ASP.NET SignalR 2.x
// SPDX-License-Identifier: Apache-2.0

public import NIOCore

/// Reads what classic clients send and writes what they receive. Every text is one line, since event streams end data at line feeds.
public enum ClassicCodec {
    /// Arrays and objects inside each other in one argument or in the state (classic protocol reference, §19).
    public static let maximumDepth = 20
    /// `{}`, which tells a client that its connection is alive.
    public static let keepAlive = ByteBuffer(staticString: "{}")

    // MARK: Reading

    /// Reads the payload of a hub message.
    ///
    /// - Throws: `HubProtocolError` when it is no JSON object, or its id is neither a number nor a string.
    public static func readInvocation(from text: ByteBuffer) throws(HubProtocolError) -> ClassicInvocation {
        var invocation = ClassicInvocation(hub: nil, method: nil, arguments: .values([]), id: nil)
        try text.withUnsafeReadableBytes { bytes throws(HubProtocolError) in
            // The message and its array are two levels more.
            var scanner = JSONScanner(bytes, maximumDepth: self.maximumDepth + 2)
            try scanner.expectObject()
            try scanner.object { scanner, key throws(HubProtocolError) in
                try self.read(try key.text(), from: &scanner, of: text, into: &invocation)
            }
            try scanner.end()
        }
        return invocation
    }

    private static func read(
        _ key: String, from scanner: inout JSONScanner, of text: ByteBuffer, into invocation: inout ClassicInvocation
    ) throws(HubProtocolError) {
        let kind = try scanner.kind()
        switch (key, kind) {
        case ("H", .string): invocation.hub = try scanner.stringValue()
        case ("M", .string): invocation.method = try scanner.stringValue()
        case ("I", .string): invocation.id = try scanner.stringValue()
        case ("I", .number): invocation.id = String(decoding: text.bytes(in: try scanner.value()), as: UTF8.self)
        case ("A", .array): invocation.arguments = try self.arguments(from: &scanner, of: text)
        case ("S", .object): invocation.state = text.readableSlice(try scanner.value())
        case (_, .null): try scanner.value()
        case ("A", _):
            try scanner.value()
            invocation.arguments = .unreadable("The arguments are not an array.")
        case ("I", _): throw HubProtocolError("The id of a call is a number or a string.")
        default: try scanner.value()
        }
    }

    private static func arguments(
        from scanner: inout JSONScanner, of text: ByteBuffer
    ) throws(HubProtocolError) -> HubArguments {
        var range: (start: Int, count: Int) = (0, 0)
        range.start = scanner.position
        try scanner.array { scanner throws(HubProtocolError) in
            try scanner.value()
            range.count += 1
        }
        return .json(text.readableSlice(range.start..<scanner.position), count: range.count)
    }

    /// The hub names in `connectionData` (§11.1), in order.
    ///
    /// - Throws: `HubProtocolError` when it is not a list of objects with a name.
    public static func hubNames(in connectionData: String) throws(HubProtocolError) -> [String] {
        guard !connectionData.isEmpty else { return [] }
        let value = try JSON.value(from: ByteBuffer(string: connectionData), maximumDepth: self.maximumDepth)
        guard value != .null else { return [] }
        guard case .array(let items) = value else { throw self.badConnectionData }
        var names: [String] = []
        for item in items {
            guard case .map(let members) = item,
                case .string(let name)? = members.first(where: { $0.key.lowercased() == "name" })?.value
            else { throw self.badConnectionData }
            names.append(name)
        }
        return names
    }

    private static let badConnectionData = HubProtocolError("The connection data is not a list of hub names.")

    /// The names in the text that ``writeNames(_:into:)`` makes; nil when it is none.
    public static func names(in text: ByteBuffer) -> [String]? {
        guard case .array(let items)? = try? JSON.value(from: text) else { return nil }
        return items.compactMap { if case .string(let name) = $0 { name } else { nil } }
    }

    // MARK: Writing

    /// A JSON array of strings.
    public static func writeNames(_ names: [String], into buffer: inout ByteBuffer) {
        var separator: StaticString = "["
        for name in names {
            buffer.writeStaticString(separator)
            JSON.write(string: name, into: &buffer)
            separator = ","
        }
        buffer.writeStaticString(names.isEmpty ? "[]" : "]")
    }

    /// A message of ``ClassicFrame/messages``: the hub around what ``ClassicHubCodec`` wrote.
    /// - Parameter state: the state that the caller's own method changed; empty for all other receivers.
    public static func write(
        call: ByteBuffer, of hub: String, state: [HubValue.Member] = [], into buffer: inout ByteBuffer
    ) throws(HubProtocolError) {
        buffer.writeStaticString("{\"H\":")
        JSON.write(string: hub, into: &buffer)
        buffer.writeStaticString(",")
        buffer.writeImmutableBuffer(call)
        if !state.isEmpty {
            buffer.writeStaticString(",\"S\":")
            try JSON.write(.map(state), into: &buffer)
        }
        buffer.writeStaticString("}")
    }

    /// - Throws: `HubProtocolError` when JSON cannot express the result; then `buffer` is as before.
    public static func write(_ result: ClassicResult, into buffer: inout ByteBuffer) throws(HubProtocolError) {
        let start = buffer.writerIndex
        try buffer.writeOrRestore { buffer throws(HubProtocolError) in
            buffer.writeStaticString("{")
            try self.write(state: result.state, into: &buffer)
            if let value = result.value, !value.isNull {
                buffer.writeStaticString("\"R\":")
                try value.writeJSON(into: &buffer)
                buffer.writeStaticString(",")
            }
            buffer.writeStaticString("\"I\":")
            JSON.write(string: result.id, into: &buffer)
            if let failure = result.failure { try self.write(failure, into: &buffer) }
            buffer.writeStaticString("}")
        }
        buffer.joinLines(from: start)
    }

    private static func write(
        _ failure: ClassicResult.Failure, into buffer: inout ByteBuffer
    ) throws(HubProtocolError) {
        if failure.isHubError { buffer.writeStaticString(",\"H\":true") }
        buffer.writeStaticString(",\"E\":")
        JSON.write(string: failure.text, into: &buffer)
        guard let data = failure.data else { return }
        buffer.writeStaticString(",\"D\":")
        try JSON.write(data, into: &buffer)
    }

    private static func write(state: [HubValue.Member], into buffer: inout ByteBuffer) throws(HubProtocolError) {
        guard !state.isEmpty else { return }
        buffer.writeStaticString("\"S\":")
        try JSON.write(.map(state), into: &buffer)
        buffer.writeStaticString(",")
    }

    /// The odd outer id keeps clients that know no progress from taking it for a result.
    ///
    /// - Throws: `HubProtocolError` when JSON cannot express the value; then `buffer` is as before.
    public static func write(_ progress: ClassicProgress, into buffer: inout ByteBuffer) throws(HubProtocolError) {
        let start = buffer.writerIndex
        try buffer.writeOrRestore { buffer throws(HubProtocolError) in
            buffer.writeStaticString("{")
            try self.write(state: progress.state, into: &buffer)
            buffer.writeStaticString("\"I\":")
            JSON.write(string: ClassicProgress.outerID(of: progress.id), into: &buffer)
            buffer.writeStaticString(",\"P\":{\"I\":")
            JSON.write(string: progress.id, into: &buffer)
            buffer.writeStaticString(",\"D\":")
            try progress.value.writeJSON(into: &buffer)
            buffer.writeStaticString("}}")
        }
        buffer.joinLines(from: start)
    }

    /// A JSON value of an application's own.
    ///
    /// - Throws: `HubProtocolError` when JSON cannot express it; then `buffer` is as before.
    public static func write(_ value: HubPayload, into buffer: inout ByteBuffer) throws(HubProtocolError) {
        let start = buffer.writerIndex
        try buffer.writeOrRestore { buffer throws(HubProtocolError) in try value.writeJSON(into: &buffer) }
        buffer.joinLines(from: start)
    }

    public static func write(_ frame: ClassicFrame, into buffer: inout ByteBuffer) {
        buffer.writeStaticString("{\"C\":\"")
        frame.cursor.write(into: &buffer)
        buffer.writeStaticString("\"")
        if frame.isInitial { buffer.writeStaticString(",\"S\":1") }
        if frame.asksToReconnect { buffer.writeStaticString(",\"T\":1") }
        if let token = frame.groupsToken {
            buffer.writeStaticString(",\"G\":")
            JSON.write(string: token, into: &buffer)
        }
        if let delay = frame.pollDelay, delay > 0 { buffer.writeString(",\"L\":\(delay)") }
        buffer.writeStaticString(",\"M\":[")
        var isFirst = true
        for message in frame.messages {
            if !isFirst { buffer.writeStaticString(",") }
            isFirst = false
            buffer.writeImmutableBuffer(message)
        }
        buffer.writeStaticString("]}")
    }

    /// An error that ends the connection for good: a client does not come back after it (§6).
    public static func write(fatal text: String, into buffer: inout ByteBuffer) {
        buffer.writeStaticString("{\"E\":")
        JSON.write(string: text, into: &buffer)
        buffer.writeStaticString("}")
    }
}

extension ByteBuffer {
    fileprivate func bytes(in range: Range<Int>) -> ByteBufferView { self.readableSlice(range).readableBytesView }

    /// Replaces the line ends of payloads that were passed on as they came. Inside of strings JSON has none.
    mutating func joinLines(from start: Int) {
        let length = self.writerIndex - start
        guard let written = self.getSlice(at: start, length: length),
            written.readableBytesView.contains(where: { $0 == 0x0A || $0 == 0x0D })
        else { return }
        self.setBytes(written.readableBytesView.map { $0 == 0x0A || $0 == 0x0D ? 0x20 : $0 }, at: start)
    }
}

/// The part of an invocation that is the same for every classic receiver of every hub: its method and arguments, without braces.
///
/// A codec as far as a broadcast is concerned, which is encoded once with it. Clients cannot choose it.
public struct ClassicHubCodec: HubCodec {
    public init() {}

    public var name: String { "classic" }
    public var transferFormat: TransferFormat { .text }
    public var maximumVersion: Int { 0 }

    public func read(from buffer: inout ByteBuffer, maximumSize: Int?) throws(HubProtocolError) -> HubMessage? {
        throw HubProtocolError("The classic protocol has no handshake.")
    }

    /// - Throws: `HubProtocolError` for everything but an invocation, since classic clients receive nothing else this way.
    public func write(_ message: HubMessage, into buffer: inout ByteBuffer) throws(HubProtocolError) {
        guard case .invocation(let invocation) = message else {
            throw HubProtocolError("The classic protocol has no such message.")
        }
        let start = buffer.writerIndex
        try buffer.writeOrRestore { buffer throws(HubProtocolError) in
            buffer.writeStaticString("\"M\":")
            JSON.write(string: invocation.target, into: &buffer)
            buffer.writeStaticString(",\"A\":")
            try invocation.arguments.writeJSON(into: &buffer)
        }
        buffer.joinLines(from: start)
    }
}
