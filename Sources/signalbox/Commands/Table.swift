// SignalBox: tables for people: aligned, and no wider than the terminal
// SPDX-License-Identifier: Apache-2.0

import Foundation
import NIOCore
import SignalRWire

/// Rows below a heading. The widest columns give way where the terminal is narrow.
struct Table: Sendable {
    struct Column: Sendable {
        let title: String
        /// Numbers stand at the right.
        var isNumber = false
        let text: @Sendable (HubValue) -> String

        /// A member of the element as it is.
        init(_ title: String, _ member: String, isNumber: Bool = false) {
            self.init(title, isNumber: isNumber) { $0[member]?.cell ?? "" }
        }

        init(_ title: String, isNumber: Bool = false, _ text: @escaping @Sendable (HubValue) -> String) {
            self.title = title
            self.isNumber = isNumber
            self.text = text
        }
    }

    private static let gap = 2
    private static let narrowest = 6

    let columns: [Column]

    /// - Parameter width: characters of a line; nil for as many as needed.
    func lines(_ elements: [HubValue], width: Int?) -> [String] {
        let rows = [columns.map(\.title)] + elements.map { element in columns.map { Self.plain($0.text(element)) } }
        var widths = columns.indices.map { column in rows.map { $0[column].count }.max() ?? 0 }
        if let width { shrink(&widths, to: width - Self.gap * (columns.count - 1)) }
        return rows.map { row in
            let cells = columns.indices.map { pad(row[$0], to: widths[$0], isRight: columns[$0].isNumber) }
            var line = cells.joined(separator: String(repeating: " ", count: Self.gap))
            while line.last == " " { line.removeLast() }
            return line
        }
    }

    private func shrink(_ widths: inout [Int], to width: Int) {
        while widths.reduce(0, +) > width {
            guard let widest = widths.indices.max(by: { widths[$0] < widths[$1] }), widths[widest] > Self.narrowest
            else { return }
            widths[widest] -= 1
        }
    }

    private func pad(_ text: String, to width: Int, isRight: Bool) -> String {
        guard text.count <= width else { return String(text.prefix(max(0, width - 1))) + "…" }
        let blanks = String(repeating: " ", count: width - text.count)
        return isRight ? blanks + text : text + blanks
    }

    /// Names are chosen by peers: what would move the cursor or change colours is shown instead.
    static func plain(_ text: String) -> String {
        guard text.unicodeScalars.contains(where: { isControl($0) }) else { return text }
        return text.unicodeScalars.reduce(into: "") { plain, scalar in
            if isControl(scalar) {
                plain += "\\u{\(String(scalar.value, radix: 16))}"
            } else {
                plain.unicodeScalars.append(scalar)
            }
        }
    }

    private static func isControl(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.properties.generalCategory {
        case .control, .format, .lineSeparator, .paragraphSeparator: true
        default: false
        }
    }
}

extension HubValue {
    /// As a cell of a table.
    var cell: String {
        switch self {
        case .null: ""
        case .string(let text): text
        case .bool(let flag): flag ? "yes" : "no"
        case .int(let number): "\(number)"
        case .uint(let number): "\(number)"
        case .double(let number): "\(number)"
        case .float(let number): "\(number)"
        default: json
        }
    }

    /// As JSON text.
    var json: String {
        var text = ByteBuffer()
        return (try? JSON.write(self, into: &text)) == nil ? "null" : String(buffer: text)
    }
}

/// Where standard output goes.
enum Terminal {
    static var isThere: Bool { isatty(STDOUT_FILENO) == 1 }

    /// Characters of a line; nil when nobody looks at lines.
    static var width: Int? {
        guard isThere else { return nil }
        var size = winsize()
        guard ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else { return 80 }
        return Int(size.ws_col)
    }

    /// Whether colours are wanted (no-color.org).
    static var hasColour: Bool { isThere && (ProcessInfo.processInfo.environment["NO_COLOR"] ?? "").isEmpty }

    static func write(_ text: String) { FileHandle.standardOutput.write(Data(text.utf8)) }
}
