// SignalBox: which events go to which URL
// SPDX-License-Identifier: Apache-2.0

/// A URL template and the events that it is for (service reference, "Settings and matching").
///
/// A pattern is `*`, one name, or several with commas between them; names are compared exactly. In the template `{hub}`, `{category}` and
/// `{event}` stand for the names of the event, percent-escaped.
public struct UpstreamRule: Sendable, Hashable {
    /// May hold secrets of the receiver: do not log it.
    public let urlTemplate: String
    let hubs: Pattern
    let categories: Pattern
    let events: Pattern

    /// - Throws: ``UpstreamRuleError`` when no URL can come from the template.
    public init(
        urlTemplate: String, hub: String = "*", category: String = "*", event: String = "*"
    ) throws(UpstreamRuleError) {
        self.urlTemplate = urlTemplate
        self.hubs = Pattern(hub)
        self.categories = Pattern(category)
        self.events = Pattern(event)
        if urlTemplate.contains("{@Microsoft.KeyVault") {
            throw UpstreamRuleError("references to a key vault are not supported; write the URL itself")
        }
        guard let sample = url(hub: "a", category: "a", event: "a"), !sample.contains("{"), !sample.contains("}") else {
            throw UpstreamRuleError(
                "an upstream must be a URL that starts with http:// or https://, with no placeholders but {hub}, {category} and {event}"
            )
        }
    }

    /// `chat/messages/*=http://…`: patterns for hub, category and event before the template; or the template alone.
    /// - Throws: ``UpstreamRuleError``.
    public init(_ text: String) throws(UpstreamRuleError) {
        let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        let patterns = parts[0].split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2, patterns.count == 3, !parts[0].contains("://") else {
            try self.init(urlTemplate: text)
            return
        }
        try self.init(
            urlTemplate: String(parts[1]), hub: String(patterns[0]), category: String(patterns[1]),
            event: String(patterns[2]))
    }

    func matches(hub: String, category: String, event: String) -> Bool {
        hubs.matches(hub) && categories.matches(category) && events.matches(event)
    }

    /// nil when a name makes no sense in the place that the template has for it: one of dots only would climb up in the path.
    func url(hub: String, category: String, event: String) -> String? {
        var url = ""
        var rest = urlTemplate[...]
        while let open = rest.firstIndex(of: "{") {
            url += rest[..<open]
            rest = rest[open...]
            let names = [("{hub}", hub), ("{category}", category), ("{event}", event)]
            guard let (placeholder, name) = names.first(where: { rest.hasPrefix($0.0) }), name != ".", name != ".."
            else { return nil }
            url += name.percentEncoded
            rest = rest.dropFirst(placeholder.count)
        }
        url += rest
        return Self.isAbsolute(url) ? url : nil
    }

    private static func isAbsolute(_ url: String) -> Bool {
        guard let scheme = ["http://", "https://"].first(where: { url.lowercased().hasPrefix($0) }) else {
            return false
        }
        let host = url.dropFirst(scheme.count).prefix { !"/?#".contains($0) }
        return !host.isEmpty && !host.hasPrefix(":") && !host.contains("%") && !host.contains("@")
            && url.utf8.allSatisfy { (0x21...0x7E).contains($0) }
    }

    struct Pattern: Sendable, Hashable {
        /// nil for every name.
        private let names: Set<String>?

        init(_ text: String) {
            let names = text.split(separator: ",").map { name in
                String(name.drop { $0 == " " }.reversed().drop { $0 == " " }.reversed())
            }
            self.names = names.isEmpty || names.contains("*") ? nil : Set(names)
        }

        func matches(_ name: String) -> Bool { names?.contains(name) ?? true }
    }
}

/// A rule for upstream that cannot be followed. The text does not hold the URL.
public struct UpstreamRuleError: Error, Sendable, Hashable, CustomStringConvertible {
    public let description: String
    init(_ description: String) { self.description = description }
}
