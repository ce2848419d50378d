// SignalBox: which service the admin commands talk to, and with which key
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser

/// The options of every command that looks into a running service.
struct AdminAccess: ParsableArguments {
    static let settings: [Setting] = ["admin", "admin-key", "data-folder"]

    @Option(
        help: ArgumentHelp(
            "The URL of the service's admin listener. (default: that of the service that runs here, or http://127.0.0.1:8887) [SIGNALBOX_ADMIN]",
            valueName: "url"))
    var admin: String?

    @Option(
        help: ArgumentHelp(
            "The service's admin key. (default: the one that serve made) [SIGNALBOX_ADMIN_KEY]", valueName: "key"))
    var adminKey: String?

    @Option(
        help: ArgumentHelp("Where serve keeps the key it made. [SIGNALBOX_DATA_FOLDER]", valueName: "folder"),
        completion: .directory)
    var dataFolder = DataFolder.standard

    func validate() throws {
        if let admin, !admin.hasPrefix("http://"), !admin.hasPrefix("https://") {
            throw ValidationError("--admin must be a URL that starts with http:// or https://.")
        }
    }

    /// - Throws: ``Failure`` when there is no key, or more than one service to choose from.
    func client() throws -> AdminClient {
        let folder = DataFolder(path: dataFolder)
        let url = try admin ?? running(folder)
        guard let key = try adminKey ?? folder.key(.admin) else {
            throw Failure(.configuration, "no admin key; give --admin-key, or the --data-folder of the service")
        }
        return AdminClient(url: url.hasSuffix("/") ? String(url.dropLast()) : url, key: key)
    }

    private func running(_ folder: DataFolder) throws -> String {
        let services = RunningServices(folder).all()
        guard services.count < 2 else {
            let list = services.map { "\($0.admin) of \($0.endpoint)" }.joined(separator: ", ")
            throw Failure(.configuration, "several services run here; choose one with --admin: \(list)")
        }
        return services.first?.admin ?? "http://127.0.0.1:\(AdminOptions.standardPort)"
    }
}
