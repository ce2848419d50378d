// SignalBox: the folder where the program keeps what must outlive it: the access key it made
// SPDX-License-Identifier: Apache-2.0

import Foundation
import SignalRService

struct DataFolder {
    let path: String

    /// `$XDG_DATA_HOME/signalbox`, usually `~/.local/share/signalbox`.
    static var standard: String {
        let base = ProcessInfo.processInfo.environment["XDG_DATA_HOME"].flatMap { $0.hasPrefix("/") ? $0 : nil }
        return (base ?? FileManager.default.homeDirectoryForCurrentUser.path + "/.local/share") + "/signalbox"
    }

    private var keyFile: String { path + "/access-key" }

    /// The kept key; nil when there is none yet.
    /// - Throws: ``Failure`` when the file cannot be read or holds no usable key.
    func accessKey() throws -> String? {
        guard FileManager.default.fileExists(atPath: keyFile) else { return nil }
        guard let data = FileManager.default.contents(atPath: keyFile) else {
            throw Failure(.noPermission, "cannot read \(keyFile)")
        }
        let key = String(decoding: data, as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)
        guard AccessKeys.isLongEnough(key) else {
            throw Failure(.configuration, "\(keyFile) holds no access key; remove it, and a new one is made")
        }
        return key
    }

    /// The kept key, made now if there is none.
    func accessKeyOrNew() throws -> String {
        if let key = try accessKey() { return key }
        let key = AccessKeys.makeKey()
        do {
            try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        } catch {
            throw Failure(.cannotCreate, "cannot make the data folder \(path); name another one with --data-folder")
        }
        return try write(key) ? key : accessKey() ?? key
    }

    /// False when another process was faster. Nobody but the owner may read the file, from its first moment on.
    private func write(_ key: String) throws -> Bool {
        let descriptor = open(keyFile, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        if descriptor < 0, errno == EEXIST { return false }
        guard descriptor >= 0 else {
            throw Failure(.cannotCreate, "cannot write \(keyFile): \(String(cString: strerror(errno)))")
        }
        let file = FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
        do {
            try file.write(contentsOf: Data((key + "\n").utf8))
            return true
        } catch {
            throw Failure(.cannotCreate, "cannot write \(keyFile): \(error.localizedDescription)")
        }
    }
}
