// SignalBox: JSON as the argument of a function that the client named (JSONP)
// SPDX-License-Identifier: Apache-2.0

public import NIOCore

/// The function that a JSONP response calls.
public struct ScriptCallback: Sendable, Hashable {
    public let name: String

    private static let longest = 256
    /// Words that are no names (ECMAScript, "ReservedWord"), so that a response is always a call.
    private static let reserved: Set<String> = [
        "await", "break", "case", "catch", "class", "const", "continue", "debugger", "default", "delete", "do", "else",
        "enum", "export", "extends", "false", "finally", "for", "function", "if", "import", "in", "instanceof", "let",
        "new", "null", "return", "static", "super", "switch", "this", "throw", "true", "try", "typeof", "var", "void",
        "while", "with", "yield", "implements", "interface", "package", "private", "protected", "public",
    ]

    /// nil unless `name` is made of identifiers with dots between them: letters, digits, `_` and `$`, no digit first, no reserved word.
    /// Anything else would let a stranger write into the script (classic protocol reference, §15).
    public init?(_ name: String) {
        guard (1...Self.longest).contains(name.utf8.count) else { return nil }
        for part in name.split(separator: ".", omittingEmptySubsequences: false) {
            guard let first = part.utf8.first, !first.isASCIIDigit, !Self.reserved.contains(String(part)),
                part.utf8.allSatisfy(Self.isLetter)
            else { return nil }
        }
        self.name = name
    }

    private static func isLetter(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "_"),
            UInt8(ascii: "$"):
            true
        default: byte.isASCIIDigit
        }
    }

    public func write(_ json: ByteBuffer, into buffer: inout ByteBuffer) {
        buffer.writeString(self.name)
        buffer.writeStaticString("(")
        ForeverFrame.writeEscaped(json, into: &buffer)
        buffer.writeStaticString(");")
    }
}
