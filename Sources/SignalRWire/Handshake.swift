// SignalBox: the first message of each side
// SPDX-License-Identifier: Apache-2.0

public import NIOCore

/// What the client asks for (HubProtocol.md, "HandshakeRequest Message"). It is JSON text followed by 0x1E even for
/// binary protocols.
public struct HandshakeRequest: Sendable, Equatable {
    /// The name as the client wrote it; servers compare it without regard to case.
    public var `protocol`: String
    public var version: Int

    public init(protocol: String, version: Int) {
        self.protocol = `protocol`
        self.version = version
    }

    /// Takes the request off the front of `buffer`; what follows it belongs to the hub protocol.
    ///
    /// - Parameter maximumSize: The most bytes it may have, 0x1E included; nil for no limit.
    /// - Returns: nil when more bytes are needed; then `buffer` is untouched.
    /// - Throws: `HubProtocolError`. `buffer` is untouched when there are too many bytes for a request.
    public static func read(
        from buffer: inout ByteBuffer,
        maximumSize: Int?
    ) throws(HubProtocolError) -> HandshakeRequest? {
        guard let frame = try RecordSeparator.readFrame(from: &buffer, maximumSize: maximumSize) else { return nil }
        return try frame.withUnsafeReadableBytes { bytes throws(HubProtocolError) in try Self(bytes) }
    }

    private init(_ bytes: UnsafeRawBufferPointer) throws(HubProtocolError) {
        var name: String?
        var version: Int32?
        var scanner = JSONScanner(bytes)
        try scanner.expectObject()
        try scanner.object { scanner, key throws(HubProtocolError) in
            switch try key.text() {
            case "protocol": name = try scanner.requiredString(named: "protocol")
            case "version": version = try scanner.int32(named: "version")
            default: try scanner.value()
            }
        }
        guard let name else { throw Self.missing("protocol", bytes) }
        guard let version else { throw Self.missing("version", bytes) }
        self.init(protocol: name, version: Int(version))
    }

    private static func missing(_ property: String, _ bytes: UnsafeRawBufferPointer) -> HubProtocolError {
        let content = String(decoding: bytes, as: UTF8.self)
        return HubProtocolError("Missing required property '\(property)'. Message content: \(content)")
    }

    public func write(into buffer: inout ByteBuffer) {
        buffer.writeStaticString("{\"protocol\":")
        JSON.write(string: self.protocol, into: &buffer)
        buffer.writeString(",\"version\":\(self.version)}")
        buffer.writeInteger(RecordSeparator.byte)
    }
}

/// The server's answer (HubProtocol.md, "HandshakeResponse Message").
public struct HandshakeResponse: Sendable, Equatable {
    /// nil when the server accepts. The empty text is an error too.
    public var error: String?

    public init(error: String? = nil) { self.error = error }

    /// Takes the response off the front of `buffer`; what follows it belongs to the hub protocol.
    ///
    /// - Parameter maximumSize: The most bytes it may have, 0x1E included; nil for no limit.
    /// - Returns: nil when more bytes are needed; then `buffer` is untouched.
    /// - Throws: `HubProtocolError` when it is not a handshake response.
    public static func read(
        from buffer: inout ByteBuffer,
        maximumSize: Int?
    ) throws(HubProtocolError) -> HandshakeResponse? {
        guard let frame = try RecordSeparator.readFrame(from: &buffer, maximumSize: maximumSize) else { return nil }
        return try frame.withUnsafeReadableBytes { bytes throws(HubProtocolError) in try Self(bytes) }
    }

    private init(_ bytes: UnsafeRawBufferPointer) throws(HubProtocolError) {
        var error: String?
        var scanner = JSONScanner(bytes)
        try scanner.expectObject()
        try scanner.object { scanner, key throws(HubProtocolError) in
            switch try key.text() {
            case "error": error = try scanner.requiredString(named: "error")
            case "type": throw HubProtocolError("Expected a handshake response from the server.")
            default: try scanner.value()
            }
        }
        self.init(error: error)
    }

    public func write(into buffer: inout ByteBuffer) {
        buffer.writeStaticString("{")
        if let error {
            buffer.writeStaticString("\"error\":")
            JSON.write(string: error, into: &buffer)
        }
        buffer.writeStaticString("}")
        buffer.writeInteger(RecordSeparator.byte)
    }
}
