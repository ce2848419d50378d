// SignalBox: the configuration file read again while the service runs
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Logging
import SignalRService

/// What SIGHUP does. The command line and the environment are those of the start; the file is read again.
struct Reload {
    private let service: SignalBoxService
    private let doors: [Door]
    private let threshold: LogThreshold
    /// The key of the start, for when none is configured and nobody is asked for one.
    private let key: String
    private let logger: Logger
    private var current: Resolution

    init(
        _ service: SignalBoxService, doors: [Door], threshold: LogThreshold, key: String, logger: Logger
    ) throws {
        self.service = service
        self.doors = doors
        self.threshold = threshold
        self.key = key
        self.logger = logger
        self.current = try Self.resolution()
    }

    private static func resolution() throws -> Resolution {
        try Environment().resolve(Array(CommandLine.arguments.dropFirst()), of: SignalBox.self)
    }

    /// Takes over what may change, and says so; a file that cannot be used changes nothing.
    mutating func run() async {
        do {
            let next = try Self.resolution()
            guard let serve = try SignalBox.parseAsRoot(next.arguments) as? Serve else { return }
            let isOpen = serve.access.noAuth && serve.access.accessKey == nil
            let options = try serve.serviceOptions(key: isOpen ? key : serve.access.key())
            // All of it is read before any of it counts.
            let contents = try doors.map { try $0.identity?.read() }
            let certificates = zip(doors, contents).compactMap { door, content in
                content.flatMap { door.identity?.replace($0) } == true ? door.listener.place : nil
            }
            await service.apply(options)
            threshold.level = serve.logLevel
            report(next.changes(since: current), certificates)
            current = next
        } catch let problem as BadConfiguration {
            for line in problem.description.split(separator: "\n") { refuse("\(line)") }
        } catch let failure as Failure {
            refuse(failure.description)
        } catch {
            refuse(SignalBox.message(for: error))
        }
    }

    private func refuse(_ problem: String) {
        logger.error("The configuration stays as it was", metadata: ["problem": "\(problem)"])
    }

    /// By the names that the file has for them, without values.
    private func report(_ changes: [String], _ certificates: [String]) {
        func names(_ effect: ConfigurationKey.Effect) -> String {
            changes.filter { ConfigurationKey.effect(ofOption: $0) == effect }
                .map { ConfigurationKey.path(ofOption: $0) ?? $0 }.joined(separator: ", ")
        }
        let (done, left) = (names(.reloads), names(.restarts))
        var metadata: Logger.Metadata = ["changed": "\(done.isEmpty ? "nothing" : done)"]
        if !certificates.isEmpty { metadata["certificates"] = "\(certificates.joined(separator: ", "))" }
        logger.notice("Configuration read again", metadata: metadata)
        if !left.isEmpty {
            logger.warning("Some changes need a restart", metadata: ["changed": "\(left)"])
        }
    }
}
