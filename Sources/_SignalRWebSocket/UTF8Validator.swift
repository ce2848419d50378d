// SignalBox: UTF-8 checked as it arrives, in pieces cut anywhere
// SPDX-License-Identifier: Apache-2.0

/// Accepts exactly the well-formed byte sequences of the Unicode Standard (table 3-7): no overlong forms, no
/// surrogates, nothing above U+10FFFF. The state is what the next byte may be.
struct UTF8Validator {
    /// Continuation bytes the current character still needs.
    private var missing: UInt8 = 0
    /// The range of the next continuation byte; narrower than the usual one only for the second byte of a character.
    private var lowest: UInt8 = 0x80
    private var highest: UInt8 = 0xBF

    /// Whether the bytes so far end with a whole character.
    var isComplete: Bool { missing == 0 }

    /// Takes the next bytes; false at the first byte that no continuation could make valid.
    mutating func accept(_ bytes: UnsafeRawBufferPointer) -> Bool {
        var offset = 0
        while true {
            if missing == 0 { offset = Self.endOfASCII(in: bytes, from: offset) }
            guard offset < bytes.count else { return true }
            guard accept(bytes[offset]) else { return false }
            offset &+= 1
        }
    }

    private mutating func accept(_ byte: UInt8) -> Bool {
        guard missing == 0 else {
            guard lowest <= byte, byte <= highest else { return false }
            expect(missing &- 1)
            return true
        }
        switch byte {
        case 0x00...0x7F: break
        case 0xC2...0xDF: expect(1)
        case 0xE0: expect(2, from: 0xA0)
        case 0xE1...0xEC, 0xEE...0xEF: expect(2)
        case 0xED: expect(2, through: 0x9F)
        case 0xF0: expect(3, from: 0x90)
        case 0xF1...0xF3: expect(3)
        case 0xF4: expect(3, through: 0x8F)
        default: return false
        }
        return true
    }

    private mutating func expect(_ count: UInt8, from lowest: UInt8 = 0x80, through highest: UInt8 = 0xBF) {
        self.missing = count
        self.lowest = lowest
        self.highest = highest
    }

    /// The first offset at or after `start` whose byte is not ASCII, or the end. Nearly all hub messages are ASCII
    /// throughout.
    private static func endOfASCII(in bytes: UnsafeRawBufferPointer, from start: Int) -> Int {
        var offset = start
        while offset &+ 8 <= bytes.count {
            let high = bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self) & 0x8080_8080_8080_8080
            guard high == 0 else { return offset &+ UInt64(littleEndian: high).trailingZeroBitCount / 8 }
            offset &+= 8
        }
        while offset < bytes.count, bytes[offset] < 0x80 { offset &+= 1 }
        return offset
    }
}
