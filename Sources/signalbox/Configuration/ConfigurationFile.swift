// SignalBox: a configuration file as options of signalbox serve, each with its place
// SPDX-License-Identifier: Apache-2.0

import Foundation
import Yams

/// What a configuration file sets. All its problems are found at once.
struct ConfigurationFile {
    /// A value as it would stand on the command line, and where it stands in the file.
    struct Value: Hashable {
        let text: String
        let mark: ConfigurationMark
    }

    /// As it was named, for messages.
    let name: String
    /// By option. A flag that is off has the value `false`.
    private(set) var values: [String: [Value]] = [:]
    private(set) var problems: [ConfigurationProblem] = []
    /// Options that would have a value if it were right.
    private(set) var failed: Set<String> = []
    private let folder: String

    /// - Throws: ``Failure`` when there is no such file; ``BadConfiguration`` when it is no YAML. What is wrong beyond that is in
    ///   ``problems``.
    init(path: String) throws {
        guard let data = FileManager.default.contents(atPath: path) else {
            let exists = FileManager.default.fileExists(atPath: path)
            throw Failure(exists ? .noPermission : .noInput, "cannot read the configuration file \(path)")
        }
        guard data.count <= ConfigurationText.maximumSize, let text = String(data: data, encoding: .utf8) else {
            throw Failure(.configuration, "\(path) is no configuration file: it is not text, or larger than 1 MiB")
        }
        try self.init(text, name: path)
    }

    /// - Parameter name: the path that the text came from; relative paths in it start at its folder.
    init(_ text: String, name: String) throws(BadConfiguration) {
        self.name = name
        self.folder = URL(filePath: name).deletingLastPathComponent().path
        let text = try ConfigurationText(text, file: name)
        self.problems = text.problems
        guard let root = text.root, !root.isNothing else { return }
        if EmulatorSettings.matches(root) {
            EmulatorSettings.read(root, into: &self)
        } else {
            readSection("", root)
        }
    }

    /// For what is found by those who read a part.
    mutating func complain(_ node: Node, _ text: String, about option: String? = nil) {
        problems.append(.init(ConfigurationMark(node.mark), text))
        if let option { failed.insert(option) }
    }

    mutating func add(_ text: String, to option: String, _ node: Node) {
        values[option, default: []].append(Value(text: text, mark: ConfigurationMark(node.mark)))
    }

    // MARK: Sections

    mutating func readSection(_ path: String, _ node: Node) {
        for field in fields(of: node, at: path, allowed: Self.children(of: path)) {
            let path = path.isEmpty ? field.name : "\(path).\(field.name)"
            if let key = ConfigurationKey.all.first(where: { $0.path == path }) {
                read(key, field.value)
            } else if path == "listen", case .sequence(let places) = field.value {
                readPlaces(places)
            } else if path == "upstream.templates" {
                readTemplates(field.value, at: path, hub: nil)
            } else if path == "hubs" {
                readHubs(field.value)
            } else if !field.value.isNothing {
                readSection(path, field.value)
            }
        }
    }

    /// Names that may stand in a section.
    static func children(of path: String) -> [String] {
        let prefix = path.isEmpty ? "" : path + "."
        let paths = ConfigurationKey.all.map(\.path) + ConfigurationKey.items.map(\.path)
        var names: [String] = []
        for path in paths where path.hasPrefix(prefix) {
            let name = String(path.dropFirst(prefix.count).prefix { $0 != "." })
            if !names.contains(name) { names.append(name) }
        }
        return names
    }

    /// The keys of a section that may stand there; the others are told.
    mutating func fields(of node: Node, at path: String, allowed: [String]?) -> [(name: String, key: Node, value: Node)]
    {
        let place = path.isEmpty ? "a configuration file" : "'\(path)'"
        guard case .mapping(let mapping) = node else {
            complain(node, "\(place) holds keys with values, not \(node.kind)")
            return []
        }
        var found: [(String, Node, Node)] = []
        for (key, value) in mapping {
            guard let name = key.scalar?.string else {
                complain(key, "a key must be a name, not \(key.kind)")
                continue
            }
            if ConfigurationText.isHidden(name) { continue }
            if let allowed, !allowed.contains(name) {
                complain(
                    key,
                    "\(path.isEmpty ? "there is" : "'\(path)' has") no key '\(name)'\(Self.suggestion(name, allowed, path))"
                )
                continue
            }
            found.append((name, key, value))
        }
        return found
    }

    /// The closest name here, or the same name in another section.
    private static func suggestion(_ name: String, _ allowed: [String], _ path: String) -> String {
        let near = Suggestion.text(for: name, among: allowed)
        guard near.isEmpty else { return near }
        let elsewhere = ConfigurationKey.all.first { $0.name.lowercased() == name.lowercased() && $0.section != path }
        return elsewhere.map { "; did you mean '\($0.path)'?" } ?? "; known are \(allowed.joined(separator: ", "))"
    }

    // MARK: Values

    private mutating func read(_ key: ConfigurationKey, _ node: Node) {
        let option = key.option
        if key.kind == .list {
            // An empty list is a value: it replaces what has less precedence.
            values[option] = []
            for element in node.sequence.map(Array.init) ?? [node] {
                guard let text = self.text(element, key.path, option) else { continue }
                add(text, to: option, element)
            }
        } else if let text = self.text(node, key.path, option) {
            if let wish = key.kind.refusal(of: text) { return complain(node, "'\(key.path)' \(wish)", about: option) }
            guard key.kind.isPath else { return add(key.kind.normalized(text), to: option, node) }
            if let problem = key.kind.problem(with: absolute(text)) {
                return complain(node, "'\(key.path)': \(problem)", about: option)
            }
            add(absolute(text), to: option, node)
        }
    }

    /// The text of a single value; what is none is told.
    mutating func text(_ node: Node, _ path: String, _ option: String) -> String? {
        guard !node.isNothing else {
            complain(node, "'\(path)' has no value; remove the line to get the default", about: option)
            return nil
        }
        guard let text = node.scalar?.string else {
            complain(node, "'\(path)' must be one value, not \(node.kind)", about: option)
            return nil
        }
        return text
    }

    func absolute(_ path: String) -> String {
        path.hasPrefix("/") ? path : URL(filePath: folder).appending(path: path).standardizedFileURL.path
    }

    /// What an option has until now, which it then has no more.
    mutating func take(_ option: String) -> [Value] { values.removeValue(forKey: option) ?? [] }

    mutating func append(_ more: [Value], to option: String) {
        if !more.isEmpty { values[option, default: []] += more }
    }
}

extension Node {
    /// What stands after a colon when nothing does.
    var isNothing: Bool {
        guard let scalar else { return false }
        return scalar.style != .singleQuoted && scalar.style != .doubleQuoted
            && ["", "~", "null"].contains(scalar.string)
    }

    var kind: String {
        switch self {
        case .mapping: "keys with values"
        case .sequence: "a list"
        case .scalar: isNothing ? "nothing" : "a single value"
        case .alias: "an alias"
        }
    }
}
