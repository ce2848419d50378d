// SignalBox: UTF-8 judged like the standard library does, at any cut, and as early as possible
// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import _SignalRWebSocket

@Suite struct UTF8ValidatorTests {
    private func isValid(_ bytes: [UInt8], step: Int = .max) -> Bool {
        var validator = UTF8Validator()
        var rest = bytes[...]
        while !rest.isEmpty {
            guard Array(rest.prefix(step)).withUnsafeBytes({ validator.accept($0) }) else { return false }
            rest = rest.dropFirst(step)
        }
        return validator.isComplete
    }

    private func isStillPossible(_ bytes: [UInt8]) -> Bool {
        var validator = UTF8Validator()
        return bytes.withUnsafeBytes { validator.accept($0) }
    }

    @Test func everyTwoBytes() {
        for first in UInt8.min ... .max {
            let wrong = (UInt8.min ... .max).filter { second in
                isValid([first, second]) != (String(validating: [first, second], as: UTF8.self) != nil)
            }
            #expect(wrong.isEmpty, "after \(first)")
        }
    }

    @Test func everyThirdAndFourthByteAtTheEdges() {
        let edges: [UInt8] = [0x00, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xC2, 0xED, 0xF4, 0xFF]
        for first in UInt8(0xE0)...0xFF {
            for second in edges {
                for third in edges {
                    #expect(agrees([first, second, third]))
                    for fourth in edges { #expect(agrees([first, second, third, fourth])) }
                }
            }
        }
    }

    private func agrees(_ bytes: [UInt8]) -> Bool {
        isValid(bytes) == (String(validating: bytes, as: UTF8.self) != nil)
    }

    @Test func everyScalar() {
        let invalid = (0...0x10FFFF).lazy.compactMap(Unicode.Scalar.init).filter {
            !self.isValid(Array(String($0).utf8))
        }
        #expect(invalid.first == nil)
    }

    /// One bad byte, or one character, at every offset around the eight bytes that are looked at together.
    @Test(arguments: 0..<40) func aroundWholeWords(offset: Int) {
        for after in 0..<20 {
            let before = [UInt8](repeating: 0x61, count: offset)
            let behind = [UInt8](repeating: 0x7A, count: after)
            #expect(isValid(before + Array("✓".utf8) + behind))
            #expect(!isValid(before + [0xFF] + behind))
            #expect(!isValid(before + [0xE2, 0x9C] + behind))
        }
    }

    @Test(arguments: [1, 2, 3, 5, 7, 8, 9]) func piecesOfAnySize(step: Int) {
        let text = Array("plain ascii text, é, ✓, 👋🏽, \u{10FFFF}; and more ascii".utf8)
        #expect(isValid(text, step: step))
        #expect(!isValid(text + [0xE2], step: step))
    }

    /// Each ends with the byte that makes it hopeless.
    @Test(
        arguments: [
            [0x80], [0xC0], [0xC1], [0xF5], [0xFE], [0xFF], [0xC2, 0x20], [0xE0, 0x9F], [0xED, 0xA0], [0xF0, 0x8F],
            [0xF4, 0x90],
            [0xE1, 0x80, 0x7F], [0xF1, 0x80, 0x80, 0xC0],
        ] as [[UInt8]])
    func failsAtTheFirstHopelessByte(bytes: [UInt8]) {
        #expect(isStillPossible(Array(bytes.dropLast())))
        #expect(!isStillPossible(bytes))
    }
}
