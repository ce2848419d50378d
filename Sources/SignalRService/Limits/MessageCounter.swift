// SignalBox: counts hub messages in a byte stream that is not decoded
// SPDX-License-Identifier: Apache-2.0

import NIOCore
import SignalRWire

/// Finds where messages end in pieces of any size: record separators in text, length prefixes in binary.
struct MessageCounter {
    /// Bytes of the current binary message that are still to come.
    private var rest = 0
    /// A length prefix that is not whole yet, and how many bits of it there are.
    private var length = 0
    private var bits = 0

    /// How many messages end in `piece`. A length that no message can have counts as a message of its own.
    mutating func count(_ piece: ByteBuffer, _ format: TransferFormat) -> Int {
        piece.withUnsafeReadableBytes { bytes in
            switch format {
            case .text: bytes.reduce(0) { $1 == 0x1E ? $0 + 1 : $0 }
            case .binary: countBinary(bytes)
            }
        }
    }

    private mutating func countBinary(_ bytes: UnsafeRawBufferPointer) -> Int {
        var (count, index) = (0, 0)
        while index < bytes.count {
            if rest > 0 {
                let step = min(rest, bytes.count - index)
                rest -= step
                index += step
                if rest == 0 { count += 1 }
                continue
            }
            length |= Int(bytes[index] & 0x7F) << bits
            let isLast = bytes[index] < 0x80 || bits == 28
            bits += 7
            index += 1
            guard isLast else { continue }
            rest = min(length, Int(Int32.max))
            if rest == 0 { count += 1 }
            (length, bits) = (0, 0)
        }
        return count
    }
}
