// SignalBox: what the command line, the environment and the configuration file say together
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser

/// Every option that is set for a command, with its values and where they come from.
struct Resolution {
    enum Origin: Hashable {
        case flag, variable
        /// The lines of the values.
        case file(String, lines: [Int])
    }

    struct Given {
        let setting: Setting
        /// A flag has `true` or `false`.
        var values: [String]
        let origin: Origin
    }

    let settings: [Setting]
    private let command: [String]
    private let words: [String]
    private var given: [String: Given] = [:]

    /// - Parameter words: what follows the command's name on the command line.
    init(command: [String], words: [String], settings: [Setting]) {
        self.command = command
        self.words = words
        self.settings = settings
        let byName = Dictionary(settings.map { ($0.name, $0) }, uniquingKeysWith: { $1 })
        var rest = words.prefix { $0 != "--" }[...]
        while let word = rest.popFirst() {
            let parts = word.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
            guard parts[0].hasPrefix("--"), let setting = byName[String(parts[0].dropFirst(2))] else { continue }
            var values = given[setting.name]?.values ?? []
            switch setting {
            case .flag: values = ["true"]
            case .list: values.append(parts.count > 1 ? parts[1] : rest.popFirst() ?? "")
            case .value: values = [parts.count > 1 ? parts[1] : rest.popFirst() ?? ""]
            }
            given[setting.name] = Given(setting: setting, values: values, origin: .flag)
        }
    }

    subscript(_ option: String) -> Given? { given[option] }

    mutating func add(_ setting: Setting, _ values: [String], from origin: Origin) {
        given[setting.name] = Given(setting: setting, values: values, origin: origin)
    }

    /// The command line that says all this.
    var arguments: [String] {
        var added: [String] = []
        for setting in settings {
            guard let given = given[setting.name], given.origin != .flag else { continue }
            added += setting.arguments(for: given.values)
        }
        return command + added + words
    }

    // MARK: The file

    /// With what the file sets and nothing of more weight does.
    /// - Throws: ``BadConfiguration``.
    func adding(_ file: ConfigurationFile, of root: any ParsableCommand.Type) throws -> Resolution {
        var whole = self
        for setting in settings {
            guard given[setting.name] == nil, let values = file.values[setting.name] else { continue }
            whole.add(setting, values.map(\.text), from: .file(file.name, lines: values.map(\.mark.line)))
        }
        let problems = file.problems + whole.problems(with: file, of: root)
        guard problems.isEmpty else { throw BadConfiguration(file: file.name, problems: problems) }
        return whole
    }

    /// What the command's own parser has against the file. It stops at the first problem, so it is asked again without what was wrong.
    private func problems(with file: ConfigurationFile, of root: any ParsableCommand.Type) -> [ConfigurationProblem] {
        var rest = self
        var (problems, removed): ([ConfigurationProblem], Set<String>) = ([], file.failed)
        for option in file.failed { if case .file? = rest.given[option]?.origin { rest.given[option] = nil } }
        while true {
            do {
                _ = try root.parseAsRoot(rest.arguments)
                return problems
            } catch {
                guard root.exitCode(for: error) == .validationFailure else { return problems }
                let message = root.message(for: error)
                let named = message.matches(of: /--([a-z][a-z-]+)/).map { String($0.1) }
                guard let option = named.first(where: { rest.isFromFile($0) }) else { return problems }
                // What would be right if that which is wrong were right is no problem of its own.
                if removed.isDisjoint(with: named), let mark = file.values[option]?.first?.mark {
                    problems.append(.init(mark, Self.inWordsOfFiles(message)))
                }
                removed.insert(option)
                rest.given[option] = nil
            }
        }
    }

    private func isFromFile(_ option: String) -> Bool {
        if case .file? = given[option]?.origin { true } else { false }
    }

    /// A message about options as one about the file's keys, in one line.
    private static func inWordsOfFiles(_ message: String) -> String {
        let lines = message.split(separator: "\n")
        let choices = lines.dropFirst().map { line in line.drop { " -".contains($0) } }
        let line = (lines.first.map { "\($0)" } ?? "") + (choices.isEmpty ? "" : " ") + choices.joined(separator: ", ")
        return line.replacing(/'?--([a-z][a-z-]+)( <[^>]*>)?'?/) { match in
            ConfigurationKey.path(ofOption: String(match.1)).map { "'\($0)'" } ?? String(match.0)
        }
    }

    // MARK: Changes

    /// Options whose values are others than in `before`, in the order of the settings.
    func changes(since before: Resolution) -> [String] {
        settings.map(\.name).filter { given[$0]?.values ?? [] != before.given[$0]?.values ?? [] }
    }
}
