// SignalBox: options from environment variables
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Configuration

/// An option that an environment variable can set: SIGNALBOX_ and the option's name in capitals.
enum Setting: ExpressibleByStringLiteral {
    /// `--name value`
    case value(String)
    /// `--name value` any number of times; the variable holds values separated by commas.
    case list(String)
    /// `--name`; the variable says true or false.
    case flag(String)

    init(stringLiteral name: String) { self = .value(name) }

    var name: String {
        switch self {
        case .value(let name), .list(let name), .flag(let name): name
        }
    }

    var variable: String { "SIGNALBOX_" + name.uppercased().replacing("-", with: "_") }

    /// The option as it would stand on the command line.
    func arguments(for text: String) throws -> [String] {
        switch self {
        case .value: return ["--\(name)", text]
        case .list:
            return text.split(separator: ",").flatMap { ["--\(name)", $0.trimmingPrefix { $0 == " " }.description] }
        case .flag:
            switch text.lowercased() {
            case "true", "1", "yes", "on": return ["--\(name)"]
            case "false", "0", "no", "off", "": return []
            default: throw ValidationError("\(variable) must be true or false, not '\(text)'.")
            }
        }
    }
}

/// A command whose options environment variables can set.
protocol Configurable: ParsableCommand {
    static var settings: [Setting] { get }
}

/// The environment as further arguments, so that one parser checks both and reports the same errors.
struct Environment {
    private let configuration: ConfigReader

    init(_ configuration: ConfigReader = ConfigReader(provider: EnvironmentVariablesProvider())) {
        self.configuration = configuration.scoped(to: "signalbox")
    }

    /// Puts the settings of the command that `arguments` name right behind its name, but those that `arguments` set themselves.
    func adding(to arguments: [String], of root: any ParsableCommand.Type) throws -> [String] {
        var command = root
        var words = arguments[...]
        while let word = words.first,
            let next = command.configuration.subcommands.first(where: { $0.configuration.commandName == word })
        {
            command = next
            words.removeFirst()
        }
        guard let configurable = command as? any Configurable.Type else { return arguments }
        let given = Set(words.prefix { $0 != "--" }.map { $0.prefix { $0 != "=" } })
        let added = try configurable.settings.filter { !given.contains("--\($0.name)") }.flatMap { setting in
            try configuration.string(forKey: ConfigKey([setting.name]), isSecret: setting.name.hasSuffix("-key"))
                .map(setting.arguments(for:)) ?? []
        }
        return arguments[..<words.startIndex] + added + words
    }
}
