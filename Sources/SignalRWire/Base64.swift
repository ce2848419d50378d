// SignalBox: bytes as text, where JSON has no bytes
// SPDX-License-Identifier: Apache-2.0

public import NIOCore

/// Base64 with the standard alphabet and padding (RFC 4648 §4).
public enum Base64 {
    private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
    private static let padding = UInt8(ascii: "=")

    /// The six bits of each letter; 0xFF for bytes that are none.
    private static let values: [UInt8] = {
        var values = [UInt8](repeating: 0xFF, count: 256)
        for (value, letter) in Self.alphabet.enumerated() { values[Int(letter)] = UInt8(value) }
        return values
    }()

    public static func encode(_ bytes: [UInt8], into buffer: inout ByteBuffer) {
        buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: (bytes.count + 2) / 3 * 4) { text in
            var written = 0
            for start in stride(from: 0, to: bytes.count, by: 3) {
                let count = min(3, bytes.count - start)
                var group: UInt32 = 0
                for index in 0..<3 { group = group << 8 | (index < count ? UInt32(bytes[start + index]) : 0) }
                for index in 0..<4 {
                    let letter = Self.alphabet[Int(group >> (18 - 6 * index)) & 0x3F]
                    text[written + index] = index <= count ? letter : Self.padding
                }
                written += 4
            }
            return written
        }
    }

    /// The bytes that `text` stands for; nil unless it is base64 in whole groups of four, padding included.
    public static func decode(_ text: String) -> [UInt8]? {
        var letters = Array(text.utf8)
        guard letters.count.isMultiple(of: 4) else { return nil }
        let padding = letters.suffix(2).reversed().prefix { $0 == Self.padding }.count
        letters.removeLast(padding)
        var bytes: [UInt8] = []
        bytes.reserveCapacity(letters.count / 4 * 3 + 2)
        var group: UInt32 = 0
        for (index, letter) in letters.enumerated() {
            let value = Self.values[Int(letter)]
            guard value != 0xFF else { return nil }
            group = group << 6 | UInt32(value)
            // Each letter but the first of its group completes a byte.
            let pending = (index % 4 + 1) * 6 % 8
            if index % 4 > 0 { bytes.append(UInt8(truncatingIfNeeded: group >> UInt32(pending))) }
        }
        return bytes
    }
}
