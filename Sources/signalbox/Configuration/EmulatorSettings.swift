// SignalBox: the settings file of the Azure SignalR local emulator
// SPDX-License-Identifier: Apache-2.0

import Yams

/// `{"UpstreamSettings":{"Templates":[{"UrlTemplate":…,"HubPattern":…,"CategoryPattern":…,"EventPattern":…}]}}`
/// (service reference, "Local emulator profile"). Keys count whatever their case; what is beside these is left alone, as the emulator does.
enum EmulatorSettings {
    private static let names = [
        "urltemplate": "url", "hubpattern": "hub", "categorypattern": "category", "eventpattern": "event",
    ]

    static func matches(_ root: Node) -> Bool { value("UpstreamSettings", of: root) != nil }

    /// The emulator knows serverless mode only.
    static func read(_ root: Node, into file: inout ConfigurationFile) {
        file.add("serverless", to: "mode", root)
        guard let settings = value("UpstreamSettings", of: root), let list = value("Templates", of: settings),
            !list.isNothing
        else { return }
        let path = "UpstreamSettings.Templates"
        guard let templates = list.sequence else {
            return file.complain(list, "'\(path)' must be a list of templates, not \(list.kind)", about: "upstream")
        }
        for template in templates {
            let before = file.problems.count
            var parts: [String: String] = [:]
            for field in file.fields(of: template, at: path, allowed: nil) where !field.value.isNothing {
                guard let name = names[field.name.lowercased()] else { continue }
                parts[name] = file.text(field.value, "\(path).\(field.name)", "upstream")
            }
            if file.problems.count == before { file.addTemplate(parts, template, at: path) }
        }
    }

    private static func value(_ name: String, of node: Node) -> Node? {
        node.mapping?.first { $0.key.scalar?.string.lowercased() == name.lowercased() }?.value
    }
}
