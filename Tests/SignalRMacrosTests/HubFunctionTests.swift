// SignalBox: one entry of the method table: arguments, effects, results, names
// SPDX-License-Identifier: Apache-2.0

import Testing

@Suite struct HubFunctionTests {
    @Test(arguments: [
        ("func a() {}", "hub.a()"),
        ("func a() throws {}", "try hub.a()"),
        ("func a() throws(Failure) {}", "try hub.a()"),
        ("func a() throws(Never) {}", "hub.a()"),
        ("func a() async {}", "await hub.a()"),
        ("func a() async throws {}", "try await hub.a()"),
        ("@MainActor func a() {}", "await hub.a()"),
        ("func a() -> Void {}", "hub.a()"),
        ("func a() -> () {}", "hub.a()"),
        ("func a() throws -> Swift.Void {}", "try hub.a()"),
        ("func `default`() {}", "hub.`default`()"),
    ])
    func methodsWithoutResult(function: String, call: String) {
        #expect(
            Expansion.entry(for: function).hasSuffix(
                """
                ") { _ in
                    return { hub, _ in
                        \(call)
                        return .void
                    }
                },
                """
            )
        )
    }

    @Test(arguments: [
        ("func a() -> Int { 1 }", "try .value(hub.a())"),
        ("func a() throws -> Int? { 1 }", "try .value(hub.a())"),
        ("func a() async -> [String: Int] { [:] }", "try await .value(hub.a())"),
        ("func a() async throws -> sending Room { Room() }", "try await .value(hub.a())"),
        ("func a() -> AsyncStream<Int> { s }", ".stream(hub.a())"),
        ("func a() async -> AsyncThrowingStream<Int, any Error>? { s }", "await .stream(hub.a())"),
        ("func a() throws -> HubStream<Int> { s }", "try .stream(hub.a())"),
        ("func a() -> AsyncMapSequence<AsyncStream<Int>, Int> { s }", ".stream(hub.a())"),
        ("func a() -> AsyncAlgorithms.AsyncChannel<Int> { s }", ".stream(hub.a())"),
        ("func a() -> Optional<AsyncStream<Int>> { s }", ".stream(hub.a())"),
        ("func a() async throws -> some AsyncSequence<Int, Never> & Sendable { s }", "try await .stream(hub.a())"),
        ("func a() -> (some AsyncSequence<Int, Never> & Sendable)? { s }", ".stream(hub.a())"),
        ("func a() -> any Sendable & AsyncSequence<Int, any Error> { s }", ".stream(hub.a())"),
        ("@HubMethod(streaming: true) func a() -> Numbers { s }", ".stream(hub.a())"),
    ])
    func results(function: String, reply: String) {
        let header = reply.contains(".stream") ? #"("a", kind: .stream)"# : #"("a")"#
        #expect(
            Expansion.entry(for: function) == """
                .init\(header) { _ in
                    return { hub, _ in
                        \(reply)
                    }
                },
                """
        )
    }

    @Test(arguments: [
        ("actor Chat", "func a() -> Int { 1 }", "try await .value(hub.a())"),
        ("actor Chat", "nonisolated func a() -> Int { 1 }", "try .value(hub.a())"),
        ("actor Chat", "nonisolated func a() async -> Int { 1 }", "try await .value(hub.a())"),
        ("actor Chat", "func a() -> AsyncStream<Int> { s }", "await .stream(hub.a())"),
        ("@MainActor final class Chat", "func a() -> Int { 1 }", "try await .value(hub.a())"),
        ("@MainActor final class Chat", "nonisolated func a() -> Int { 1 }", "try .value(hub.a())"),
        ("@Database.DatabaseActor struct Chat", "func a() -> Int { 1 }", "try await .value(hub.a())"),
        ("nonisolated struct Chat", "func a() -> Int { 1 }", "try .value(hub.a())"),
        ("final class Chat", "func a() -> Int { 1 }", "try .value(hub.a())"),
    ])
    func isolation(type: String, function: String, reply: String) {
        #expect(Expansion.entry(for: function, in: type).contains("\n        \(reply)\n"))
    }

    @Test(arguments: [
        ("_ x: Int", "Int", "p0"), ("x: Int?", "Int?", "x: p0"), ("x y: Int!", "Int?", "x: p0"),
        ("x: [Room]", "[Room]", "x: p0"), ("x: [String: Int]", "[String: Int]", "x: p0"),
        ("x: Set<Int>", "Set<Int>", "x: p0"),
        ("x: Chat.Room", "Chat.Room", "x: p0"), ("x: Self.Room", "Chat.Room", "x: p0"), ("x: Int = 1", "Int", "x: p0"),
        ("x: sending Room", "Room", "x: p0"), ("x: consuming Room", "Room", "x: p0"), ("x: (Int)", "Int", "x: p0"),
        ("`in` x: Int", "Int", "in: p0"), ("`inout` x: Int", "Int", "`inout`: p0"),
        ("`my label` x: Int", "Int", "`my label`: p0"),
    ])
    func arguments(parameter: String, type: String, argument: String) {
        #expect(
            Expansion.entry(for: "func a(\(parameter)) {}") == """
                .init("a", parameters: 1) { arguments in
                    let p0 = try arguments.next(\(type).self)
                    return { hub, _ in
                        hub.a(\(argument))
                        return .void
                    }
                },
                """
        )
    }

    @Test(arguments: [
        "HubStream<Int>", "SignalR.HubStream<Int>", "some AsyncSequence<Int, any Error>",
        "some AsyncSequence<Int, any Error> & Sendable", "any AsyncSequence<Int, any Error>",
    ])
    func uploads(type: String) {
        #expect(
            Expansion.entry(for: "func sum(of items: \(type), times: Int) async throws -> Int { 0 }") == """
                .init("sum", parameters: 1, streams: 1) { arguments in
                    let p0 = try arguments.nextStream(of: Int.self)
                    let p1 = try arguments.next(Int.self)
                    return { hub, _ in
                        try await .value(hub.sum(of: p0, times: p1))
                    }
                },
                """
        )
    }

    @Test(arguments: ["HubCallerContext", "SignalR.HubCallerContext"])
    func theCaller(type: String) {
        #expect(
            Expansion.entry(for: "func a(from caller: \(type), _ x: Int) {}") == """
                .init("a", parameters: 1) { arguments in
                    let p1 = try arguments.next(Int.self)
                    return { hub, context in
                        hub.a(from: context, p1)
                        return .void
                    }
                },
                """
        )
    }

    @Test(arguments: [
        (#"@HubMethod("other") func a() {}"#, #""other""#),
        (#"@HubMethod("a \"quoted\" name") func a() {}"#, ##"#"a "quoted" name"#"##),
        (#"@HubMethod(policy: "admin") func a() {}"#, #""a", policies: ["admin"]"#),
        (#"@HubMethod(policy: Policy.admin) func a() {}"#, #""a", policies: [Policy.admin]"#),
        (#"@HubMethod(nil, policy: nil) func a() {}"#, #""a""#),
        (#"@HubMethod("b", policy: "x") @HubMethod(policy: "y") func a() {}"#, #""b", policies: ["x", "y"]"#),
        (#"func `default`() {}"#, #""default""#),
    ])
    func namesAndPolicies(function: String, header: String) {
        #expect(Expansion.entry(for: function).hasPrefix(".init(\(header)) {"))
    }
}
