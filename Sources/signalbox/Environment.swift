// SignalBox: options from environment variables and from a configuration file
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

    /// The values that a variable's text stands for.
    func values(in text: String) throws -> [String] {
        switch self {
        case .value: return [text]
        case .list: return text.split(separator: ",").map { $0.trimmingPrefix { $0 == " " }.description }
        case .flag:
            switch text.lowercased() {
            case "true", "1", "yes", "on": return ["true"]
            case "false", "0", "no", "off", "": return ["false"]
            default: throw ValidationError("\(variable) must be true or false, not '\(text)'.")
            }
        }
    }

    /// The option as it would stand on the command line.
    func arguments(for values: [String]) -> [String] {
        switch self {
        // One word, since a value may begin with a dash.
        case .value, .list: values.map { "--\(name)=\($0)" }
        case .flag: values == ["true"] ? ["--\(name)"] : []
        }
    }
}

/// A command whose options environment variables can set, and a configuration file if `config` is among them.
protocol Configurable: ParsableCommand {
    static var settings: [Setting] { get }
}

/// What surrounds a command line. It becomes further arguments, so that one parser checks everything and reports the same errors.
struct Environment {
    private let configuration: ConfigReader

    init(_ configuration: ConfigReader = ConfigReader(provider: EnvironmentVariablesProvider())) {
        self.configuration = configuration.scoped(to: "signalbox")
    }

    /// The command line with all that counts beside it.
    func adding(to arguments: [String], of root: any ParsableCommand.Type) throws -> [String] {
        try resolve(arguments, of: root).arguments
    }

    /// Everything that is set for the command that `arguments` name: flags count more than variables, and variables more than the file.
    /// - Throws: ``BadConfiguration`` with all problems of the file, ``Failure`` when it cannot be read, `ValidationError` for a variable.
    func resolve(_ arguments: [String], of root: any ParsableCommand.Type) throws -> Resolution {
        var command = root
        var words = arguments[...]
        while let word = words.first,
            let next = command.configuration.subcommands.first(where: { $0.configuration.commandName == word })
        {
            command = next
            words.removeFirst()
        }
        let settings = (command as? any Configurable.Type)?.settings ?? []
        var resolution = Resolution(
            command: Array(arguments[..<words.startIndex]), words: Array(words), settings: settings)
        for setting in settings where resolution[setting.name] == nil {
            guard let text = text(of: setting) else { continue }
            resolution.add(setting, try setting.values(in: text), from: .variable)
        }
        guard !words.contains("--help"), !words.contains("-h"), let path = resolution["config"]?.values.last else {
            return resolution
        }
        return try resolution.adding(ConfigurationFile(path: path), of: root)
    }

    private func text(of setting: Setting) -> String? {
        configuration.string(forKey: ConfigKey([setting.name]), isSecret: setting.name.hasSuffix("-key"))
    }
}
