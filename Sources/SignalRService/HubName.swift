// SignalBox: the name under which a hub is known to the service
// SPDX-License-Identifier: Apache-2.0

/// The effective name of a hub: lower case, with the application's name in front where there is one (`app_chat`).
struct HubName: Hashable, Sendable, CustomStringConvertible {
    let description: String

    /// nil when a name breaks the rules: a letter, then at most 127 letters, digits or one of ``_`,.[]`` (service reference, "Common rules").
    init?(_ hub: String, application: String? = nil) {
        guard Self.isValid(hub, limit: 128) else { return nil }
        guard let application, !application.isEmpty else {
            self.description = hub.lowercased()
            return
        }
        guard Self.isValid(application, limit: 128) else { return nil }
        self.description = "\(application)_\(hub)".lowercased()
    }

    /// The name that a client connects to, which holds the application already.
    init?(effective name: String) {
        guard Self.isValid(name, limit: 257) else { return nil }
        self.description = name.lowercased()
    }

    private static func isValid(_ name: String, limit: Int) -> Bool {
        guard let first = name.first, first.isLetter, name.count <= limit else { return false }
        return name.allSatisfy { $0.isLetter || $0.isNumber || "_`,.[]".contains($0) }
    }
}
