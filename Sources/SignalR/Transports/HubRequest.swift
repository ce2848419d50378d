// SignalBox: an HTTP request as the endpoint sees it, and what a connection remembers of it
// SPDX-License-Identifier: Apache-2.0

public import HTTPTypes
public import NIOCore

/// An HTTP request of an endpoint, independent of the web framework that received it.
public struct HubRequest: Sendable {
    public let method: HTTPRequest.Method
    /// The path without the query.
    public let path: String
    /// The query as it was sent, without `?`. It may hold an access token: do not log it.
    public let rawQuery: String
    public let headers: HTTPFields
    /// nil when the host does not tell.
    public let remoteAddress: SocketAddress?
    /// Reads the whole body, at most `limit` bytes; throws past it or when the client goes away.
    package let body: @Sendable (_ limit: Int) async throws -> ByteBuffer

    public init(
        method: HTTPRequest.Method, path: String, rawQuery: String = "", headers: HTTPFields = [:],
        remoteAddress: SocketAddress? = nil,
        body: @escaping @Sendable (_ limit: Int) async throws -> ByteBuffer = { _ in ByteBuffer() }
    ) {
        self.method = method
        self.path = path
        self.rawQuery = rawQuery
        self.headers = headers
        self.remoteAddress = remoteAddress
        self.body = body
    }

    /// The decoded value of a query key; keys are compared without regard to case, as ASP.NET Core does.
    public func query(_ name: String) -> String? { Query.value(of: name, in: rawQuery) }

    /// The bearer token: from the `Authorization` header, else from the query key `access_token`, which browsers use
    /// where they cannot set headers.
    public var bearerToken: String? {
        if let header = headers[.authorization] {
            let parts = header.split(separator: " ", maxSplits: 1)
            return parts.count == 2 && parts[0].lowercased() == "bearer" ? String(parts[1]) : nil
        }
        return query("access_token")
    }
}

/// Query strings, decoded one value at a time.
package enum Query {
    package static func value(of name: String, in query: String) -> String? {
        let wanted = name.lowercased()
        for pair in query.utf8.split(separator: UInt8(ascii: "&")) {
            let parts = pair.split(separator: UInt8(ascii: "="), maxSplits: 1, omittingEmptySubsequences: false)
            guard decode(parts[0]).lowercased() == wanted else { continue }
            return parts.count > 1 ? decode(parts[1]) : ""
        }
        return nil
    }

    /// All values of a key that may repeat.
    package static func values(of name: String, in query: String) -> [String] {
        query.utf8.split(separator: UInt8(ascii: "&")).compactMap { pair in
            let text = Substring(pair)
            let key = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)[0]
            return decode(key.utf8).lowercased() == name.lowercased() ? value(of: name, in: String(text)) : nil
        }
    }

    package static func decode(_ bytes: Substring.UTF8View) -> String { percentDecode(bytes, plusIsSpace: true) }

    /// Malformed escapes stay as they are.
    package static func percentDecode(_ bytes: some Collection<UInt8>, plusIsSpace: Bool) -> String {
        var decoded: [UInt8] = []
        var rest = bytes[...]
        while let byte = rest.popFirst() {
            if byte == UInt8(ascii: "%"), let high = rest.first.flatMap(hex),
                let low = rest.dropFirst().first.flatMap(hex)
            {
                decoded.append(high << 4 | low)
                rest = rest.dropFirst(2)
            } else {
                decoded.append(plusIsSpace && byte == UInt8(ascii: "+") ? UInt8(ascii: " ") : byte)
            }
        }
        return String(decoding: decoded, as: UTF8.self)
    }

    private static func hex(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - 48
        case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - 87
        case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - 55
        default: nil
        }
    }
}

/// Who brought a connection to this process from elsewhere.
package protocol ConnectionOrigin: AnyObject, Sendable {
    /// What the connection is called there.
    var connectionName: String { get }
}

/// What a connection remembers of the request that opened it. Headers and query are kept in one string,
/// since tens of thousands of idle connections hold one each.
///
/// Safety: constants, but for the values that the connection's event loop sets once, before any hub code runs.
package final class RequestFeatures: @unchecked Sendable {
    package let path: String
    package let rawQuery: String
    package let remoteAddress: SocketAddress?
    private let packedHeaders: String
    /// Where the connection came from, if not by a transport of this process.
    package let origin: (any ConnectionOrigin)?
    /// The transport in use; nil until the first one came.
    package private(set) var transport: TransportKind?
    /// The shard's clock when the first transport came.
    package private(set) var startedAt: UInt32 = 0
    /// The same in seconds since 1970.
    package private(set) var startTime: Double = 0

    /// - Parameter trace: the trace that the connection belongs to if the request names none.
    package init(_ request: HubRequest, origin: (any ConnectionOrigin)? = nil, trace: TraceContext? = nil) {
        self.origin = origin
        self.path = request.path
        self.rawQuery = request.rawQuery
        self.remoteAddress = request.remoteAddress
        var packed = ""
        for field in request.headers where !Self.handshakeOnly.contains(field.name) {
            packed += "\(field.name.rawName)\n\(field.value)\n"
        }
        if let trace, TraceContext(request.headers) == nil {
            for (name, value) in trace.headers { packed += "\(name)\n\(value)\n" }
        }
        self.packedHeaders = packed
    }

    func started(_ transport: TransportKind, at time: UInt32) {
        self.transport = transport
        self.startedAt = time
        self.startTime = UnixTime.now
    }

    package var headers: HTTPFields {
        let parts = packedHeaders.split(separator: "\n", omittingEmptySubsequences: false)
        var fields = HTTPFields()
        for index in stride(from: 0, to: parts.count - 1, by: 2) {
            guard let name = HTTPField.Name(String(parts[index])) else { continue }
            fields.append(HTTPField(name: name, value: String(parts[index + 1])))
        }
        return fields
    }

    /// Of no use after the handshake; the last one is a secret that code should ask ``HubUser`` about.
    private static let handshakeOnly: Set<HTTPField.Name> = [
        .connection, .upgrade, .secWebSocketKey, .secWebSocketVersion, .secWebSocketExtensions, .authorization,
    ]
}
