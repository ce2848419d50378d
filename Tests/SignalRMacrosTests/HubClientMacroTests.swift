// SignalBox: @HubClient compared with the proxy that a person would write, and what it refuses
// SPDX-License-Identifier: Apache-2.0

import Testing

@Suite struct HubClientMacroTests {
    @Test func theWholeOfAProxy() {
        let expansion = Expansion(
            """
            @HubClient
            public protocol ChatClient: Sendable {
                /// Shows a message.
                func receive(user: String, _ message: String) async throws
                func ask(_ question: String) async throws -> Int
                func choose() async throws -> String?
                @HubMethod("typing") func showTyping(of user: String) async throws -> Void
            }
            """
        )
        #expect(expansion.refusals == [])
        #expect(
            expansion.source == """
                public protocol ChatClient: Sendable {
                    /// Shows a message.
                    func receive(user: String, _ message: String) async throws
                    func ask(_ question: String) async throws -> Int
                    func choose() async throws -> String?
                    func showTyping(of user: String) async throws -> Void
                }

                public struct ChatClientProxy: ChatClient, SignalR.HubClientProxy {
                    private let target: SignalR.ClientTarget

                    public init(_ target: SignalR.ClientTarget) {
                        self.target = target
                    }

                    public func receive(user: String, _ message: String) async throws {
                        try await self.target.send("receive", user, message)
                    }

                    public func ask(_ question: String) async throws -> Int {
                        try await self.target.invoke("ask", question, returning: Int.self)
                    }

                    public func choose() async throws -> String? {
                        try await self.target.invoke("choose", returning: String?.self)
                    }

                    public func showTyping(of user: String) async throws -> Void {
                        try await self.target.send("typing", user)
                    }
                }
                """
        )
    }

    @Test(arguments: [
        ("public ", "public ", "public "), ("package ", "package ", "package "), ("", "", ""),
        ("private ", "private ", ""), ("fileprivate ", "fileprivate ", ""),
    ])
    func theProxyIsAsVisibleAsItsProtocol(access: String, ofStruct: String, ofMembers: String) {
        let expansion = Expansion("@HubClient \(access)protocol ChatClient {\n    func a() async throws\n}")
        #expect(
            expansion.source.contains("\n\(ofStruct)struct ChatClientProxy: ChatClient, SignalR.HubClientProxy {\n"))
        #expect(expansion.source.contains("\n    \(ofMembers)init(_ target: SignalR.ClientTarget) {\n"))
        #expect(expansion.source.contains("\n    \(ofMembers)func a() async throws {\n"))
    }

    @Test(arguments: [
        ("func a(_: Int, x _: Int)", "func a(_ p0: Int, x p1: Int)", #"send("a", p0, p1)"#),
        ("func a(`class`: Int)", "func a(`class`: Int)", #"send("a", `class`)"#),
        ("@discardableResult func a()", "@discardableResult func a()", #"send("a")"#),
        ("func a<T: Encodable & Sendable>(x: T)", "func a<T: Encodable & Sendable>(x: T)", #"send("a", x)"#),
        ("func a(x: Int...)", "func a(x: Int...)", #"send("a", x)"#),
        ("mutating func `default`()", "func `default`()", #"send("default")"#),
    ])
    func signatures(requirement: String, function: String, call: String) {
        let expansion = Expansion("@HubClient protocol ChatClient {\n    \(requirement) async throws\n}")
        #expect(expansion.refusals == [])
        #expect(
            expansion.source.contains(
                "\n    \(function) async throws {\n        try await self.target.\(call)\n    }\n"))
    }

    @Test func overloadsShareAName() {
        let expansion = Expansion(
            "@HubClient protocol C {\n    func a(x: Int) async throws\n    func a(y: Int) async throws\n}")
        #expect(expansion.refusals == [])
        #expect(expansion.source.contains(#"self.target.send("a", x)"#))
        #expect(expansion.source.contains(#"self.target.send("a", y)"#))
    }
}

@Suite struct HubClientRefusalTests {
    @Test(arguments: ["struct Chat {}", "func chat() {}"])
    func otherDeclarations(declaration: String) {
        let expansion = Expansion("@HubClient \(declaration)")
        #expect(expansion.refusals == [Refused(message: "@HubClient belongs on a protocol", node: "@HubClient")])
    }

    @Test(arguments: [
        "var x: Int { get }", "static func a() async throws", "init()", "associatedtype T",
        "subscript(x: Int) -> Int { get }",
        "#if DEBUG\n    func a() async throws\n    #endif",
    ])
    func otherMembers(member: String) {
        let expansion = Expansion("@HubClient protocol ChatClient {\n    \(member)\n}")
        #expect(expansion.refusals == [Refused(message: "A client protocol has only instance methods", node: member)])
        #expect(!expansion.source.contains("Proxy"))
    }

    @Test(arguments: [
        ("func a()", "func a() async throws"), ("func a() async", "func a() async throws"),
        ("func a(x: Int) throws -> Int", "func a(x: Int) async throws -> Int"),
        ("func a() async throws(Failure)", "func a() async throws"), ("func a()->Int", "func a() async throws ->Int"),
    ])
    func effects(requirement: String, fixed: String) {
        let source = "@HubClient protocol ChatClient {\n    \(requirement)\n    func b() async throws\n}"
        #expect(
            Expansion(source).refusals == [
                Refused(
                    message: "A client method must be 'async throws'", node: "a",
                    fixed: source.replacing(requirement, with: fixed)
                )
            ]
        )
    }

    @Test(arguments: [
        ("func a(x: (Int, Int)) async throws", "(Int, Int)", "A tuple is not Codable; use a struct"),
        ("func a(x: @escaping () -> Void) async throws", "() -> Void", "A closure cannot travel over a connection"),
        ("func a() async throws -> (Int, Int)?", "(Int, Int)?", "A tuple is not Codable; use a struct"),
        (
            "func a(x: HubStream<Int>) async throws", "HubStream<Int>",
            "Clients neither take nor return streams in a call from the server"
        ),
        (
            "func a() async throws -> some AsyncSequence<Int, Never>", "some AsyncSequence<Int, Never>",
            "Clients neither take nor return streams in a call from the server"
        ),
    ])
    func typesThatCannotTravel(requirement: String, node: String, message: String) {
        let expansion = Expansion("@HubClient protocol ChatClient {\n    \(requirement)\n}")
        #expect(expansion.refusals == [Refused(message: message, node: node)])
    }
}
