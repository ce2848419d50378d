// SignalBox: the client's side of the opening handshake, RFC 6455 §4.1
// SPDX-License-Identifier: Apache-2.0

package import HTTPTypes
package import NIOCore

/// Asks a server for a WebSocket, without extensions and subprotocols, and judges its answer.
package struct WebSocketClientHandshake: Sendable {
    /// What the server answered.
    package enum Answer: Equatable, Sendable {
        case accepted
        /// Another status than 101.
        case refused(status: Int)
    }

    /// The most bytes of an answer's head.
    package static let maximumHead = 16 << 10

    /// The value of Sec-WebSocket-Key.
    package let key: String

    /// With 16 bytes of the system's cryptographic random source as the key.
    package init() {
        var random = SystemRandomNumberGenerator()
        self.key = Base64.encode((0..<16).map { _ in UInt8.random(in: 0...255, using: &random) })
    }

    package init(key: String) { self.key = key }

    /// The request.
    /// - Parameters:
    ///   - target: path and query.
    ///   - host: the value of Host, with the port where it is not the scheme's own.
    ///   - headers: further fields.
    package func request(target: String, host: String, headers: HTTPFields = [:]) -> ByteBuffer {
        var text = "GET \(target) HTTP/1.1\r\nHost: \(host)\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        text += "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: \(key)\r\n"
        for field in headers { text += "\(field.name.rawName): \(field.value)\r\n" }
        return ByteBuffer(string: text + "\r\n")
    }

    /// Takes the answer's head off `buffer`, which then holds what the server sent behind it; nil when more bytes are needed.
    /// - Throws: ``WebSocketError`` for what is no answer to this request (RFC 6455 §4.1).
    package func answer(from buffer: inout ByteBuffer) throws(WebSocketError) -> Answer? {
        let window = buffer.readableBytesView.prefix(Self.maximumHead)
        guard let end = window.firstRange(of: Array("\r\n\r\n".utf8)) else {
            guard window.count < Self.maximumHead else { throw .protocolError("The answer's head is too long.") }
            return nil
        }
        let head = String(decoding: window[..<end.lowerBound], as: UTF8.self)
        buffer.moveReaderIndex(to: end.upperBound)
        let lines = head.split(separator: "\r\n", omittingEmptySubsequences: false)
        let words = lines[0].split(separator: " ", maxSplits: 2)
        guard words.count >= 2, words[0] == "HTTP/1.1", let status = Int(words[1]), words[1].utf8.count == 3 else {
            throw .protocolError("The answer is not HTTP/1.1.")
        }
        guard status == 101 else { return .refused(status: status) }
        let fields = try Self.fields(lines.dropFirst())
        guard fields.list(.upgrade, contains: "websocket"), fields.list(.connection, contains: "upgrade"),
            fields[.secWebSocketAccept] == WebSocketHandshake.acceptValue(forKey: key)
        else { throw .protocolError("The answer does not accept this handshake.") }
        guard fields[.secWebSocketExtensions] == nil, fields[.secWebSocketProtocol] == nil else {
            throw .protocolError("The answer has an extension or subprotocol that was not asked for.")
        }
        return .accepted
    }

    private static func fields(_ lines: ArraySlice<Substring>) throws(WebSocketError) -> HTTPFields {
        var fields = HTTPFields()
        for line in lines {
            guard let colon = line.firstIndex(of: ":"), let name = HTTPField.Name(String(line[..<colon])) else {
                throw .protocolError("The answer has a malformed header.")
            }
            let value = line[line.index(after: colon)...].drop { $0 == " " || $0 == "\t" }
            fields.append(HTTPField(name: name, value: String(value.reversed().drop { $0 == " " }.reversed())))
        }
        return fields
    }
}
