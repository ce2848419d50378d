// SignalBox: how much is logged, which may change while the program runs
// SPDX-License-Identifier: Apache-2.0

import Logging
import Synchronization

/// The least important level that is logged.
final class LogThreshold: Sendable {
    private let index: Atomic<Int>

    init(_ level: Logger.Level) { self.index = Atomic(Self.index(of: level)) }

    var level: Logger.Level {
        get { Logger.Level.allCases[index.load(ordering: .relaxed)] }
        set { index.store(Self.index(of: newValue), ordering: .relaxed) }
    }

    private static func index(of level: Logger.Level) -> Int { Logger.Level.allCases.firstIndex(of: level) ?? 0 }

    /// `handler` under this threshold: loggers that exist already follow it, too.
    func applied(to handler: any LogHandler) -> any LogHandler { Handler(handler: handler, threshold: self) }

    private struct Handler: LogHandler {
        var handler: any LogHandler
        let threshold: LogThreshold

        var logLevel: Logger.Level {
            get { threshold.level }
            // One level for all of the program.
            set {}
        }
        var metadata: Logger.Metadata {
            get { handler.metadata }
            set { handler.metadata = newValue }
        }
        var metadataProvider: Logger.MetadataProvider? {
            get { handler.metadataProvider }
            set { handler.metadataProvider = newValue }
        }
        subscript(metadataKey key: String) -> Logger.Metadata.Value? {
            get { handler[metadataKey: key] }
            set { handler[metadataKey: key] = newValue }
        }

        func log(event: LogEvent) { handler.log(event: event) }
    }
}
