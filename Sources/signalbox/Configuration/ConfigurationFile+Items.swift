// SignalBox: the parts of a configuration file with a shape of their own: several listeners, upstream templates, single hubs
// SPDX-License-Identifier: Apache-2.0

import SignalRService
import Yams

extension ConfigurationFile {
    // MARK: Listeners

    /// The first is what options speak of; the others are `--listen`.
    mutating func readPlaces(_ places: Node.Sequence) {
        guard let first = places.first else { return }
        readSection("listen", first)
        for place in places.dropFirst() {
            guard let listener = listener(place) else { continue }
            add(listener.description, to: "listen", place)
        }
    }

    private mutating func listener(_ node: Node) -> Listener? {
        var listener = Listener(host: "127.0.0.1", port: -1, tls: nil)
        var files: [String: String] = [:]
        let before = problems.count
        for field in fields(of: node, at: "listen", allowed: ["host", "port", "tls"]) {
            switch field.name {
            case "host": listener.host = text(field.value, "listen.host", "listen") ?? ""
            case "port":
                let number = text(field.value, "listen.port", "listen").flatMap { Int($0) }
                if let number, (0...65_535).contains(number) {
                    listener.port = number
                } else if problems.count == before {
                    complain(field.value, "'listen.port' must be a number from 0 to 65535", about: "listen")
                }
            default:
                for file in fields(of: field.value, at: "listen.tls", allowed: ["certificate", "key"]) {
                    files[file.name] = tlsFile(file.value, file.name)
                }
                if problems.count == before, files.count != 2 {
                    complain(field.key, "'listen.tls' needs certificate and key", about: "listen")
                }
            }
        }
        guard problems.count == before else { return nil }
        guard listener.port >= 0 else {
            complain(node, "a further listener needs a port", about: "listen")
            return nil
        }
        if let certificate = files["certificate"], let key = files["key"] {
            listener.tls = TLSFiles(certificate: certificate, key: key)
        }
        guard Listener(argument: listener.description) == listener else {
            complain(node, "'listen' has a host or a path that cannot be used here", about: "listen")
            return nil
        }
        return listener
    }

    private mutating func tlsFile(_ node: Node, _ name: String) -> String? {
        guard let path = text(node, "listen.tls.\(name)", "listen").map(absolute) else { return nil }
        let kind: ConfigurationKey.Kind = name == "key" ? .privateKey : .certificate
        guard let problem = kind.problem(with: path) else { return path }
        complain(node, "'listen.tls.\(name)': \(problem)", about: "listen")
        return nil
    }

    // MARK: Upstream

    /// - Parameter hub: the one that the templates are for; nil where they say it themselves.
    mutating func readTemplates(_ node: Node, at path: String, hub: String?) {
        guard let templates = node.sequence.map(Array.init) ?? (node.isNothing ? [] : nil) else {
            return complain(node, "'\(path)' must be a list of templates, not \(node.kind)", about: "upstream")
        }
        for template in templates {
            var parts = ["hub": hub ?? "*", "category": "*", "event": "*"]
            let before = problems.count
            if template.scalar != nil {
                parts["url"] = text(template, path, "upstream")
            } else {
                let names = ["url"] + (hub == nil ? ["hub"] : []) + ["category", "event"]
                for field in fields(of: template, at: path, allowed: names) {
                    parts[field.name] = text(field.value, "\(path).\(field.name)", "upstream")
                }
            }
            guard problems.count == before else { continue }
            addTemplate(parts, template, at: path)
        }
    }

    /// - Parameter parts: `url`, and the patterns `hub`, `category` and `event`.
    mutating func addTemplate(_ parts: [String: String], _ node: Node, at path: String) {
        guard let url = parts["url"] else {
            return complain(node, "a template in '\(path)' needs a url", about: "upstream")
        }
        let patterns = ["hub", "category", "event"].map { parts[$0] ?? "*" }
        guard !patterns.contains(where: { $0.contains("/") || $0.contains("=") }) else {
            return complain(node, "patterns in '\(path)' may not contain / or =", about: "upstream")
        }
        do {
            _ = try UpstreamRule(urlTemplate: url, hub: patterns[0], category: patterns[1], event: patterns[2])
            add(patterns.joined(separator: "/") + "=" + url, to: "upstream", node)
        } catch {
            complain(node, "'\(path)': \(error)", about: "upstream")
        }
    }

    // MARK: Hubs

    mutating func readHubs(_ node: Node) {
        guard !node.isNothing else { return }
        let settings = HubSetting.options
        let keys = ConfigurationKey.all.filter { settings.contains($0.option) }
        for hub in fields(of: node, at: "hubs", allowed: nil) where !hub.value.isNothing {
            guard HubName(effective: hub.name) != nil else {
                complain(hub.key, "'\(hub.name.prefix(40))' is not the name of a hub", about: "hub-setting")
                continue
            }
            let path = "hubs.\(hub.name)"
            for field in fields(of: hub.value, at: path, allowed: keys.map(\.name) + ["upstream"]) {
                if field.name == "upstream" {
                    readOwnTemplates(field.value, at: "\(path).upstream", hub: hub.name.lowercased())
                } else if let key = keys.first(where: { $0.name == field.name }) {
                    readSetting(key, field.value, path, hub.name)
                }
            }
        }
    }

    private mutating func readSetting(_ key: ConfigurationKey, _ node: Node, _ path: String, _ hub: String) {
        guard let text = text(node, "\(path).\(key.name)", "hub-setting") else { return }
        if let wish = key.kind.refusal(of: text) {
            return complain(node, "'\(path).\(key.name)' \(wish)", about: "hub-setting")
        }
        guard let setting = HubSetting(argument: "\(hub)/\(key.option)=\(key.kind.normalized(text))") else {
            return complain(node, "'\(path).\(key.name)' cannot be '\(text.prefix(40))'", about: "hub-setting")
        }
        add(setting.argument, to: "hub-setting", node)
    }

    /// A hub's own templates count before those for all.
    private mutating func readOwnTemplates(_ node: Node, at path: String, hub: String) {
        let common = take("upstream")
        readTemplates(node, at: path, hub: hub)
        append(common, to: "upstream")
    }
}
