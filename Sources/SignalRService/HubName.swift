// SignalBox: the name under which a hub is known to the service
// SPDX-License-Identifier: Apache-2.0

/// The effective name of a hub: lower case, with the application's name in front where there is one (`app_chat`).
package struct HubName: Hashable, Sendable, CustomStringConvertible {
    package let description: String

    /// The longest name of a hub or an application.
    private static let limit = 128

    /// nil when a name breaks the rules: a letter, then at most 127 letters, digits or characters of ``_`,.[]``
    /// (service reference, "Common rules").
    init?(_ hub: String, application: String? = nil) {
        guard Self.isValid(hub[...]) else { return nil }
        guard let application, !application.isEmpty else {
            self.description = hub.lowercased()
            return
        }
        guard Self.isValid(application[...]) else { return nil }
        self.description = "\(application)_\(hub)".lowercased()
    }

    /// The name that a client connects to, which holds the application already. Too long for one name, it must be two.
    package init?(effective name: String) {
        guard name.utf8.count <= 2 * Self.limit + 1 else { return nil }
        let isTwo = name.indices.contains { index in
            name[index] == "_" && Self.isValid(name[..<index]) && Self.isValid(name[name.index(after: index)...])
        }
        guard isTwo || Self.isValid(name[...]) else { return nil }
        self.description = name.lowercased()
    }

    private static func isValid(_ name: Substring) -> Bool {
        guard let first = name.first, first.isASCII, first.isLetter, name.utf8.count <= limit else { return false }
        return name.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber) || "_`,.[]".contains($0) }
    }
}
