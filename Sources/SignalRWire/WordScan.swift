// SignalBox: looking for bytes eight at a time
// SPDX-License-Identifier: Apache-2.0

extension UnsafeRawBufferPointer {
    /// Where `byte` comes first, or nil.
    func offset(of byte: UInt8) -> Int? {
        var index = 0
        while index + 8 <= self.count {
            let marks = Word.marks(of: byte, in: self.word(at: index))
            if marks != 0 { return index + Word.firstMark(marks) }
            index += 8
        }
        while index < self.count {
            if self[index] == byte { return index }
            index += 1
        }
        return nil
    }

    /// Where the first byte at or after `start` is that JSON text may not have in a string as it is (a quote, a
    /// backslash, a control character), or the end. With `stopsAtNonASCII` also every byte from 0x80 on counts.
    @inline(__always)
    func endOfPlainText(from start: Int, stopsAtNonASCII: Bool) -> Int {
        var index = start
        while index + 8 <= self.count {
            let word = self.word(at: index)
            let marks =
                Word.marks(of: UInt8(ascii: "\""), in: word) | Word.marks(of: UInt8(ascii: "\\"), in: word)
                | Word.marks(below: 0x20, in: word) | (stopsAtNonASCII ? word & Word.highBits : 0)
            if marks != 0 { return index + Word.firstMark(marks) }
            index += 8
        }
        while index < self.count {
            let byte = self[index]
            if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") || byte < 0x20 { return index }
            if stopsAtNonASCII, byte >= 0x80 { return index }
            index += 1
        }
        return index
    }

    /// The eight bytes from `index` on, the first one in the lowest bits.
    @inline(__always)
    private func word(at index: Int) -> UInt64 {
        UInt64(littleEndian: self.loadUnaligned(fromByteOffset: index, as: UInt64.self))
    }
}

/// Tests on eight bytes at once: the result has the high bit of each byte set that passes.
///
/// A borrow can also mark bytes above one that passes, so only the lowest mark counts.
private enum Word {
    static let highBits: UInt64 = 0x8080_8080_8080_8080
    private static let ones: UInt64 = 0x0101_0101_0101_0101

    @inline(__always)
    static func marks(of byte: UInt8, in word: UInt64) -> UInt64 {
        self.marks(below: 1, in: word ^ (self.ones &* UInt64(byte)))
    }

    /// For limits up to 128.
    @inline(__always)
    static func marks(below limit: UInt64, in word: UInt64) -> UInt64 {
        (word &- self.ones &* limit) & ~word & self.highBits
    }

    @inline(__always)
    static func firstMark(_ marks: UInt64) -> Int { marks.trailingZeroBitCount / 8 }
}
