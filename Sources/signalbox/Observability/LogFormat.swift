// SignalBox: how the program logs: text for people, JSON for programs
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Foundation
import Logging
import NIOCore
import SignalRWire

enum LogFormat: String, ExpressibleByArgument, CaseIterable, Sendable {
    case text, json

    func handler(_ label: String, _ level: Logger.Level) -> any LogHandler {
        switch self {
        case .text:
            var handler = StreamLogHandler.standardError(label: label)
            handler.logLevel = level
            return handler
        case .json: return JSONLogHandler(label: label, logLevel: level)
        }
    }
}

/// Writes a JSON object per line to standard error: `time`, `level`, `logger`, `message`, and `metadata` where there is any.
struct JSONLogHandler: LogHandler {
    let label: String
    var logLevel: Logger.Level
    var metadata: Logger.Metadata = [:]
    var metadataProvider: Logger.MetadataProvider?
    /// Where lines go; whole ones, one at a time.
    var write: @Sendable (ByteBuffer) -> Void = { line in
        FileHandle.standardError.write(Data(line.readableBytesView))
    }

    init(label: String, logLevel: Logger.Level) {
        self.label = label
        self.logLevel = logLevel
    }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        var all = metadata
        if let provided = metadataProvider?.get() { all.merge(provided) { $1 } }
        if let own = event.metadata { all.merge(own) { $1 } }
        if let error = event.error { all["error"] = "\(error)" }
        var members: [HubValue.Member] = [
            .init(key: "time", value: .string(Date().formatted(Self.time))),
            .init(key: "level", value: .string(event.level.rawValue)),
            .init(key: "logger", value: .string(label)), .init(key: "message", value: .string("\(event.message)")),
        ]
        if !all.isEmpty { members.append(.init(key: "metadata", value: Self.json(.dictionary(all)))) }
        var line = ByteBuffer()
        guard (try? JSON.write(.map(members), into: &line)) != nil else { return }
        line.writeStaticString("\n")
        write(line)
    }

    private static let time = Date.ISO8601FormatStyle(includingFractionalSeconds: true)

    private static func json(_ value: Logger.Metadata.Value) -> HubValue {
        switch value {
        case .string(let text): .string(text)
        case .stringConvertible(let value): .string("\(value)")
        case .array(let values): .array(values.map(json))
        case .dictionary(let values):
            .map(values.sorted { $0.key < $1.key }.map { .init(key: $0.key, value: json($0.value)) })
        }
    }
}
