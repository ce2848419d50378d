// SignalBox: a configuration to be printed, as YAML with comments or as JSON
// SPDX-License-Identifier: Apache-2.0

import NIOCore
import SignalRWire

/// Settings in their sections.
indirect enum ConfigurationTree {
    /// Keys in order.
    case section([(name: String, value: ConfigurationTree)])
    case list([ConfigurationTree])
    /// - Parameter isText: false for what JSON writes without quotes.
    case value(String, isText: Bool, comment: String)

    /// Puts a value at the end of a path of sections, which come to be on the way.
    mutating func insert(_ value: ConfigurationTree, at path: ArraySlice<Substring>) {
        guard case .section(var fields) = self, let name = path.first else { return self = value }
        let index = fields.firstIndex { $0.name == name } ?? fields.endIndex
        if index == fields.endIndex { fields.append((String(name), .section([]))) }
        fields[index].value.insert(value, at: path.dropFirst())
        self = .section(fields)
    }

    // MARK: YAML

    var yaml: String { lines.map { $0 + "\n" }.joined() }

    private var lines: [String] {
        switch self {
        case .section(let fields): fields.flatMap { Self.lines(Self.quoted($0.name), $0.value) }
        case .list(let elements): elements.flatMap(\.elementLines)
        case .value(let text, let isText, let comment):
            [(isText ? Self.quoted(text) : text) + (comment.isEmpty ? "" : "  # \(comment)")]
        }
    }

    private static func lines(_ name: String, _ value: ConfigurationTree) -> [String] {
        switch value {
        case .value: ["\(name): \(value.lines[0])"]
        case .list(let elements) where elements.isEmpty: ["\(name): []"]
        case .section(let fields) where fields.isEmpty: ["\(name): {}"]
        case .section, .list: ["\(name):"] + value.lines.map { "  " + $0 }
        }
    }

    private var elementLines: [String] { lines.enumerated().map { ($0 == 0 ? "- " : "  ") + $1 } }

    /// As it is where that cannot be misread.
    private static func quoted(_ text: String) -> String {
        text.wholeMatch(of: /[A-Za-z0-9\/][A-Za-z0-9_.\/-]*/) != nil && text != "null" ? text : literal(text)
    }

    // MARK: JSON

    var json: String { json(indent: "") + "\n" }

    private func json(indent: String) -> String {
        let deeper = indent + "  "
        func joined(_ parts: [String], _ open: String, _ close: String) -> String {
            parts.isEmpty
                ? open + close
                : open + "\n" + parts.map { deeper + $0 }.joined(separator: ",\n") + "\n" + indent + close
        }
        return switch self {
        case .section(let fields):
            joined(fields.map { "\(Self.literal($0.name)): \($0.value.json(indent: deeper))" }, "{", "}")
        case .list(let elements): joined(elements.map { $0.json(indent: deeper) }, "[", "]")
        case .value(let text, let isText, _): isText ? Self.literal(text) : text
        }
    }

    /// JSON's text literals mean the same in YAML.
    private static func literal(_ text: String) -> String {
        var buffer = ByteBuffer()
        JSON.write(string: text, into: &buffer)
        return String(buffer: buffer)
    }
}
