// SignalBox: what survives a restart
// SPDX-License-Identifier: Apache-2.0

import Foundation
import HTTPTypes
import Logging
import NIOConcurrencyHelpers
import SignalR
import SignalRServiceStore
import Testing

@testable import SignalRService

/// A database file for the time of a test.
private func withDatabase<R>(_ body: (String) async throws -> R) async throws -> R {
    let folder = FileManager.default.temporaryDirectory.appending(path: "signalbox-\(UUID())")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    return try await body(folder.appending(path: "state.sqlite").path)
}

private func membership(_ user: String, _ group: String, _ deadline: Double = 1e10) -> UserMembership {
    UserMembership(hub: "chat", user: user, group: group, deadline: deadline)
}

@Suite struct SQLiteStoreTests {
    @Test func changesSurvive() async throws {
        try await withDatabase { path in
            try await SQLiteStore(path: path).write([
                .add(membership("ann", "a")), .add(membership("ann", "b")), .add(membership("bob", "a")),
                .add(membership("bob", "b")), .remove(hub: "chat", user: "ann", group: "b"),
                .remove(hub: "chat", user: "bob", group: nil), .remove(hub: "other", user: "ann", group: nil),
            ])
            #expect(try await SQLiteStore(path: path).memberships() == [membership("ann", "a")])
        }
    }

    @Test func theOldestComesFirstAndRenewalMakesNew() async throws {
        let store = try SQLiteStore(path: ":memory:")
        try await store.write([
            .add(membership("u", "a")), .add(membership("u", "b")), .add(membership("u", "a", 2e10)),
        ])
        #expect(try await store.memberships() == [membership("u", "b"), membership("u", "a", 2e10)])
    }

    @Test func whatRanOutIsGone() async throws {
        let store = try SQLiteStore(path: ":memory:")
        try await store.write([
            .add(membership("u", "a", 1)), .add(membership("u", "b", 3e10)), .add(membership("u", "c", 2e10)),
            .expire(hub: "other", now: 4e10), .expire(hub: "chat", now: 2e10),
        ])
        #expect(try await store.memberships().map(\.group) == ["b"])
    }

    @Test func namesAreOnlyNames() async throws {
        let store = try SQLiteStore(path: ":memory:")
        let odd = membership("'; DROP TABLE userGroup; --", "🚦 \u{0} ä")
        try await store.write([.add(odd)])
        #expect(try await store.memberships() == [odd])
    }

    @Test func whatIsNoDatabaseIsRefused() async throws {
        try await withDatabase { path in
            try Data("this is no database, but long enough to be looked at".utf8).write(to: URL(filePath: path))
            #expect(throws: (any Error).self) { try SQLiteStore(path: path) }
            #expect(throws: (any Error).self) { try SQLiteStore(path: path + "/below/a/file") }
        }
    }
}

@Suite struct RestartTests {
    @Test func userGroupsSurviveARestart() async throws {
        try await withDatabase { path in
            let membership = "/api/hubs/chat/users/bob/groups/g"
            let first = try makeService { $0.store = try? SQLiteStore(path: path) }
            try await first.restore()
            for group in ["g", "h"] {
                #expect(await first.rest(.put, "/api/hubs/chat/users/bob/groups/\(group)").status == .ok)
            }
            #expect(await first.rest(.put, "/api/hubs/chat/users/bob/groups/now?ttl=0").status == .ok)
            #expect(await first.rest(.delete, "/api/hubs/chat/users/bob/groups/h").status == .noContent)
            await first.drain(timeout: .seconds(5))

            let second = try makeService { $0.store = try? SQLiteStore(path: path) }
            try await second.restore()
            #expect(await second.rest(.get, membership).status == .ok)
            for group in ["h", "now"] {
                #expect(await second.rest(.get, "/api/hubs/chat/users/bob/groups/\(group)").status == .notFound)
            }
            let bob = try await PollingClient(second, user: "bob")
            _ = await second.rest(.post, "/api/hubs/chat/groups/g/:send", #"{"target":"a"}"#)
            #expect(await bob.text().contains(#""target":"a""#))
        }
    }

    /// What ends is told once, by user, and is no longer kept.
    @Test func membershipsEnd() async throws {
        let store = try SQLiteStore(path: ":memory:")
        let log = MembershipLog(store, logger: Logger(label: "test"))
        let groups = UserGroups(hub: "chat", log: log)
        let now = AccessKeys.now
        #expect(groups.expire(now: now + 1e9).isEmpty)
        for (user, group, lifetime) in [("u", "a", 10.0), ("u", "b", 20), ("v", "a", 10), ("w", "a", 30)] {
            #expect(groups.add(user, to: group, lifetime: lifetime, now: now))
        }
        #expect(groups.expire(now: now + 9).isEmpty)
        // Once more, for longer.
        #expect(groups.add("v", to: "a", lifetime: 100, now: now + 9))
        #expect(groups.expire(now: now + 11) == ["u": ["a"]])
        #expect(groups.expire(now: now + 11).isEmpty)
        #expect(groups.expire(now: now + 31) == ["u": ["b"], "w": ["a"]])
        try await groups.settle()
        #expect(try await store.memberships().map(\.user) == ["v"])
        let kept = UserGroups(hub: "chat", kept: try await store.memberships())
        #expect(kept.expire(now: now + 110) == ["v": ["a"]])
    }

    @Test func theLimitPerUserHoldsThereToo() async throws {
        let store = try SQLiteStore(path: ":memory:")
        let log = MembershipLog(store, logger: Logger(label: "test"))
        let groups = UserGroups(hub: "chat", log: log)
        for number in 0...UserGroups.maximumPerUser { #expect(groups.add("u", to: "g\(number)", lifetime: nil)) }
        try await groups.settle()
        let kept = try await store.memberships()
        #expect(kept.count == UserGroups.maximumPerUser)
        #expect(kept.first?.group == "g1")
        #expect(UserGroups(hub: "chat", kept: kept).groups(of: "u") == groups.groups(of: "u"))
    }
}

/// Fails as often as it is told to.
private final class FailingStore: ServiceStore {
    struct Full: Error {}
    let failures = NIOLockedValueBox(0)
    let written = NIOLockedValueBox<[MembershipChange]>([])

    func memberships() async throws -> [UserMembership] { [] }

    func write(_ changes: [MembershipChange]) async throws {
        let fails = failures.withLockedValue { failures in
            defer { failures = max(0, failures - 1) }
            return failures > 0
        }
        if fails { throw Full() }
        written.withLockedValue { $0 += changes }
    }
}

@Suite struct MembershipLogTests {
    @Test func whatCouldNotBeStoredIsTriedAgain() async throws {
        let store = FailingStore()
        store.failures.withLockedValue { $0 = 2 }
        let service = try makeService { $0.store = store }
        let path = "/api/hubs/chat/users/bob/groups/"
        // A write may begin before its caller waits for it, and then another follows for the caller.
        var status = await service.rest(.put, path + "a").status
        if status == .ok {
            #expect(store.failures.withLockedValue { $0 } == 0)
        } else {
            #expect(status == .serviceUnavailable)
        }
        store.failures.withLockedValue { $0 = 0 }
        status = await service.rest(.put, path + "b").status
        #expect(status == .ok)
        let groups = store.written.withLockedValue { changes in
            changes.compactMap { if case .add(let membership) = $0 { membership.group } else { nil } }
        }
        #expect(groups == ["a", "b"])
    }

    @Test func orderIsKeptUnderLoad() async throws {
        let store = FailingStore()
        let log = MembershipLog(store, logger: Logger(label: "test"))
        let groups = UserGroups(hub: "chat", log: log)
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            for number in 0..<200 {
                tasks.addTask {
                    _ = groups.add("u\(number % 7)", to: "g\(number)", lifetime: nil)
                    if number.isMultiple(of: 3) { groups.remove("u\(number % 7)", from: "g\(number)") }
                    try await groups.settle()
                }
            }
            try await tasks.waitForAll()
        }
        var replayed: [String: [String]] = [:]
        for change in store.written.withLockedValue({ $0 }) {
            switch change {
            case .add(let membership): replayed[membership.user, default: []].append(membership.group)
            case .remove(_, let user, let group): replayed[user]?.removeAll { group == nil || $0 == group }
            case .expire: break
            }
        }
        for (user, expected) in replayed { #expect(groups.groups(of: user) == expected) }
    }
}
