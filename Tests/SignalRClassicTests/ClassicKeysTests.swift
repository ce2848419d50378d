// SignalBox: tokens: what keys accept, and what they never accept
// SPDX-License-Identifier: Apache-2.0

import SignalR
import Testing

@testable import SignalRClassic

@Suite struct ClassicKeysTests {
    private static let secret = String(repeating: "s", count: 32)
    private static let other = String(repeating: "t", count: 32)

    @Test func `A token comes back with its id and its user, colons included`() throws {
        let keys = try ClassicKeys(secrets: [Self.secret])
        let id = ConnectionID.guid()
        let token = try #require(keys.connectionToken(id, user: "a:b:c"))
        let read = try #require(try ClassicKeys(secrets: [Self.secret]).readConnectionToken(token))
        #expect(read.id == id)
        #expect(read.user == "a:b:c")
        #expect(token.utf8.allSatisfy { "-_".utf8.contains($0) || Character(Unicode.Scalar($0)).isLetter || $0 < 58 })
    }

    @Test func `Groups are for one connection`() throws {
        let keys = ClassicKeys()
        let id = ConnectionID.guid()
        let token = try #require(keys.groupsToken(["ChatHub.room", "ChatHub.ä\""], of: id))
        #expect(keys.readGroupsToken(token, of: id) == ["ChatHub.room", "ChatHub.ä\""])
        #expect(keys.readGroupsToken(token, of: ConnectionID.guid()) == [])
        #expect(keys.readGroupsToken("garbage", of: id) == [])
        #expect(ClassicKeys().readGroupsToken(token, of: id) == [])
    }

    @Test func `One kind of token is never the other`() throws {
        let keys = ClassicKeys()
        let id = ConnectionID.guid()
        #expect(keys.readConnectionToken(try #require(keys.groupsToken([], of: id))) == nil)
        #expect(keys.readGroupsToken(try #require(keys.connectionToken(id, user: "[\"a\"]")), of: id) == [])
    }

    @Test func `A changed token is none`() throws {
        let keys = ClassicKeys()
        let token = try #require(keys.connectionToken(ConnectionID.guid(), user: ""))
        for index in token.indices {
            var changed = token
            changed.replaceSubrange(index...index, with: token[index] == "A" ? "B" : "A")
            // The last letter carries bits that mean nothing.
            if index != token.index(before: token.endIndex) { #expect(keys.readConnectionToken(changed) == nil) }
        }
        for length in [0, 1, 20, 38] { #expect(keys.readConnectionToken(String(token.prefix(length))) == nil) }
    }

    @Test func `Old secrets read, the first one writes`() throws {
        let old = try ClassicKeys(secrets: [Self.secret])
        let rotated = try ClassicKeys(secrets: [Self.other, Self.secret])
        let id = ConnectionID.guid()
        #expect(rotated.readConnectionToken(try #require(old.connectionToken(id, user: "")))?.id == id)
        #expect(old.readConnectionToken(try #require(rotated.connectionToken(id, user: ""))) == nil)
    }

    @Test func `Secrets are long, and not printed`() throws {
        #expect(throws: ClassicKeyError.self) { try ClassicKeys(secrets: []) }
        #expect(throws: ClassicKeyError.self) { try ClassicKeys(secrets: [Self.secret, "short"]) }
        #expect(!"\(try ClassicKeys(secrets: [Self.secret]))".contains("s s"))
    }
}

@Suite struct ClassicIDTests {
    @Test func `Ids are lower-case GUIDs, and parse in any case`() throws {
        let id = ConnectionID.guid()
        let text = id.description
        #expect(text.wholeMatch(of: /[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}/) != nil)
        #expect(ConnectionID(text) == id)
        #expect(ConnectionID(text.uppercased()) == id)
        #expect(ConnectionID(text.replacingOccurrences("-", "0")) == nil)
    }

    @Test func `Other ids never look like one`() {
        for _ in 0..<1_000 { #expect(ConnectionID().description.utf8.count == 22) }
    }
}

extension String {
    fileprivate func replacingOccurrences(_ letter: Character, _ other: Character) -> String {
        String(self.map { $0 == letter ? other : $0 })
    }
}
