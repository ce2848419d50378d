// SignalBox: the answer to POST /negotiate
// SPDX-License-Identifier: Apache-2.0

public import NIOCore

/// One way to connect (TransportProtocols.md).
public struct AvailableTransport: Sendable, Equatable {
    /// `WebSockets`, `ServerSentEvents` or `LongPolling`; case matters to clients.
    public var transport: String
    /// `Text`, `Binary`; case matters to clients.
    public var transferFormats: [String]

    public init(transport: String, transferFormats: [String]) {
        self.transport = transport
        self.transferFormats = transferFormats
    }
}

/// The body of an answer to `POST <endpoint>/negotiate` (TransportProtocols.md). Its status is 200 even for a failure.
public enum NegotiateResponse: Sendable, Equatable {
    case success(Success)
    /// The client negotiates again at `url`, with `accessToken` as its bearer token.
    case redirect(url: String, accessToken: String?)
    case failure(String)

    public struct Success: Sendable, Equatable {
        public var negotiateVersion: Int
        /// The public id, which other clients may see.
        public var connectionID: String
        /// The secret id of later requests; nil in version 0, where they use `connectionID`.
        public var connectionToken: String?
        public var useStatefulReconnect: Bool
        /// In the order in which clients try them.
        public var availableTransports: [AvailableTransport]

        public init(
            negotiateVersion: Int,
            connectionID: String,
            connectionToken: String?,
            useStatefulReconnect: Bool = false,
            availableTransports: [AvailableTransport]
        ) {
            self.negotiateVersion = negotiateVersion
            self.connectionID = connectionID
            self.connectionToken = connectionToken
            self.useStatefulReconnect = useStatefulReconnect
            self.availableTransports = availableTransports
        }
    }
}

// MARK: Writing

extension NegotiateResponse {
    /// Appends the JSON object. Absent members are left out: some clients fail on null.
    public func write(into buffer: inout ByteBuffer) {
        switch self {
        case .success(let success): success.write(into: &buffer)
        case .redirect(let url, let accessToken):
            buffer.writeMember("{\"url\":", url)
            if let accessToken { buffer.writeMember(",\"accessToken\":", accessToken) }
        case .failure(let error): buffer.writeMember("{\"error\":", error)
        }
        buffer.writeStaticString("}")
    }
}

extension NegotiateResponse.Success {
    fileprivate func write(into buffer: inout ByteBuffer) {
        buffer.writeString("{\"negotiateVersion\":\(self.negotiateVersion)")
        buffer.writeMember(",\"connectionId\":", self.connectionID)
        if let connectionToken { buffer.writeMember(",\"connectionToken\":", connectionToken) }
        if self.useStatefulReconnect { buffer.writeStaticString(",\"useStatefulReconnect\":true") }
        buffer.writeStaticString(",\"availableTransports\":[")
        var opening: StaticString = "{\"transport\":"
        for transport in self.availableTransports {
            buffer.writeMember(opening, transport.transport)
            opening = ",{\"transport\":"
            var separator: StaticString = ",\"transferFormats\":["
            if transport.transferFormats.isEmpty { buffer.writeStaticString(separator) }
            for format in transport.transferFormats {
                buffer.writeMember(separator, format)
                separator = ","
            }
            buffer.writeStaticString("]}")
        }
        buffer.writeStaticString("]")
    }
}

extension ByteBuffer {
    fileprivate mutating func writeMember(_ prefix: StaticString, _ text: String) {
        self.writeStaticString(prefix)
        JSON.write(string: text, into: &self)
    }
}

// MARK: Reading

extension NegotiateResponse {
    /// Reads the body of a server's answer. Unknown members are ignored, null counts as absent.
    ///
    /// - Throws: `HubProtocolError` when it is not JSON, lacks what a client needs, or comes from classic ASP.NET
    ///   SignalR.
    public init(reading body: ByteBuffer) throws(HubProtocolError) {
        let body = try JSON.value(from: body)
        guard case .map = body else { throw HubProtocolError("The negotiate response is not a JSON object.") }
        if let error = try body.text("error") {
            self = .failure(error)
        } else if body["ProtocolVersion"] != nil {
            throw HubProtocolError("The server speaks classic ASP.NET SignalR, which is another protocol.")
        } else if let url = try body.text("url") {
            self = .redirect(url: url, accessToken: try body.text("accessToken"))
        } else {
            self = .success(try Success(body))
        }
    }
}

extension NegotiateResponse.Success {
    fileprivate init(_ body: HubValue) throws(HubProtocolError) {
        let version = try body.integer("negotiateVersion") ?? 0
        let token = try body.text("connectionToken")
        guard let id = try body.text("connectionId") else { throw .missing("connectionId") }
        guard version <= 0 || token != nil else { throw .missing("connectionToken") }
        guard case .array(let transports)? = body["availableTransports"] else { throw .missing("availableTransports") }
        var available: [AvailableTransport] = []
        for transport in transports { available.append(try AvailableTransport(transport)) }
        self.init(
            negotiateVersion: version,
            connectionID: id,
            connectionToken: version > 0 ? token : nil,
            useStatefulReconnect: body["useStatefulReconnect"] == .bool(true),
            availableTransports: available
        )
    }
}

extension AvailableTransport {
    fileprivate init(_ value: HubValue) throws(HubProtocolError) {
        guard let name = try value.text("transport") else { throw .missing("transport") }
        guard case .array(let formats)? = value["transferFormats"] else { throw .missing("transferFormats") }
        self.init(
            transport: name,
            transferFormats: formats.compactMap { if case .string(let name) = $0 { name } else { nil } })
    }
}

extension HubValue {
    fileprivate func text(_ key: String) throws(HubProtocolError) -> String? {
        switch self[key] {
        case .string(let text): return text
        case nil, .null: return nil
        default: throw HubProtocolError("Expected '\(key)' to be of type String.")
        }
    }

    fileprivate func integer(_ key: String) throws(HubProtocolError) -> Int? {
        switch self[key] {
        case .int(let number): return Int(exactly: number)
        case nil, .null: return nil
        default: throw HubProtocolError("Expected '\(key)' to be of type Number.")
        }
    }
}

/// Which version of the negotiate answer both sides know.
public enum NegotiateVersion {
    /// The highest version there is.
    public static let maximum = 1

    /// The version to answer with.
    ///
    /// - Parameters:
    ///   - query: The client's `negotiateVersion`; nil, which counts as 0, when it gave none.
    ///   - minimum: The lowest version the server accepts; .NET's default is 0.
    /// - Returns: A failure has the text for `NegotiateResponse.failure`.
    public static func resolve(query: String?, minimum: Int) -> Result<Int, HubProtocolError> {
        guard let requested = Int32(query ?? "0") else {
            return .failure(HubProtocolError("The client requested a non-integer protocol version."))
        }
        guard requested >= minimum else {
            return .failure(
                HubProtocolError(
                    "The client requested version '\(requested)', but the server does not support this version."
                )
            )
        }
        return .success(min(Int(requested), Self.maximum))
    }
}
