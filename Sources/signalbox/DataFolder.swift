// SignalBox: the folder where the program keeps what must outlive it: the keys it made
// SPDX-License-Identifier: Apache-2.0

import Foundation
import SignalRService

struct DataFolder {
    let path: String

    /// A secret that the program makes when there is none.
    enum Key: String {
        case access = "access-key"
        case admin = "admin-key"

        fileprivate var noun: String { rawValue.replacingOccurrences(of: "-", with: " ") }
    }

    /// `$XDG_DATA_HOME/signalbox`, usually `~/.local/share/signalbox`.
    static var standard: String {
        let base = ProcessInfo.processInfo.environment["XDG_DATA_HOME"].flatMap { $0.hasPrefix("/") ? $0 : nil }
        return (base ?? FileManager.default.homeDirectoryForCurrentUser.path + "/.local/share") + "/signalbox"
    }

    private func file(of key: Key) -> String { "\(path)/\(key.rawValue)" }

    /// The kept key; nil when there is none yet.
    /// - Throws: ``Failure`` when the file cannot be read or holds no usable key.
    func key(_ key: Key) throws -> String? {
        let file = file(of: key)
        guard FileManager.default.fileExists(atPath: file) else { return nil }
        guard let data = FileManager.default.contents(atPath: file) else {
            throw Failure(.noPermission, "cannot read \(file)")
        }
        let text = String(decoding: data, as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)
        guard AccessKeys.isLongEnough(text) else {
            throw Failure(.configuration, "\(file) holds no \(key.noun); remove it, and a new one is made")
        }
        return text
    }

    /// The kept key, made now if there is none.
    func keyOrNew(_ name: Key) throws -> String {
        if let key = try key(name) { return key }
        let made = AccessKeys.makeKey()
        try make()
        return try write(made, to: file(of: name)) ? made : key(name) ?? made
    }

    func accessKey() throws -> String? { try key(.access) }
    func accessKeyOrNew() throws -> String { try keyOrNew(.access) }

    private func make() throws {
        do {
            try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        } catch {
            throw Failure(.cannotCreate, "cannot make the data folder \(path); name another one with --data-folder")
        }
    }

    /// False when another process was faster. Nobody but the owner may read the file, from its first moment on.
    private func write(_ key: String, to path: String) throws -> Bool {
        let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        if descriptor < 0, errno == EEXIST { return false }
        guard descriptor >= 0 else {
            throw Failure(.cannotCreate, "cannot write \(path): \(String(cString: strerror(errno)))")
        }
        let file = FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
        do {
            try file.write(contentsOf: Data((key + "\n").utf8))
            return true
        } catch {
            throw Failure(.cannotCreate, "cannot write \(path): \(error.localizedDescription)")
        }
    }
}
