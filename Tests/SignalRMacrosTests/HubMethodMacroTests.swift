// SignalBox: where @HubMethod may stand and what it may say
// SPDX-License-Identifier: Apache-2.0

import Testing

@Suite struct HubMethodMacroTests {
    @Test(arguments: [
        "@HubMethod func a() {}",
        "struct Chat {\n    @HubMethod func a() {}\n}",
        "protocol ChatClient {\n    @HubMethod func a() async throws\n}",
        "@Hub struct Chat {\n    @HubMethod var a: Int\n}",
        "@Hub struct Chat {\n    struct Other {\n        @HubMethod func a() {}\n    }\n}",
    ])
    func otherPlaces(source: String) {
        let message = "@HubMethod belongs on a function of a @Hub type or of a @HubClient protocol"
        #expect(Expansion(source).refusals == [Refused(message: message, node: "@HubMethod")])
    }

    @Test func extensions() {
        let message = "Functions in extensions are not callable; move it into the @Hub type"
        let expansion = Expansion("extension Chat {\n    @HubMethod func a() {}\n}")
        #expect(expansion.refusals == [Refused(message: message, node: "@HubMethod")])
    }

    @Test(arguments: [
        ("private func a() {}", "private function"), ("fileprivate func a() {}", "fileprivate function"),
        ("static func a() {}", "static function"),
        ("func onConnected(_ context: HubCallerContext) {}", "lifetime hook"),
    ])
    func functionsThatNobodyCanCall(function: String, reason: String) {
        let message = "@HubMethod has no effect: clients cannot call a \(reason)"
        #expect(Expansion.refusals(of: "@HubMethod \(function)") == [Refused(message: message, node: "@HubMethod")])
    }

    @Test(arguments: [
        (#""""#, #""""#, "The name of a hub method must be a string literal that is not empty"),
        ("name", "name", "The name of a hub method must be a string literal that is not empty"),
        (#""a\(b)""#, #""a\(b)""#, "The name of a hub method must be a string literal that is not empty"),
        (#""a", streaming: flag"#, "flag", "'streaming' must be true or false"),
    ])
    func argumentsThatCannotBeRead(arguments: String, node: String, message: String) {
        let refusals = Expansion.refusals(of: "@HubMethod(\(arguments)) func a() {}")
        #expect(refusals == [Refused(message: message, node: node)])
    }

    @Test(arguments: [(#"policy: "x""#, #""x""#), ("streaming: true", "true")])
    func clientMethodsHaveOnlyAName(argument: String, node: String) {
        let expansion = Expansion(
            "@HubClient protocol ChatClient {\n    @HubMethod(\(argument)) func a() async throws\n}")
        #expect(expansion.refusals == [Refused(message: "A client method has only a name", node: node)])
    }
}
