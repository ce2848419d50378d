// SignalBox: the server's side of the opening handshake, RFC 6455 §4.2
// SPDX-License-Identifier: Apache-2.0

import Crypto
package import HTTPTypes

/// Judges requests that ask for a WebSocket, and makes the answer.
package enum WebSocketHandshake {
    package enum Acceptance: Equatable, Sendable {
        /// Answer 101 with these headers. `deflate` is what was agreed on, nil without compression.
        case accepted(headers: HTTPFields, deflate: PerMessageDeflate.Parameters?)
        /// Answer with this status, these headers and `message` as text.
        case rejected(status: HTTPResponse.Status, headers: HTTPFields, message: String)
    }

    /// Whether the request asks for a WebSocket at all, well-formed or not.
    package static func isUpgrade(_ request: HTTPRequest) -> Bool {
        request.headerFields.list(.upgrade, contains: "websocket")
    }

    /// Checks an upgrade request (RFC 6455 §4.2.1) and makes the answer (§4.2.2).
    /// - Parameter deflate: the client's offer of compression; nil if there is none to take or compression is switched
    ///   off.
    package static func accept(_ request: HTTPRequest, deflate: PerMessageDeflate.Offer?) -> Acceptance {
        let fields = request.headerFields
        guard request.method == .get else { return .badRequest("A WebSocket begins with a GET request.") }
        guard isUpgrade(request) else { return .badRequest("The Upgrade header must contain websocket.") }
        guard fields.list(.connection, contains: "upgrade") else {
            return .badRequest("The Connection header must contain Upgrade.")
        }
        guard fields[.secWebSocketVersion] == "13" else { return .otherVersion }
        guard let key = fields[.secWebSocketKey], isKey(key) else {
            return .badRequest("The Sec-WebSocket-Key header must be 16 bytes in Base64.")
        }
        let parameters = deflate.map(PerMessageDeflate.Parameters.init)
        var headers: HTTPFields = [
            .upgrade: "websocket", .connection: "Upgrade", .secWebSocketAccept: acceptValue(forKey: key),
        ]
        headers[.secWebSocketExtensions] = parameters?.headerValue
        return .accepted(headers: headers, deflate: parameters)
    }

    /// The value of Sec-WebSocket-Accept that proves that the server read the key (RFC 6455 §4.2.2).
    package static func acceptValue(forKey key: String) -> String {
        var hash = Insecure.SHA1()
        var text = key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        text.withUTF8 { hash.update(bufferPointer: UnsafeRawBufferPointer($0)) }
        return Base64.encode(Array(hash.finalize()))
    }

    private static func isKey(_ text: String) -> Bool {
        let digits = text.utf8.dropLast(2)
        return digits.count == 22 && text.utf8.suffix(2).elementsEqual("==".utf8)
            && digits.allSatisfy(Base64.alphabet.contains)
    }
}

extension WebSocketHandshake.Acceptance {
    fileprivate static func badRequest(_ message: String) -> Self {
        .rejected(status: .badRequest, headers: [:], message: message)
    }

    /// RFC 6455 §4.4; a 426 names the protocol to upgrade to (RFC 9110 §15.5.22).
    fileprivate static var otherVersion: Self {
        .rejected(
            status: .upgradeRequired,
            headers: [.upgrade: "websocket", .connection: "Upgrade", .secWebSocketVersion: "13"],
            message: "The Sec-WebSocket-Version header must be 13."
        )
    }
}

extension HTTPFields {
    /// Whether a field that is a list of words contains `word`, which is given in lower case, in any case.
    func list(_ name: HTTPField.Name, contains word: String) -> Bool {
        self[values: name].contains { value in
            value.utf8.split(separator: UInt8(ascii: ",")).contains { element in
                let trimmed = element.drop(while: Self.isBlank).reversed().drop(while: Self.isBlank).reversed()
                return trimmed.elementsEqual(word.utf8) { $0 | 0x20 == $1 }
            }
        }
    }

    private static func isBlank(_ byte: UInt8) -> Bool { byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t") }
}

enum Base64 {
    static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

    /// RFC 4648 §4.
    static func encode(_ bytes: [UInt8]) -> String {
        var text = ""
        for start in stride(from: 0, to: bytes.count, by: 3) {
            let group = bytes[start..<min(start + 3, bytes.count)]
            let bits = group.reduce(0) { $0 << 8 | UInt32($1) } << (8 * (3 - UInt32(group.count)))
            for place in 0..<4 {
                let digit = alphabet[Int(bits >> (18 - 6 * UInt32(place)) & 0x3F)]
                text.unicodeScalars.append(place <= group.count ? Unicode.Scalar(digit) : "=")
            }
        }
        return text
    }
}
