// SignalBox: 128 random bits that name a connection, or the token that gives access to it
// SPDX-License-Identifier: Apache-2.0

/// A connection id or connection token: 16 random bytes, written as 22 characters of base64url without padding,
/// so that clients may put it into a query without escaping (core protocol reference, "Negotiate").
///
/// Clients of ASP.NET SignalR 2.x get a GUID instead. A version-4 UUID is always written as one, lower-case and dashed, and no other id
/// has the six bits that make it one.
package struct ConnectionID: Hashable, Comparable, Sendable, LosslessStringConvertible {
    private var high: UInt64
    private var low: UInt64

    /// A new id from the system's cryptographic random source.
    package init() {
        var random = SystemRandomNumberGenerator()
        self.high = random.next()
        self.low = random.next()
        if isGUID { low ^= 1 << 63 }
    }

    /// A new id that is a version-4 UUID (RFC 9562 §5.4).
    package static func guid() -> ConnectionID {
        var id = ConnectionID()
        id.high = id.high & ~0xF000 | 0x4000
        id.low = id.low & ~(0b11 << 62) | 0b10 << 62
        return id
    }

    /// What stands for an id that another process may have made in a way of its own. The same for the same text as long as this process
    /// runs, and hashed with its secret, so that nobody can make two of them collide.
    package init(named text: String) {
        if let id = ConnectionID(text) {
            self = id
            return
        }
        var (first, second) = (Hasher(), Hasher())
        first.combine(text)
        second.combine(0)
        second.combine(text)
        self.high = UInt64(truncatingIfNeeded: first.finalize())
        self.low = UInt64(truncatingIfNeeded: second.finalize())
    }

    /// An order without a meaning, for lists that go on where they stopped.
    package static func < (left: ConnectionID, right: ConnectionID) -> Bool {
        (left.high, left.low) < (right.high, right.low)
    }

    package var isGUID: Bool { high & 0xF000 == 0x4000 && low >> 62 == 0b10 }

    package init?(_ text: some StringProtocol) {
        if text.utf8.count == 36 {
            guard let words = Self.readGUID(text.utf8) else { return nil }
            (self.high, self.low) = words
            return
        }
        var words: (UInt64, UInt64) = (0, 0)
        var bits = 0
        for byte in text.utf8 {
            guard bits < 132, let digit = Self.digit(byte) else { return nil }
            if bits < 60 {
                words.0 = words.0 << 6 | digit
            } else if bits == 60 {
                words.0 = words.0 << 4 | digit >> 2
                words.1 = digit & 3
            } else if bits < 126 {
                words.1 = words.1 << 6 | digit
            } else {
                guard digit & 15 == 0 else { return nil }  // the last digit carries only two bits
                words.1 = words.1 << 2 | digit >> 4
            }
            bits += 6
        }
        guard bits == 132 else { return nil }
        (self.high, self.low) = words
    }

    package var description: String {
        if isGUID { return guidText }
        return String(unsafeUninitializedCapacity: 22) { out in
            for index in 0..<22 {
                let start = index * 6
                let digit: UInt64
                if start < 60 {
                    digit = high >> UInt64(58 - start) & 63
                } else if start == 60 {
                    digit = (high & 15) << 2 | low >> 62
                } else if start < 126 {
                    digit = low >> UInt64(122 - start) & 63
                } else {
                    digit = (low & 3) << 4
                }
                out[index] = Self.alphabet[Int(digit)]
            }
            return 22
        }
    }

    /// Dashes stand after 8, 12, 16 and 20 of the 32 digits.
    private static func isDash(_ index: Int) -> Bool { index == 8 || index == 13 || index == 18 || index == 23 }

    private var guidText: String {
        String(unsafeUninitializedCapacity: 36) { out in
            var digit = 0
            for index in 0..<36 {
                guard !Self.isDash(index) else {
                    out[index] = UInt8(ascii: "-")
                    continue
                }
                let word = digit < 16 ? high : low
                let value = UInt8(word >> UInt64(60 - digit % 16 * 4) & 15)
                out[index] = value < 10 ? UInt8(ascii: "0") + value : UInt8(ascii: "a") + value - 10
                digit += 1
            }
            return 36
        }
    }

    private static func readGUID(_ text: some Collection<UInt8>) -> (UInt64, UInt64)? {
        var words: (UInt64, UInt64) = (0, 0)
        for (index, byte) in text.enumerated() {
            if isDash(index) {
                guard byte == UInt8(ascii: "-") else { return nil }
                continue
            }
            let value: UInt8
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): value = byte - UInt8(ascii: "0")
            case UInt8(ascii: "a")...UInt8(ascii: "f"): value = byte - UInt8(ascii: "a") + 10
            case UInt8(ascii: "A")...UInt8(ascii: "F"): value = byte - UInt8(ascii: "A") + 10
            default: return nil
            }
            if index < 18 { words.0 = words.0 << 4 | UInt64(value) } else { words.1 = words.1 << 4 | UInt64(value) }
        }
        return words
    }

    private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)

    private static func digit(_ byte: UInt8) -> UInt64? {
        switch byte {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"): UInt64(byte) - 65
        case UInt8(ascii: "a")...UInt8(ascii: "z"): UInt64(byte) - 97 + 26
        case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt64(byte) - 48 + 52
        case UInt8(ascii: "-"): 62
        case UInt8(ascii: "_"): 63
        default: nil
        }
    }
}
