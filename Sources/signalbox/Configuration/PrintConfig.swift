// SignalBox: signalbox print-config: the configuration in force, or all that can be configured
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser

struct PrintConfig: AsyncParsableCommand, Configurable {
    static let configuration = CommandConfiguration(
        commandName: "print-config",
        abstract: "Show the configuration that signalbox serve would have, and where each value comes from.",
        discussion: """
            Takes the options of signalbox serve, and reads the same variables and the same file. What it prints is a configuration \
            file itself. Secrets are shown as *** unless --show-secrets is given.

            Examples:
              signalbox print-config --config signalbox.yaml --port 9000
              signalbox print-config --format json
              signalbox print-config --defaults > signalbox.yaml
            """)
    static let settings: [Setting] = ["format", .flag("show-secrets"), .flag("defaults")] + Serve.settings

    enum Format: String, ExpressibleByArgument, CaseIterable { case yaml, json }

    @Option(help: ArgumentHelp("yaml, with origins as comments, or json. [SIGNALBOX_FORMAT]", valueName: "format"))
    var format = Format.yaml

    @Flag(help: "Show keys, and the query parts of upstream URLs. [SIGNALBOX_SHOW_SECRETS]")
    var showSecrets = false

    @Flag(help: "Print a file with every key, its meaning and its default, to start from. [SIGNALBOX_DEFAULTS]")
    var defaults = false

    @OptionGroup var serve: Serve

    func run() async throws {
        let template = ConfigurationTemplate()
        if defaults { return print(template.yaml, terminator: "") }
        let arguments = Array(CommandLine.arguments.dropFirst())
        let resolution = try Environment().resolve(arguments, of: SignalBox.self)
        let tree = ConfigurationTree(resolution, showsSecrets: showSecrets)
        print(format == .yaml ? tree.yaml : tree.json, terminator: "")
    }
}
