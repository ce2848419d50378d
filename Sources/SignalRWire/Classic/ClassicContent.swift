// SignalBox: what an app server of ASP.NET SignalR has for its clients, out of its two wrappings
// SPDX-License-Identifier: Apache-2.0

public import NIOCore

/// A JSON text that an app server of ASP.NET SignalR means for a client (service reference, "Data").
public enum ClassicContent: Sendable, Hashable {
    /// JSON values with commas between them, in one line: what belongs between the brackets of a frame's messages.
    case messages(ByteBuffer)
    /// The answer to a call: a JSON object in one line.
    case result(id: String, ByteBuffer)

    /// Reads a payload: messages of the service protocol, each of which holds a JSON text.
    ///
    /// - Returns: what is for the client; nothing for texts without messages.
    /// - Throws: `HubProtocolError` when the payload is anything else.
    public static func read(_ payload: ByteBuffer) throws(HubProtocolError) -> [ClassicContent] {
        var (payload, contents): (ByteBuffer, [ClassicContent]) = (payload, [])
        while payload.readableBytes > 0 {
            guard case .connectionData(_, let text, _)? = try ServiceCodec.read(from: &payload) else {
                throw HubProtocolError("The payload is not wrapped as ASP.NET app servers do it.")
            }
            if let content = try self.content(of: text) { contents.append(content) }
        }
        return contents
    }

    /// The cursor in the text is a dummy, which the service's own takes the place of.
    private static func content(of text: ByteBuffer) throws(HubProtocolError) -> ClassicContent? {
        var (messages, id): (Range<Int>?, String?) = (nil, nil)
        try text.withUnsafeReadableBytes { bytes throws(HubProtocolError) in
            var scanner = JSONScanner(bytes)
            try scanner.expectObject()
            try scanner.object { scanner, key throws(HubProtocolError) in
                switch (try key.text(), try scanner.kind()) {
                case ("M", .array): messages = try scanner.value()
                case ("I", .string): id = try scanner.stringValue()
                default: try scanner.value()
                }
            }
            try scanner.end()
        }
        if let messages { return self.list(text.readableSlice(messages)) }
        return id.map { .result(id: $0, text.joiningLines()) }
    }

    private static func list(_ array: ByteBuffer) -> ClassicContent? {
        let items = array.readableSlice(1..<array.readableBytes - 1)
        let isEmpty = items.readableBytesView.allSatisfy { [0x20, 0x09, 0x0A, 0x0D].contains($0) }
        return isEmpty ? nil : .messages(items.joiningLines())
    }
}

extension ByteBuffer {
    fileprivate func joiningLines() -> ByteBuffer {
        var line = self
        line.joinLines(from: line.readerIndex)
        return line
    }
}

extension ClassicHubCodec {
    /// Under this name ``ClassicContent/messages(_:)`` travel beside the frames of other protocols. It is nobody's protocol: those have
    /// lower-case names.
    public static let messagesName = "classicMessages"

    /// The message of a frame that was made for clients of ASP.NET Core, for classic ones; nil when no frame holds a call.
    public func translate(_ frames: [String: ByteBuffer]) -> ByteBuffer? {
        for codec in [JSONHubCodec(), MessagePackHubCodec()] as [any HubCodec] {
            guard var frame = frames[codec.name],
                case .invocation(let call)? = try? codec.read(from: &frame, maximumSize: nil)
            else { continue }
            var bytes = ByteBuffer()
            if (try? self.write(.invocation(call), into: &bytes)) != nil { return bytes }
        }
        return nil
    }
}
