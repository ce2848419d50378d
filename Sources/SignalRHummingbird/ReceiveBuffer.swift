// SignalBox: how many bytes a channel reads at once: as many as its client sends
// SPDX-License-Identifier: Apache-2.0

import NIOCore

/// Doubles when a read filled the buffer, and halves after two reads in a row that left more than half of it free.
///
/// NIO's own adaptive allocator does the same. This one is small enough to lie in the channel, while that one is a heap object for each of
/// tens of thousands of idle clients.
struct ReceiveBuffer: RecvByteBufferAllocator {
    private static let smallest: UInt32 = 256
    private static let largest: UInt32 = 65_536

    private var size = Self.smallest
    private var wasRoomy = false

    func buffer(allocator: ByteBufferAllocator) -> ByteBuffer { allocator.buffer(capacity: Int(size)) }

    func nextBufferSize() -> Int? { Int(size) }

    /// - Returns: whether the next buffer is larger.
    mutating func record(actualReadBytes: Int) -> Bool {
        let (isRoomy, wasRoomy) = (actualReadBytes <= size / 2 && size > Self.smallest, self.wasRoomy)
        self.wasRoomy = isRoomy && !wasRoomy
        if isRoomy, wasRoomy { size /= 2 }
        guard !isRoomy, actualReadBytes >= size, size < Self.largest else { return false }
        size *= 2
        return true
    }
}
