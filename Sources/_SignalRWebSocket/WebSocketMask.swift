// SignalBox: the masking of client frames, RFC 6455 §5.3
// SPDX-License-Identifier: Apache-2.0

/// The mask of one frame, rotated to the next byte of its payload, so that a payload may be masked or unmasked in
/// pieces.
struct WebSocketMask {
    /// The key as on the wire: the first byte to apply is the most significant one.
    private var key: UInt32

    init(_ key: UInt32) { self.key = key }

    /// XORs the next bytes of the payload in place.
    mutating func apply(to bytes: UnsafeMutableRawBufferPointer) {
        let key = UInt64(self.key)
        let wide = (key << 32 | key).bigEndian
        let wholeWords = bytes.count & ~7
        var offset = 0
        while offset < wholeWords {
            let word = bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
            bytes.storeBytes(of: word ^ wide, toByteOffset: offset, as: UInt64.self)
            offset &+= 8
        }
        // A word holds the key twice, so the rest starts with the key's first byte again.
        while offset < bytes.count {
            bytes[offset] ^= UInt8(truncatingIfNeeded: self.key >> 24)
            self.key = self.key << 8 | self.key >> 24
            offset &+= 1
        }
    }
}
