// SignalBox: ids as text and back
// SPDX-License-Identifier: Apache-2.0

import SignalR
import Testing

@Suite struct ConnectionIDTests {
    @Test func `Ids survive their text, which needs no escaping in a query`() {
        var seen: Set<String> = []
        for _ in 0..<2000 {
            let id = ConnectionID()
            let text = id.description
            #expect(text.utf8.count == 22)
            #expect(text.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "-" || $0 == "_") })
            #expect(ConnectionID(text) == id)
            #expect(seen.insert(text).inserted)
        }
    }

    @Test(arguments: ["AAAAAAAAAAAAAAAAAAAAAA", "__________________-_8w", "0123456789abcdefghijkA"])
    func `Text survives too`(text: String) throws {
        #expect(try #require(ConnectionID(text)).description == text)
    }

    @Test(arguments: [
        "", "A", "AAAAAAAAAAAAAAAAAAAAA", "AAAAAAAAAAAAAAAAAAAAAAA", "AAAAAAAAAAAAAAAAAAAA==", "AAAAAAAAAAA AAAAAAAAAA",
        "AAAAAAAAAA+AAAAAAAAAAA", "AAAAAAAAAA/AAAAAAAAAAA", "ÄAAAAAAAAAAAAAAAAAAAA",
        // The last digit carries two bits; other spellings of the same id are none.
        "AAAAAAAAAAAAAAAAAAAAAB", "AAAAAAAAAAAAAAAAAAAAAP",
    ])
    func `Other text is no id`(text: String) {
        #expect(ConnectionID(text) == nil)
    }
}
