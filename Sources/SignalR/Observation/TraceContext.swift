// SignalBox: W3C Trace Context: which trace a request belongs to, from hop to hop
// SPDX-License-Identifier: Apache-2.0

package import HTTPTypes

/// The headers `traceparent` and `tracestate` (W3C Trace Context, "Trace Context HTTP Headers Format").
///
/// A valid context goes on as it came. An invalid `traceparent` counts as none, and takes `tracestate` with it.
package struct TraceContext: Sendable, Hashable {
    package static let parentHeader = "traceparent"
    package static let stateHeader = "tracestate"
    /// Longer states are dropped: the least that everybody has to carry.
    private static let longestState = 512

    /// The value of `traceparent`.
    package let parent: String
    /// The value of `tracestate`; nil when there is none.
    package let state: String?

    /// nil unless `parent` is a valid `traceparent`: `00-`, 32 digits of the trace, 16 of the span, 2 of flags, none of the ids zero.
    /// Versions to come may have more at the end.
    package init?(parent: String, state: String? = nil) {
        let bytes = Array(parent.utf8)
        let dash = UInt8(ascii: "-")
        guard bytes.count >= 55, bytes.count <= 256, bytes[2] == dash, bytes[35] == dash, bytes[52] == dash,
            [0..<2, 3..<35, 36..<52, 53..<55].allSatisfy({ bytes[$0].allSatisfy(Self.isDigit) }),
            bytes[3..<35].contains(where: { $0 != UInt8(ascii: "0") }),
            bytes[36..<52].contains(where: { $0 != UInt8(ascii: "0") })
        else { return nil }
        let version = parent.prefix(2)
        guard version != "ff", bytes.count == 55 || version != "00" && bytes[55] == dash else { return nil }
        self.parent = parent
        self.state = state.flatMap { Self.isState($0) ? $0 : nil }
    }

    /// Of a request or a message; `value` gives a header by its name in lower case.
    package init?(_ value: (_ name: String) -> String?) {
        guard let parent = value(Self.parentHeader) else { return nil }
        self.init(parent: parent, state: value(Self.stateHeader))
    }

    package init?(_ headers: HTTPFields) {
        self.init { name in HTTPField.Name(name).flatMap { headers[$0] } }
    }

    /// Of a message, whose header names may have any case.
    package init?(_ headers: [String: String]) {
        guard !headers.isEmpty else { return nil }
        self.init { name in headers[name] ?? headers.first { $0.key.lowercased() == name }?.value }
    }

    /// The beginning of a trace that nobody records.
    package static func made() -> TraceContext {
        var random = SystemRandomNumberGenerator()
        func digits(_ number: UInt64) -> String {
            let text = String(number, radix: 16)
            return String(repeating: "0", count: 16 - text.count) + text
        }
        let trace = digits(random.next()) + digits(random.next() | 1)
        let parent = "00-\(trace)-\(digits(random.next() | 1))-00"
        return TraceContext(checked: parent)
    }

    private init(checked parent: String) {
        self.parent = parent
        self.state = nil
    }

    package var headers: [(name: String, value: String)] {
        [(Self.parentHeader, parent)] + (state.map { [(Self.stateHeader, $0)] } ?? [])
    }

    private static func isDigit(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "f"): true
        default: false
        }
    }

    private static func isState(_ text: String) -> Bool {
        !text.isEmpty && text.utf8.count <= longestState && text.utf8.allSatisfy { (0x20...0x7E).contains($0) }
    }
}
