// SignalBox: the negotiation of ASP.NET SignalR 2.x: versions and the answer
// SPDX-License-Identifier: Apache-2.0

public import NIOCore

/// A version of the classic protocol, as clients write it and servers echo it (classic protocol reference, §4).
public struct ClassicVersion: Sendable, Hashable {
    /// As the answer must have it.
    public let text: String
    private let parts: [Int32]

    private init(_ text: String, _ parts: [Int32]) {
        self.text = text
        self.parts = parts
    }

    private static let lowest = ClassicVersion("1.2", [1, 2])
    private static let highest = ClassicVersion("2.0", [2, 0])

    /// What a server answers to `clientProtocol`: the version itself inside of 1.2 to 2.0, the nearer end outside, and 1.2 for none
    /// and for text that is no version (so `1337` does not count as high).
    public init(clientProtocol: String?) {
        let words = (clientProtocol ?? "").utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        let parts = words.compactMap { word -> Int32? in
            guard (1...9).contains(word.count), word.allSatisfy(\.isASCIIDigit) else { return nil }
            return Int32(Substring(word))
        }
        guard let clientProtocol, (2...4).contains(words.count), parts.count == words.count else {
            self = .lowest
            return
        }
        let asked = ClassicVersion(clientProtocol, parts)
        self = asked.isBelow(.lowest) ? .lowest : ClassicVersion.highest.isBelow(asked) ? .highest : asked
    }

    /// A part that is missing comes before 0.
    private func isBelow(_ other: ClassicVersion) -> Bool { self.parts.lexicographicallyPrecedes(other.parts) }

    /// Whether the client says when it is ready by `/start` (1.4 and later). Older ones are connected when `/connect` is.
    public var hasStart: Bool { !self.isBelow(ClassicVersion("1.4", [1, 4])) }
}

/// The answer to negotiate (§3). Times are in seconds.
public struct ClassicNegotiateResponse: Sendable, Hashable {
    /// The path of the endpoint as clients see it.
    public var url: String
    public var connectionToken: String
    public var connectionID: String
    /// nil when the server sends no keep-alives.
    public var keepAliveTimeout: Double?
    public var disconnectTimeout: Double
    public var connectionTimeout: Double
    public var tryWebSockets: Bool
    public var version: ClassicVersion
    public var transportConnectTimeout: Double
    public var longPollDelay: Double

    public init(
        url: String, connectionToken: String, connectionID: String, keepAliveTimeout: Double?,
        disconnectTimeout: Double, connectionTimeout: Double, tryWebSockets: Bool, version: ClassicVersion,
        transportConnectTimeout: Double, longPollDelay: Double
    ) {
        self.url = url
        self.connectionToken = connectionToken
        self.connectionID = connectionID
        self.keepAliveTimeout = keepAliveTimeout
        self.disconnectTimeout = disconnectTimeout
        self.connectionTimeout = connectionTimeout
        self.tryWebSockets = tryWebSockets
        self.version = version
        self.transportConnectTimeout = transportConnectTimeout
        self.longPollDelay = longPollDelay
    }

    public func write(into buffer: inout ByteBuffer) {
        buffer.writeStaticString("{\"Url\":")
        JSON.write(string: self.url, into: &buffer)
        buffer.writeStaticString(",\"ConnectionToken\":")
        JSON.write(string: self.connectionToken, into: &buffer)
        buffer.writeStaticString(",\"ConnectionId\":")
        JSON.write(string: self.connectionID, into: &buffer)
        buffer.writeString(
            """
            ,"KeepAliveTimeout":\(self.keepAliveTimeout.map { "\($0)" } ?? "null")\
            ,"DisconnectTimeout":\(self.disconnectTimeout)\
            ,"ConnectionTimeout":\(self.connectionTimeout)\
            ,"TryWebSockets":\(self.tryWebSockets)\
            ,"ProtocolVersion":
            """)
        JSON.write(string: self.version.text, into: &buffer)
        buffer.writeString(
            ",\"TransportConnectTimeout\":\(self.transportConnectTimeout),\"LongPollDelay\":\(self.longPollDelay)}")
    }
}

/// The other answers to negotiate, for clients of protocol 2.0 and later (§3).
public enum ClassicNegotiateDetour: Sendable, Hashable {
    /// Everything goes on at `url`, whose query takes the place of the client's own.
    case redirect(url: String, accessToken: String?)
    /// The client stops with this text.
    case refusal(String)

    public func write(into buffer: inout ByteBuffer) {
        buffer.writeStaticString("{\"ProtocolVersion\":\"2.0\"")
        switch self {
        case .redirect(let url, let accessToken):
            buffer.writeStaticString(",\"RedirectUrl\":")
            JSON.write(string: url, into: &buffer)
            if let accessToken {
                buffer.writeStaticString(",\"AccessToken\":")
                JSON.write(string: accessToken, into: &buffer)
            }
        case .refusal(let text):
            buffer.writeStaticString(",\"Error\":")
            JSON.write(string: text, into: &buffer)
        }
        buffer.writeStaticString("}")
    }
}
