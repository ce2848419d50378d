// SignalBox: what is wrong with a configuration file, and where
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Foundation
import Yams

/// A place in a configuration file; lines and columns count from 1.
struct ConfigurationMark: Comparable, Hashable {
    let line: Int
    let column: Int

    init(line: Int, column: Int) {
        self.line = line
        self.column = column
    }

    init(_ mark: Mark?) { self.init(line: mark?.line ?? 1, column: mark?.column ?? 1) }

    static func < (a: Self, b: Self) -> Bool { (a.line, a.column) < (b.line, b.column) }
}

struct ConfigurationProblem: Hashable {
    let mark: ConfigurationMark
    let text: String

    init(_ mark: ConfigurationMark, _ text: String) {
        self.mark = mark
        self.text = text
    }
}

/// A configuration file that cannot be used.
struct BadConfiguration: Error, CustomStringConvertible {
    let file: String
    /// At least one.
    let problems: [ConfigurationProblem]

    /// A line per problem, in the order of the file, as compilers write them.
    var description: String {
        let sorted = Set(problems).sorted { ($0.mark, $0.text) < ($1.mark, $1.text) }
        return sorted.map { "\(file):\($0.mark.line):\($0.mark.column): \($0.text)" }.joined(separator: "\n")
    }

    /// Says it on standard error.
    func report() -> ExitCode {
        FileHandle.standardError.write(Data("\(description)\n".utf8))
        return ExitCode(Failure.Code.configuration.rawValue)
    }
}

/// Finds what somebody may have meant.
struct Suggestion {
    /// `; did you mean 'port'?`, or nothing where no candidate is close.
    static func text(for name: String, among candidates: [String]) -> String {
        let best = candidates.map { ($0, distance(name.lowercased(), $0.lowercased())) }.min { $0.1 < $1.1 }
        guard let (candidate, distance) = best, distance <= max(1, min(name.count, candidate.count) / 3) else {
            return ""
        }
        return "; did you mean '\(candidate)'?"
    }

    /// How many characters to insert, remove, replace or swap with the next one.
    private static func distance(_ a: String, _ b: String) -> Int {
        let (a, b) = (Array(a.prefix(64)), Array(b.prefix(64)))
        var rows = [Array(0...b.count)]
        for i in 0..<a.count {
            var row = [i + 1]
            for j in 0..<b.count {
                var cost = min(rows[i][j + 1] + 1, row[j] + 1, rows[i][j] + (a[i] == b[j] ? 0 : 1))
                if i > 0, j > 0, a[i] == b[j - 1], a[i - 1] == b[j] { cost = min(cost, rows[i - 1][j - 1] + 1) }
                row.append(cost)
            }
            rows.append(row)
        }
        return rows[a.count][b.count]
    }
}
