// SignalBox: the value of Sec-WebSocket-Extensions, RFC 6455 §9.1
// SPDX-License-Identifier: Apache-2.0

/// One extension that a peer offers or accepts.
struct WebSocketExtension {
    var name: String
    var parameters: [(name: String, value: String?)] = []

    /// All extensions of a header value, in order; nil if the value is not well-formed.
    static func list(_ value: String) -> [WebSocketExtension]? {
        var cursor = Cursor(rest: value.utf8[...])
        var extensions: [WebSocketExtension] = []
        repeat {
            // Lists may have empty elements (RFC 9110 §5.6.1.2).
            if cursor.isAt(",") || cursor.isAtEnd { continue }
            guard let next = one(&cursor) else { return nil }
            extensions.append(next)
        } while cursor.take(",")
        return cursor.isAtEnd ? extensions : nil
    }

    private static func one(_ cursor: inout Cursor) -> WebSocketExtension? {
        guard let name = cursor.token() else { return nil }
        var result = WebSocketExtension(name: name)
        while cursor.take(";") {
            guard let parameter = cursor.token() else { return nil }
            guard cursor.take("=") else {
                result.parameters.append((parameter, nil))
                continue
            }
            guard let value = cursor.token() ?? cursor.quotedToken() else { return nil }
            result.parameters.append((parameter, value))
        }
        return result
    }
}

/// Reads the parts of a header value, passing over blanks in front of them.
private struct Cursor {
    var rest: Substring.UTF8View

    var isAtEnd: Bool {
        mutating get {
            skipBlanks()
            return rest.isEmpty
        }
    }

    mutating func isAt(_ separator: Unicode.Scalar) -> Bool {
        skipBlanks()
        return rest.first == UInt8(ascii: separator)
    }

    mutating func take(_ separator: Unicode.Scalar) -> Bool {
        guard isAt(separator) else { return false }
        rest.removeFirst()
        return true
    }

    mutating func token() -> String? {
        skipBlanks()
        let token = rest.prefix(while: Self.isTokenByte)
        rest = rest[token.endIndex...]
        return token.isEmpty ? nil : String(Substring(token))
    }

    /// A quoted string that holds a token once its escapes are undone.
    mutating func quotedToken() -> String? {
        guard take("\"") else { return nil }
        var token = ""
        while var byte = rest.popFirst() {
            if byte == UInt8(ascii: "\"") { return token.isEmpty ? nil : token }
            if byte == UInt8(ascii: "\\") {
                guard let escaped = rest.popFirst() else { return nil }
                byte = escaped
            }
            guard Self.isTokenByte(byte) else { return nil }
            token.unicodeScalars.append(Unicode.Scalar(byte))
        }
        return nil
    }

    private mutating func skipBlanks() {
        rest = rest.drop { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\t") }
    }

    /// RFC 9110 §5.6.2.
    private static func isTokenByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "z"),
            UInt8(ascii: "A")...UInt8(ascii: "Z"):
            true
        default: "!#$%&'*+-.^_`|~".utf8.contains(byte)
        }
    }
}
