// SignalBox: where services of this machine have their admin listeners, so that commands find them
// SPDX-License-Identifier: Apache-2.0

import Foundation

/// A file for each service that runs with this data folder, named after its public port. It says where the service is, and holds no secret.
struct RunningServices {
    struct Entry: Codable, Equatable {
        /// The public URL.
        let endpoint: String
        let admin: String
        let process: Int32
    }

    private let folder: String

    init(_ folder: DataFolder) { self.folder = folder.path + "/running" }

    private func file(_ port: Int) -> String { "\(folder)/\(port).json" }

    /// - Throws: what the file system throws.
    func add(_ entry: Entry, port: Int) throws {
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        try encoder.encode(entry).write(to: URL(fileURLWithPath: file(port)), options: .atomic)
    }

    func remove(port: Int) { try? FileManager.default.removeItem(atPath: file(port)) }

    /// Those whose process is alive; what crashed ones left is removed.
    func all() -> [Entry] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
        return names.sorted().compactMap { name in
            guard name.hasSuffix(".json"), let data = FileManager.default.contents(atPath: "\(folder)/\(name)"),
                let entry = try? JSONDecoder().decode(Entry.self, from: data)
            else { return nil }
            guard entry.process > 0, kill(entry.process, 0) == 0 || errno == EPERM else {
                try? FileManager.default.removeItem(atPath: "\(folder)/\(name)")
                return nil
            }
            return entry
        }
    }
}
