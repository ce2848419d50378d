// SignalBox: the configuration in force, with the origin of each value
// SPDX-License-Identifier: Apache-2.0

extension ConfigurationTree {
    /// - Parameter showsSecrets: whether keys and the queries of upstream URLs are shown.
    init(_ resolution: Resolution, showsSecrets: Bool) {
        self = .section([])
        for key in ConfigurationKey.all {
            guard let value = Self.value(of: key, resolution, showsSecrets) else { continue }
            insert(value, at: key.path.split(separator: ".")[...])
        }
        insertTemplates(resolution, showsSecrets)
        insertListeners(resolution)
        insertHubs(resolution)
    }

    private static func value(
        of key: ConfigurationKey, _ resolution: Resolution, _ showsSecrets: Bool
    ) -> ConfigurationTree? {
        guard let given = resolution[key.option] else {
            let standard = OptionHelp.ofServe[key.option]?.standard ?? (key.kind == .flag ? "false" : nil)
            return standard.map { .value($0, isText: key.kind.isText, comment: "default") }
        }
        func shown(_ index: Int) -> ConfigurationTree {
            let isHidden = key.kind == .secret && !showsSecrets
            return .value(
                isHidden ? "***" : given.values[index], isText: key.kind.isText, comment: given.origin(of: index))
        }
        if key.kind == .list { return .list(given.values.indices.map(shown)) }
        return given.values.isEmpty ? nil : shown(given.values.count - 1)
    }

    // MARK: Parts with a shape of their own

    private mutating func insertTemplates(_ resolution: Resolution, _ showsSecrets: Bool) {
        guard let given = resolution["upstream"] else { return }
        let templates = given.values.enumerated().map { index, text in
            let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let patterns = parts[0].split(separator: "/", omittingEmptySubsequences: false).map(String.init)
            let hasPatterns = parts.count == 2 && patterns.count == 3 && !parts[0].contains("://")
            let url = hasPatterns ? String(parts[1]) : text
            // A query often holds the receiver's key.
            let shown = showsSecrets ? url : url.replacing(/\?.*/, with: "?***")
            var fields = [(name: "url", value: Self.value(shown, isText: true, comment: given.origin(of: index)))]
            for (name, pattern) in zip(["hub", "category", "event"], patterns) where hasPatterns && pattern != "*" {
                fields.append((name, .value(pattern, isText: true, comment: "")))
            }
            return ConfigurationTree.section(fields)
        }
        insert(.list(templates), at: ["upstream", "templates"])
    }

    private mutating func insertListeners(_ resolution: Resolution) {
        guard let given = resolution["listen"], !given.values.isEmpty, case .section(let fields) = self,
            let first = fields.first(where: { $0.name == "listen" })?.value
        else { return }
        let others = given.values.enumerated().compactMap { index, text in
            Listener(argument: text).map { listener -> ConfigurationTree in
                var fields: [(name: String, value: ConfigurationTree)] = [
                    ("host", .value(listener.host, isText: true, comment: given.origin(of: index))),
                    ("port", .value("\(listener.port)", isText: false, comment: "")),
                ]
                if let tls = listener.tls {
                    let files = [("certificate", tls.certificate), ("key", tls.key)]
                    fields.append(
                        ("tls", .section(files.map { ($0.0, .value($0.1, isText: true, comment: "")) })))
                }
                return .section(fields)
            }
        }
        insert(.list([first] + others), at: ["listen"])
    }

    private mutating func insertHubs(_ resolution: Resolution) {
        guard let given = resolution["hub-setting"] else { return }
        for (index, text) in given.values.enumerated() {
            guard let setting = HubSetting(argument: text),
                let key = ConfigurationKey.all.first(where: { $0.option == setting.option })
            else { continue }
            insert(
                .value(setting.value, isText: key.kind.isText, comment: given.origin(of: index)),
                at: ["hubs", setting.hub[...], key.name[...]])
        }
    }
}

extension ConfigurationKey.Kind {
    /// Whether JSON writes it in quotes.
    fileprivate var isText: Bool { self != .number && self != .flag }
}

extension Resolution.Given {
    /// As a comment: `flag`, `SIGNALBOX_PORT` or `signalbox.yaml:3`.
    fileprivate func origin(of index: Int) -> String {
        switch origin {
        case .flag: "--\(setting.name)"
        case .variable: setting.variable
        case .file(let name, let lines): lines.indices.contains(index) ? "\(name):\(lines[index])" : name
        }
    }
}
