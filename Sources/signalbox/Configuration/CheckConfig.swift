// SignalBox: signalbox check-config: what is wrong with a configuration file
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser

struct CheckConfig: AsyncParsableCommand, Configurable {
    static let configuration = CommandConfiguration(
        commandName: "check-config",
        abstract: "Name every problem of a configuration file, with its line and column.",
        discussion: """
            Judges the file as signalbox serve would, with the same environment, and starts nothing. Ends with 78 when the file cannot \
            be used.

            Examples:
              signalbox check-config signalbox.yaml
            """)
    static let settings: [Setting] = []

    @Argument(help: "The file, YAML or JSON.", completion: .file(extensions: ["yaml", "yml", "json"]))
    var file: String

    func run() async throws {
        try await reportingFailures {
            do {
                let resolution = try Environment().resolve(["serve", "--config=\(file)"], of: SignalBox.self)
                // A variable may be wrong, too.
                _ = try SignalBox.parseAsRoot(resolution.arguments)
                print("\(file) can be used.")
            } catch let problem as BadConfiguration {
                throw problem.report()
            }
        }
    }
}
