// SignalBox: the command line: what the program can do
// SPDX-License-Identifier: Apache-2.0

package import ArgumentParser

package struct SignalBox: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "signalbox",
        abstract: "Real-time messages for SignalR clients, from your own machine.",
        discussion: """
            Every option can be set by an environment variable, too: SIGNALBOX_ and the option's name in capitals, such as \
            SIGNALBOX_ACCESS_KEY for --access-key. Options on the command line win. serve reads a configuration file, too (--config).

            Completion for your shell: signalbox --generate-completion-script bash (or zsh, fish).
            """,
        version: "0.1.0",
        subcommands: [
            Serve.self, Token.self, Send.self, Connections.self, Groups.self, Users.self, Kick.self, Tail.self,
            Keys.self, Drain.self, CheckConfig.self, PrintConfig.self,
        ])

    package init() {}

    package static func main() async {
        do {
            let arguments = try Environment().adding(to: Array(CommandLine.arguments.dropFirst()), of: Self.self)
            await main(arguments)
        } catch let problem as BadConfiguration {
            exit(withError: problem.report())
        } catch let failure as Failure {
            exit(withError: failure.report())
        } catch {
            exit(withError: error)
        }
    }
}
