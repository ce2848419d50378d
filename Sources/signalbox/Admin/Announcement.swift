// SignalBox: what serve prints once everything listens
// SPDX-License-Identifier: Apache-2.0

import Foundation
import NIOConcurrencyHelpers
import NIOCore
import SignalRAccess
import SignalRService

/// Waits for all listeners, then says where they are, and leaves a note for the admin commands.
final class Announcement: Sendable {
    private struct Ports {
        /// The public URLs, and the port of the first.
        var open: (urls: [String], port: Int)?
        var admin: Int?
        var isMade = false
    }

    private let options: Serve
    private let accessKey: String
    /// nil without admin listener.
    private let adminKey: String?
    private let ports = NIOLockedValueBox(Ports())

    init(_ options: Serve, accessKey: String, adminKey: String?) {
        self.options = options
        self.accessKey = accessKey
        self.adminKey = adminKey
    }

    func listens(at urls: [String], on port: Int) { note { $0.open = (urls, port) } }
    func adminListens(on port: Int) { note { $0.admin = port } }

    private func note(_ change: (inout Ports) -> Void) {
        let complete = ports.withLockedValue { ports -> (open: (urls: [String], port: Int), admin: Int?)? in
            change(&ports)
            guard !ports.isMade, let open = ports.open, adminKey == nil || ports.admin != nil else { return nil }
            ports.isMade = true
            return (open, ports.admin)
        }
        if let complete { make(complete.open, complete.admin) }
    }

    /// Written at once, since scripts wait for it.
    private func make(_ open: (urls: [String], port: Int), _ adminPort: Int?) {
        let url = open.urls[0]
        let connectionString = ConnectionString(endpoint: url, accessKey: accessKey).connectionString
        var text =
            "SignalBox listens on \(url)\(options.access.noAuth ? ", open to everybody" : ""): \(connectionString)\n"
        for url in open.urls.dropFirst() { text += "Listening on \(url), too\n" }
        if options.playground { text += "Playground: \(url)/\n" }
        if let adminPort, let adminKey {
            let admin = "http://\(Self.reachable(options.admin.adminHost)):\(adminPort)"
            text += "Dashboard: \(admin)/#key=\(adminKey)\n"
            // Without the note, commands have to be told by --admin.
            try? running.add(
                .init(endpoint: url, admin: admin, process: ProcessInfo.processInfo.processIdentifier), port: open.port)
        }
        FileHandle.standardOutput.write(Data(text.utf8))
    }

    /// The service is over.
    func withdraw() { if let open = ports.withLockedValue({ $0.open }) { running.remove(port: open.port) } }

    private var running: RunningServices { RunningServices(DataFolder(path: options.access.dataFolder)) }

    /// The public URL once it is known.
    var url: String? { ports.withLockedValue { $0.open?.urls[0] } }

    /// An address that stands for all of them is no place to connect to.
    static func reachable(_ host: String) -> String {
        switch host {
        case "0.0.0.0": "127.0.0.1"
        case "::": "[::1]"
        default: host.contains(":") ? "[\(host)]" : host
        }
    }
}
