// SignalBox: signalbox keys and drain
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import SignalRWire

struct Keys: AsyncParsableCommand, Configurable {
    static let configuration = CommandConfiguration(
        commandName: "keys",
        abstract: "Tell which access keys a running service has.",
        discussion: """
            Shows fingerprints, never the keys: the first 16 hexadecimal digits of a key's SHA-256. For a key of your own:
              printf %s "$KEY" | sha256sum | cut -c 1-16
            """)
    static let settings: [Setting] = [.flag("json")] + AdminAccess.settings

    @Flag(help: "Print JSON, for programs. [SIGNALBOX_JSON]")
    var json = false

    @OptionGroup(title: "Service") var access: AdminAccess

    func run() async throws {
        try await reportingFailures {
            let keys = try await access.client().get("/api/keys")
            if json { return Terminal.write(keys.json + "\n") }
            for name in ["primary", "secondary"] {
                Terminal.write(
                    "\(name)\(name == "primary" ? "  " : "")  \(keys[name]?["fingerprint"]?.cell ?? "none")\n")
            }
        }
    }
}

struct Drain: AsyncParsableCommand, Configurable {
    static let configuration = CommandConfiguration(
        commandName: "drain",
        abstract: "Take a running service out of use.",
        discussion: """
            From then on /ready answers 503, new clients are turned away with 503 and Retry-After, and those there are told in batches \
            to reconnect. There is no way back but a restart.
            """)
    static let settings = AdminAccess.settings

    @OptionGroup(title: "Service") var access: AdminAccess

    func run() async throws {
        try await reportingFailures {
            _ = try await access.client().post("/api/drain", .map([]))
            Terminal.write("The service drains; its clients leave within seconds.\n")
        }
    }
}
