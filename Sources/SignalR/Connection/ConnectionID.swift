// SignalBox: 128 random bits that name a connection, or the token that gives access to it
// SPDX-License-Identifier: Apache-2.0

/// A connection id or connection token: 16 random bytes, written as 22 characters of base64url without padding,
/// so that clients may put it into a query without escaping (core protocol reference, "Negotiate").
package struct ConnectionID: Hashable, Sendable, LosslessStringConvertible {
    private let high: UInt64
    private let low: UInt64

    /// A new id from the system's cryptographic random source.
    package init() {
        var random = SystemRandomNumberGenerator()
        self.high = random.next()
        self.low = random.next()
    }

    package init?(_ text: some StringProtocol) {
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
        String(unsafeUninitializedCapacity: 22) { out in
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
