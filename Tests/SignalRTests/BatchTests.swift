// SignalBox: encoded messages joined for one write
// SPDX-License-Identifier: Apache-2.0

import NIOCore
import Testing

@testable import SignalR

@Suite struct BatchTests {
    private func batch(_ text: String) -> Batch { Batch(ByteBuffer(string: text)) }

    @Test func `One message is its bytes, shared`() {
        let one = batch("one")
        #expect(one.bytes() == ByteBuffer(string: "one"))
        #expect(one.byteCount == 3)
    }

    @Test(arguments: [2, 3, 127, 128, 129, 1000])
    func `Messages join in order, however long the chain`(count: Int) {
        var all = batch("0,")
        for number in 1..<count { all = Batch(all, then: batch("\(number),")) }
        let expected = (0..<count).map { "\($0)," }.joined()
        #expect(all.byteCount == expected.utf8.count)
        #expect(all.bytes() == ByteBuffer(string: expected))
        #expect(all.bytes() == ByteBuffer(string: expected))
    }

    @Test func `Two may grow from the same beginning`() {
        let start = Batch(batch("a"), then: batch("b"))
        let (left, right) = (Batch(start, then: batch("L")), Batch(start, then: batch("R")))
        #expect(left.bytes() == ByteBuffer(string: "abL"))
        #expect(right.bytes() == ByteBuffer(string: "abR"))
        #expect(start.bytes() == ByteBuffer(string: "ab"))
    }

    @Test func `A hundred thousand messages neither overflow the stack nor get lost`() {
        var all: Batch? = batch("x")
        let one = batch("x")
        for _ in 1..<100_000 { all = all.map { Batch($0, then: one) } }
        #expect(all?.bytes() == ByteBuffer(repeating: UInt8(ascii: "x"), count: 100_000))
        // Releasing a chain recurses, which is what its length is bounded for.
        all = nil
    }
}
