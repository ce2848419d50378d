// SignalBox: the text of a configuration file as a tree whose nodes know their places
// SPDX-License-Identifier: Apache-2.0

import Foundation
import Yams

/// YAML 1.1, and so JSON too.
struct ConfigurationText {
    /// Larger ones are something else.
    static let maximumSize = 1 << 20
    private static let maximumDuplicates = 100

    /// nil for a file that says nothing.
    let root: Node?
    /// Keys that stand in one section more than once; the tree has the last of each.
    private(set) var problems: [ConfigurationProblem] = []
    private let isJSON: Bool

    /// - Throws: ``BadConfiguration`` when the text is no YAML.
    init(_ text: String, file: String) throws(BadConfiguration) {
        self.isJSON = file.lowercased().hasSuffix(".json") || text.drop(while: \.isWhitespace).first == "{"
        var text = Array(text.unicodeScalars)
        while true {
            do {
                self.root = try compose(yaml: String(String.UnicodeScalarView(text)))
                return
            } catch YamlError.duplicatedKeysInMapping(let keys, let context)
                where problems.count < Self.maximumDuplicates
            {
                let mark = ConfigurationMark(context.mark)
                let isHidden = Self.hide(keys.first ?? "", at: mark, in: &text, number: problems.count)
                let name = keys.first ?? "a key"
                problems.append(.init(mark, "'\(name)' is here more than once; keep one of them"))
                guard isHidden else { throw BadConfiguration(file: file, problems: problems) }
            } catch {
                throw BadConfiguration(file: file, problems: problems + [Self.problem(error, isJSON: isJSON)])
            }
        }
    }

    /// Duplicate keys end the parser's work, so all but the last are renamed to names that nobody writes, and it works again. As many
    /// characters as before, so that other places stay where they are.
    private static func hide(
        _ key: String, at mark: ConfigurationMark, in text: inout [Unicode.Scalar], number: Int
    ) -> Bool {
        var start = 0
        for _ in 1..<max(1, mark.line) {
            guard let end = text[start...].firstIndex(of: "\n") else { return false }
            start = end + 1
        }
        start += mark.column - 1
        guard start < text.count else { return false }
        if text[start] == "\"" || text[start] == "'" { start += 1 }
        let key = Array(key.unicodeScalars)
        guard !key.isEmpty, text[start...].starts(with: key), let scalar = hiddenScalar(number) else { return false }
        text.replaceSubrange(start..<start + key.count, with: repeatElement(scalar, count: key.count))
        return true
    }

    private static func hiddenScalar(_ number: Int) -> Unicode.Scalar? { Unicode.Scalar(0xE000 + UInt32(number)) }

    /// Whether a key is one that was a duplicate, and was told already.
    static func isHidden(_ key: String) -> Bool {
        key.unicodeScalars.first.map { (0xE000..<0xE000 + UInt32(maximumDuplicates)).contains($0.value) } ?? false
    }

    private static func problem(_ error: any Error, isJSON: Bool) -> ConfigurationProblem {
        let language = isJSON ? "JSON" : "YAML"
        switch error {
        case YamlError.scanner(_, let problem, let mark, _), YamlError.parser(_, let problem, let mark, _),
            YamlError.composer(_, let problem, let mark, _):
            return .init(ConfigurationMark(mark), "this is not \(language): \(problem)\(hint(problem))")
        case YamlError.reader(let problem, _, _, _):
            return .init(.init(line: 1, column: 1), "this is not \(language): \(problem)")
        default: return .init(.init(line: 1, column: 1), "this is not \(language)")
        }
    }

    private static func hint(_ problem: String) -> String {
        if problem.contains("cannot start any token") {
            return " (indent with spaces, and put text with special characters in quotes)"
        }
        if problem.contains("mapping values are not allowed") {
            return " (indent keys of one section alike, and quote text that holds ': ')"
        }
        if problem.contains("did not find expected ','") {
            return " (quote text that holds a comma, brackets or braces)"
        }
        return ""
    }
}
