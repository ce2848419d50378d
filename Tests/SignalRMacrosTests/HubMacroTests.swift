// SignalBox: @Hub compared with the method table that a person would write
// SPDX-License-Identifier: Apache-2.0

import Testing

@Suite struct HubMacroTests {
    @Test func theWholeOfAHub() {
        let expansion = Expansion(
            """
            @Hub
            struct Chat {
                func onConnected(_ context: HubCallerContext) async throws {}
                func ping() {}
                func say(user: String, to room: Room?, _ context: HubCallerContext) async throws -> [Int] { [] }
                private func hidden() {}
                fileprivate func alsoHidden() {}
                static func make() -> Chat { Chat() }
                func onDisconnected(_ context: HubCallerContext, reason: (any Error)?) async throws {}
            }
            """
        )
        #expect(expansion.refusals == [])
        #expect(
            expansion.source == """
                struct Chat {
                    func onConnected(_ context: HubCallerContext) async throws {}
                    func ping() {}
                    func say(user: String, to room: Room?, _ context: HubCallerContext) async throws -> [Int] { [] }
                    private func hidden() {}
                    fileprivate func alsoHidden() {}
                    static func make() -> Chat { Chat() }
                    func onDisconnected(_ context: HubCallerContext, reason: (any Error)?) async throws {}

                    nonisolated static let methods: [SignalR.HubMethodDefinition<Chat>] = [
                        .init("ping") { _ in
                            return { hub, _ in
                                hub.ping()
                                return .void
                            }
                        },
                        .init("say", parameters: 2) { arguments in
                            let p0 = try arguments.next(String.self)
                            let p1 = try arguments.next(Room?.self)
                            return { hub, context in
                                try await .value(hub.say(user: p0, to: p1, context))
                            }
                        },
                    ]
                }

                extension Chat: SignalR.Hub {
                }
                """
        )
    }

    @Test func aHubWithoutMethods() {
        #expect(
            Expansion("@Hub struct Empty {}").source == """
                struct Empty {

                    nonisolated static let methods: [SignalR.HubMethodDefinition<Empty>] = []
                }

                extension Empty: SignalR.Hub {
                }
                """
        )
    }

    @Test(arguments: [
        ("public struct Chat", "public "), ("package actor Chat", "package "), ("struct Chat", ""),
        ("private struct Chat", ""),
        ("public final class Chat", "public "), ("@MainActor final class Chat", ""),
        ("final public class Chat", "public "),
    ])
    func theTableIsAsVisibleAsItsType(type: String, access: String) {
        let expansion = Expansion("@Hub \(type) {\n}")
        #expect(expansion.refusals == [])
        #expect(expansion.source.contains("\n    \(access)nonisolated static let methods:"))
        #expect(expansion.source.hasSuffix("extension Chat: SignalR.Hub {\n}"))
    }

    @Test(arguments: [
        "@Hub struct Chat<Room> {\n}",
        "struct Game<Board> {\n    @Hub struct Chat {\n    }\n}",
        // Whether `Game` is generic cannot be seen here.
        "extension Game {\n    @Hub struct Chat {\n    }\n}",
    ])
    func genericContextsComputeTheTable(source: String) {
        let expansion = Expansion(source)
        #expect(expansion.refusals == [])
        #expect(expansion.source.contains("nonisolated static var methods: [SignalR.HubMethodDefinition<Chat>] {\n"))
    }

    @Test func selfIsSpelledOut() {
        let entry = Expansion.entry(for: "func draw(_ stroke: [Self.Stroke]) {}", in: "final class Board")
        #expect(entry.contains("try arguments.next([Board.Stroke].self)"))
    }
}
