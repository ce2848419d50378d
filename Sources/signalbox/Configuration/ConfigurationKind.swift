// SignalBox: the kinds of values in a configuration file
// SPDX-License-Identifier: Apache-2.0

import Foundation

extension ConfigurationKey.Kind {
    private static let words = ["true": true, "yes": true, "on": true, "false": false, "no": false, "off": false]

    /// As tables of keys name it.
    var description: String {
        switch self {
        case .text: "text"
        case .number: "number"
        case .flag: "true or false"
        case .time: "time"
        case .size: "size"
        case .list: "list of texts"
        case .file, .certificate, .privateKey: "path"
        case .secret: "secret"
        }
    }

    var isPath: Bool { [.file, .certificate, .privateKey].contains(self) }

    /// What is to be said of a text that is none of this kind. Ranges are for the option itself.
    func refusal(of text: String) -> String? {
        switch self {
        case .number where Int(text) == nil: "must be a number, not '\(text.prefix(40))'"
        case .flag where Self.words[text.lowercased()] == nil: "must be true or false, not '\(text.prefix(40))'"
        case .time where Interval(argument: text) == nil:
            "must be a time such as 500ms, 15s or 1h, not '\(text.prefix(40))'"
        case .size where ByteCount(argument: text) == nil:
            "must be a number of bytes such as 32k or 1m, not '\(text.prefix(40))'"
        default: nil
        }
    }

    func normalized(_ text: String) -> String {
        guard self == .flag, let word = Self.words[text.lowercased()] else { return text }
        return word ? "true" : "false"
    }

    /// Why a file cannot be used.
    func problem(with path: String) -> String? {
        guard self == .certificate || self == .privateKey else { return nil }
        guard FileManager.default.fileExists(atPath: path) else { return "there is no file \(path)" }
        do {
            if self == .certificate { _ = try TLSFiles.chain(path) } else { _ = try TLSFiles.privateKey(path) }
            return nil
        } catch {
            return "\(error)"
        }
    }
}
