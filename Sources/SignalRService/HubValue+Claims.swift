// SignalBox: values of claims, however they are written
// SPDX-License-Identifier: Apache-2.0

import NIOCore
import SignalRWire

extension HubValue {
    /// Its JSON text; `null` for a value that JSON cannot express.
    var json: ByteBuffer {
        var text = ByteBuffer()
        do {
            try JSON.write(self, into: &text)
            return text
        } catch {
            return ByteBuffer(string: "null")
        }
    }

    /// The text of a claim; nil when it is empty or no string.
    var text: String? { if case .string(let text) = self, !text.isEmpty { text } else { nil } }

    /// A claim that is one string or several.
    var texts: [String] {
        if case .array(let values) = self { values.compactMap(\.text) } else { text.map { [$0] } ?? [] }
    }

    /// A NumericDate (RFC 7519 §2), also as the text that some .NET code writes.
    var seconds: Double? {
        switch self {
        case .int(let seconds): Double(seconds)
        case .uint(let seconds): Double(seconds)
        case .double(let seconds): seconds
        case .string(let text): Double(text)
        default: nil
        }
    }
}
