// SignalBox: the service's state in one SQLite file
// SPDX-License-Identifier: Apache-2.0

import Foundation
import GRDB
public import SignalRService

private func text(_ bytes: Data) -> String { String(decoding: bytes, as: UTF8.self) }

/// Keeps user-group memberships in an SQLite database, in write-ahead mode: a change that was acknowledged survives the end of the
/// process, and the last moments before a power cut may be lost.
public final class SQLiteStore: ServiceStore {
    private let database: DatabaseQueue

    /// - Parameter path: the file; it is made if there is none, its folder must be there. `:memory:` keeps everything in memory.
    /// - Throws: `DatabaseError` when the file cannot be opened, or is no database of this program.
    public init(path: String) throws {
        var configuration = Configuration()
        configuration.label = "SignalBox.Store"
        configuration.busyMode = .timeout(5)
        if path != ":memory:" { configuration.journalMode = .wal }
        self.database = try DatabaseQueue(path: path, configuration: configuration)
        try Self.migrator.migrate(database)
    }

    private static var migrator: DatabaseMigrator {
        var migrator = DatabaseMigrator()
        migrator.registerMigration("user groups") { database in
            // `number` grows, so that it tells the oldest membership. Names are bytes, since text would end at a NUL.
            try database.execute(
                sql: """
                    CREATE TABLE userGroup (
                        number INTEGER PRIMARY KEY AUTOINCREMENT,
                        hub TEXT NOT NULL,
                        user BLOB NOT NULL,
                        name BLOB NOT NULL,
                        deadline DOUBLE NOT NULL,
                        UNIQUE (hub, user, name)
                    );
                    CREATE INDEX userGroupDeadline ON userGroup (hub, deadline);
                    """)
        }
        return migrator
    }

    /// Oldest first. What has run out is removed.
    public func memberships() async throws -> [UserMembership] {
        try await database.write { database in
            try database.execute(sql: "DELETE FROM userGroup WHERE deadline <= CAST(strftime('%s', 'now') AS REAL)")
            return try Row.fetchAll(database, sql: "SELECT hub, user, name, deadline FROM userGroup ORDER BY number")
                .map {
                    UserMembership(hub: $0[0], user: text($0[1]), group: text($0[2]), deadline: $0[3])
                }
        }
    }

    public func write(_ changes: [MembershipChange]) async throws {
        try await database.write { database in
            for change in changes { try Self.apply(change, to: database) }
        }
    }

    private static func apply(_ change: MembershipChange, to database: Database) throws {
        switch change {
        case .add(let membership):
            // A new number, since a membership that is renewed is the newest.
            try execute(
                "INSERT OR REPLACE INTO userGroup (hub, user, name, deadline) VALUES (?, ?, ?, ?)",
                [membership.hub, bytes(membership.user), bytes(membership.group), membership.deadline], database)
        case .remove(let hub, let user, let group?):
            try execute(
                "DELETE FROM userGroup WHERE hub = ? AND user = ? AND name = ?", [hub, bytes(user), bytes(group)],
                database)
        case .remove(let hub, let user, nil):
            try execute("DELETE FROM userGroup WHERE hub = ? AND user = ?", [hub, bytes(user)], database)
        case .expire(let hub, let now):
            try execute("DELETE FROM userGroup WHERE hub = ? AND deadline <= ?", [hub, now], database)
        }
    }

    private static func bytes(_ text: String) -> Data { Data(text.utf8) }

    private static func execute(
        _ sql: String, _ arguments: StatementArguments, _ database: Database
    ) throws {
        try database.cachedStatement(sql: sql).execute(arguments: arguments)
    }
}
