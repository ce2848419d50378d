// SignalBox: filters that pick connections
// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import Testing

@testable import SignalRService

@Suite struct RestFilterTests {
    private var subject: RestFilter.Subject {
        .init(connectionID: "c1", userID: "ann o'neil", groups: { ["g", "h"] })
    }

    @Test(arguments: [
        ("userId eq 'ann o''neil'", true), ("userId ne 'ann'", true), ("userId eq null", false),
        ("connectionId eq 'c1'", true), ("ConnectionID EQ 'c1'", true), ("userId in ('a', 'ann o''neil')", true),
        ("connectionId in ('a')", false), ("'g' in groups", true), ("'x' in groups", false),
        ("startswith(userId, 'ann')", true), ("startswith(userId,'bob')", false), ("endswith(userId, 'neil')", true),
        ("contains(connectionId, 'c')", true), ("not ('g' in groups)", false), ("not not 'g' in groups", true),
        ("'x' in groups or 'g' in groups and userId eq null", false), ("('x' in groups or 'g' in groups)", true),
        ("'g' in groups and 'h' in groups and connectionId ne 'c2'", true),
        ("not 'x' in groups and 'g' in groups", true),
    ])
    func conditions(text: String, isMatch: Bool) throws {
        #expect(try RestFilter(text).matches(subject) == isMatch)
    }

    @Test func nobodyHasNoUser() throws {
        let anonymous = RestFilter.Subject(connectionID: "c", userID: nil, groups: { [] })
        #expect(try RestFilter("userId eq null").matches(anonymous))
        #expect(try !RestFilter("startswith(userId, '')").matches(anonymous))
        #expect(try !RestFilter("userId in ('')").matches(anonymous))
    }

    @Test(arguments: [
        "", "userId", "userId eq", "userId eq 1", "userId eq 'a", "age eq 'a'", "userId like 'a'", "(userId eq 'a'",
        "userId eq 'a')", "userId eq 'a' and", "and userId eq 'a'", "startswith(userId)", "startswith(groups, 'a')",
        "'g' in users", "'g'", "userId eq 'a' 'b'", "userId in ()", "userId = 'a'", "not",
    ])
    func mistakesAre400(_ text: String) {
        let error = #expect(throws: RestError.self) { try RestFilter(text) }
        #expect(error?.status == .badRequest)
    }

    @Test func depthAndLengthAreBounded() {
        #expect(throws: RestError.self) { try RestFilter(String(repeating: "(", count: 5_000)) }
        #expect(throws: RestError.self) { try RestFilter(String(repeating: "not ", count: 1_000) + "'g' in groups") }
        #expect(throws: RestError.self) { try RestFilter("userId eq '" + String(repeating: "x", count: 9_000) + "'") }
        #expect(throws: Never.self) {
            try RestFilter(Array(repeating: "'g' in groups", count: 400).joined(separator: " or "))
        }
    }
}
