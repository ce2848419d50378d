// SignalBox: what @Hub says about code that cannot be a hub, and where
// SPDX-License-Identifier: Apache-2.0

import Testing

@Suite struct HubRefusalTests {
    @Test(arguments: ["enum Chat {}", "protocol Chat {}", "extension Chat {}"])
    func otherTypes(type: String) {
        let expansion = Expansion("@Hub \(type)")
        #expect(
            expansion.refusals == [
                Refused(message: "@Hub belongs on a struct, a final class or an actor", node: "@Hub")
            ])
        #expect(expansion.source == type)
    }

    @Test(arguments: [
        ("class Chat {}", "final class Chat {}"), ("public class Chat {}", "public final class Chat {}"),
        ("open class Chat {}", "public final class Chat {}"),
    ])
    func openClasses(type: String, fixed: String) {
        let expansion = Expansion("@Hub \(type)")
        #expect(
            expansion.refusals == [Refused(message: "A hub class must be final", node: "class", fixed: "@Hub \(fixed)")]
        )
        #expect(expansion.source == type)
    }

    @Test(arguments: [
        ("func say(a: Int) {}", "func say(b: Int) {}", "say", "'say' is defined here"),
        ("func say() {}", "func Say() {}", "Say", "'say' is defined here"),
        ("func say() {}", #"@HubMethod("SAY") func speak() {}"#, "SAY", "'say' is defined here"),
        (#"@HubMethod("speak") func say() {}"#, "func speak() {}", "speak", "'say' is defined here"),
    ])
    func duplicates(first: String, second: String, name: String, note: String) {
        let refusals = Expansion.refusals(of: "\(first)\n    \(second)")
        #expect(refusals.map(\.message) == ["Duplicate definitions of '\(name)'. Overloading is not supported."])
        #expect(refusals.map(\.notes) == [["say: \(note)"]])
    }

    @Test func aRenamedMethodLeavesItsNameFree() {
        #expect(Expansion.refusals(of: "@HubMethod(\"other\") func say(a: Int) {}\n    func say(b: Int) {}") == [])
    }

    @Test(arguments: [
        ("func say<T: Decodable>(x: T) {}", "<T: Decodable>"),
        ("func say(x: some Decodable & Sendable) {}", "some Decodable & Sendable"),
        ("func say(x: (some Decodable)?) {}", "(some Decodable)?"),
    ])
    func generics(function: String, node: String) {
        let message = "Method 'say' is a generic method which is not supported on a Hub."
        #expect(Expansion.refusals(of: function) == [Refused(message: message, node: node)])
    }

    @Test func mutation() {
        let refusals = Expansion.refusals(of: "mutating func say() { self.count += 1 }")
        #expect(refusals.map(\.message) == ["A hub method cannot be mutating: one value serves all calls"])
        #expect(refusals.map(\.node) == ["mutating"])
        #expect(refusals.map(\.fixed) == ["@Hub struct Chat {\n    func say() { self.count += 1 }\n}"])
    }

    @Test func conditionalMethods() {
        let refusals = Expansion.refusals(
            of: """
                #if DEBUG
                    func reset() {}
                    private func hidden() {}
                    #if os(Linux)
                    func more() {}
                    #endif
                    #else
                    var x: Int { 1 }
                    #endif
                """
        )
        let message = "A hub method cannot stand inside #if; put the condition into its body"
        #expect(Set(refusals.map(\.message)) == [message])
        #expect(Set(refusals.map(\.node)) == ["reset", "more"])
    }

    @Test(arguments: [
        ("(_ caller: HubCallerContext, _ again: Int)", "onConnected", "onConnected(_ context: HubCallerContext)"),
        ("(context: HubCallerContext) async", "onConnected", "onConnected(_ context: HubCallerContext)"),
        (
            "(_ context: HubCallerContext)", "onDisconnected",
            "onDisconnected(_ context: HubCallerContext, reason: (any Error)?)"
        ),
    ])
    func hooksWithAnotherSignature(signature: String, name: String, hook: String) {
        let message = "This is no lifetime hook; the hook is 'func \(hook) async throws'"
        #expect(Expansion.refusals(of: "func \(name)\(signature) {}") == [Refused(message: message, node: signature)])
    }
}

@Suite struct HubParameterRefusalTests {
    @Test(arguments: [
        ("(a: Int, b: Int)", "A tuple is not Codable; use a struct"),
        ("(Int, Int)?", "A tuple is not Codable; use a struct"),
        ("@escaping () -> Void", "A closure cannot travel over a connection"),
        ("(@Sendable () -> Void)?", "A closure cannot travel over a connection"),
        ("any Codable & Sendable", "An argument needs a concrete type that is Decodable and Sendable"),
        ("isolated Board", "An isolated parameter cannot be bound to an argument"),
        ("AsyncStream", "A stream that the client uploads is a HubStream"),
    ])
    func withoutRemedy(type: String, message: String) {
        let refusals = Expansion.refusals(of: "func a(x: \(type)) {}")
        #expect(refusals.map(\.message) == [message])
        #expect(refusals.map(\.fixed) == [nil])
    }

    @Test(arguments: [
        ("Int...", "[Int]", "Variadic parameters cannot be bound to arguments; use an array"),
        ("inout Int", "Int", "An inout parameter cannot travel back to the caller"),
        ("AsyncStream<Int>", "HubStream<Int>", "A stream that the client uploads is a HubStream"),
        (
            "AsyncThrowingStream<[Int], any Error>", "HubStream<[Int]>",
            "A stream that the client uploads is a HubStream"
        ),
    ])
    func withRemedy(type: String, remedy: String, message: String) {
        let refusals = Expansion.refusals(of: "func a(x: \(type), y: Bool) {}")
        #expect(refusals.map(\.message) == [message])
        #expect(refusals.map(\.fixed) == ["@Hub struct Chat {\n    func a(x: \(remedy), y: Bool) {}\n}"])
    }

    @Test func uploadsCanFail() {
        let message = "A stream that the client uploads can fail; write 'any Error' as its failure type"
        let refusals = Expansion.refusals(of: "func a(x: some AsyncSequence<Int, Never>) {}")
        #expect(refusals == [Refused(message: message, node: "Never")])
    }

    @Test func everyParameterIsReported() {
        #expect(
            Expansion.refusals(of: "func a(x: (Int, Int), y: () -> Void) -> (Int, Int) { x }").map(\.node) == [
                "(Int, Int)", "() -> Void", "(Int, Int)",
            ])
    }

    @Test func otherMethodsStayCallable() {
        let entry = Expansion.entry(for: "func a(x: (Int, Int)) {}\n    func b() {}")
        #expect(entry.hasPrefix(#".init("b")"#))
    }
}

@Suite struct HubResultRefusalTests {
    @Test(arguments: [
        ("some AsyncSequence<Int, Never>", "some AsyncSequence<Int, Never> & Sendable"),
        ("any AsyncSequence<Int, any Error>", "any AsyncSequence<Int, any Error> & Sendable"),
    ])
    func streamsAreSendable(type: String, fixed: String) {
        #expect(
            Expansion.refusals(of: "func a() -> \(type) { s }") == [
                Refused(
                    message: "The stream leaves its method and must be Sendable",
                    node: type,
                    fixed: "@Hub struct Chat {\n    func a() -> \(fixed) { s }\n}"
                )
            ]
        )
    }

    @Test(arguments: [
        (
            "func a() -> (any AsyncSequence<Int, Never> & Sendable)? { nil }",
            "An optional stream needs 'some' instead of 'any'"
        ),
        ("@HubMethod(streaming: true) func a() {}", "A streaming method must return an AsyncSequence"),
        ("@HubMethod(streaming: true) func a() -> Void {}", "A streaming method must return an AsyncSequence"),
        ("func a() -> (x: Int, y: Int) { p }", "A tuple is not Codable; use a struct"),
        ("func a() -> (() -> Void)? { nil }", "A closure cannot travel over a connection"),
    ])
    func withoutRemedy(function: String, message: String) {
        #expect(Expansion.refusals(of: function).map(\.message) == [message])
    }
}
