// SignalBox: signalbox serve: the options of the admin listener
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Logging
import SignalRService

struct AdminOptions: ParsableArguments {
    static let settings: [Setting] = ["admin-host", "admin-port", "admin-key", .flag("no-admin")]
    static let standardPort = 8887

    @Option(
        help: ArgumentHelp(
            "The address that the dashboard and the admin API listen on. [SIGNALBOX_ADMIN_HOST]", valueName: "address"))
    var adminHost = "127.0.0.1"

    @Option(
        help: ArgumentHelp(
            "Their port; 0 for a free one. (default: 8887, or a free one if that is taken) [SIGNALBOX_ADMIN_PORT]",
            valueName: "number"))
    var adminPort: Int?

    @Option(
        help: ArgumentHelp(
            "The secret that opens them, 32 characters or more. Without it, one is made and kept in the data folder. [SIGNALBOX_ADMIN_KEY]",
            valueName: "key"))
    var adminKey: String?

    @Flag(help: "Have no dashboard and no admin API, and keep nothing for them. [SIGNALBOX_NO_ADMIN]")
    var noAdmin = false

    func validate() throws {
        if let adminPort, !(0...65_535).contains(adminPort) {
            throw ValidationError("--admin-port must be a number from 0 to 65535.")
        }
        if let adminKey, !AccessKeys.isLongEnough(adminKey) {
            throw ValidationError(
                """
                The admin key has \(adminKey.count) characters, and \(AccessKeys.minimumLength) are needed. Leave --admin-key out \
                to have a good one made.
                """)
        }
    }

    /// The key in use. One that cannot be kept is good for this run: the ready output has it.
    func key(in folder: DataFolder, _ logger: Logger) -> String {
        if let adminKey { return adminKey }
        do {
            return try folder.keyOrNew(.admin)
        } catch {
            logger.warning("The admin key is made for this run only", metadata: ["reason": "\(error)"])
            return AccessKeys.makeKey()
        }
    }
}
