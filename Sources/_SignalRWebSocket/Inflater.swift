// SignalBox: compressed messages in, RFC 7692 §7.2.2
// SPDX-License-Identifier: Apache-2.0

import CSignalRZlib
import NIOCore

/// Inflates the messages of one connection, piece by piece, without context takeover.
///
/// zlib's state, about 40 KB, lives from the first piece of a compressed message to its last, so that idle connections
/// hold none. Belongs to one connection's event loop and is not thread-safe.
package final class Inflater {
    /// How much output is made room for at a time, in bytes.
    private static let step = 64...16_384
    /// What the sender cut from the end of the message (RFC 7692 §7.2.1).
    private static let tail = ByteBuffer(bytes: [0x00, 0x00, 0xFF, 0xFF])

    /// On the heap because zlib's state points back to it. Nil between messages.
    private var stream: UnsafeMutablePointer<z_stream>?
    /// Bytes the current message gave so far.
    private var messageSize = 0
    /// The last block was marked as final; more of them may follow in the same message (RFC 7692 §7.2.3.4).
    private var streamEnded = false

    package init() {}

    deinit { end() }

    /// The inflated bytes of one piece of a message.
    /// - Throws: 1007 for bytes that deflate cannot have made and for a message that ends within a block; 1009 when the
    ///   message grows larger than `limit` bytes, with one byte of the surplus inflated and no more.
    func inflate(_ piece: ByteBuffer, endOfMessage: Bool, limit: Int) throws(WebSocketError) -> ByteBuffer {
        let stream = try begin()
        var output = ByteBuffer()
        try inflate(piece, with: stream, into: &output, limit: limit)
        if endOfMessage {
            try finish(with: stream, into: &output, limit: limit)
            end()
        }
        return output
    }

    private func begin() throws(WebSocketError) -> UnsafeMutablePointer<z_stream> {
        if let stream { return stream }
        let new = UnsafeMutablePointer<z_stream>.allocate(capacity: 1)
        new.initialize(to: z_stream())
        guard signalr_inflateInit2(new, -CInt(PerMessageDeflate.maximumWindowBits)) == Z_OK else {
            new.deallocate()
            throw .outOfMemory
        }
        stream = new
        return new
    }

    private func finish(
        with stream: UnsafeMutablePointer<z_stream>, into output: inout ByteBuffer, limit: Int
    ) throws(WebSocketError) {
        // A final block needs no tail, and senders differ on whether the empty message has a byte.
        if streamEnded || stream.pointee.total_in == 0 { return }
        try inflate(Self.tail, with: stream, into: &output, limit: limit)
        // zlib says that it stopped behind a block (128) with no bits left over (the low six).
        guard !streamEnded, stream.pointee.data_type & 0b1011_1111 == 128 else {
            throw .invalidPayload("A compressed message ends within a block.")
        }
    }

    private func end() {
        guard let stream else { return }
        inflateEnd(stream)
        stream.deallocate()
        self.stream = nil
        messageSize = 0
        streamEnded = false
    }

    private func inflate(
        _ input: ByteBuffer, with stream: UnsafeMutablePointer<z_stream>, into output: inout ByteBuffer, limit: Int
    ) throws(WebSocketError) {
        try input.withUnsafeReadableBytes { (bytes: UnsafeRawBufferPointer) throws(WebSocketError) in
            // zlib only reads from next_in, though the field's type does not say so.
            let start = UnsafeMutableRawPointer(mutating: bytes.baseAddress)
            stream.pointee.next_in = start?.assumingMemoryBound(to: Bytef.self)
            stream.pointee.avail_in = UInt32(clamping: bytes.count)
            defer { stream.pointee.next_in = nil }
            try inflateAll(stream, into: &output, limit: limit)
        }
    }

    private func inflateAll(
        _ stream: UnsafeMutablePointer<z_stream>, into output: inout ByteBuffer, limit: Int
    ) throws(WebSocketError) {
        let step = min(max(Int(stream.pointee.avail_in) &* 4, Self.step.lowerBound), Self.step.upperBound)
        repeat {
            if streamEnded {
                guard stream.pointee.avail_in > 0 else { return }
                inflateReset(stream)
                streamEnded = false
            }
            let room = min(step, limit - messageSize) + 1
            guard try inflateOnce(stream, room: room, into: &output) else { return }
            guard messageSize <= limit else {
                throw .tooBig("A compressed message is larger than the limit of \(limit) bytes.")
            }
        } while stream.pointee.avail_in > 0 || stream.pointee.avail_out == 0
    }

    /// Inflates at most `room` bytes; false if there was nothing to do.
    private func inflateOnce(
        _ stream: UnsafeMutablePointer<z_stream>, room: Int, into output: inout ByteBuffer
    ) throws(WebSocketError) -> Bool {
        var status = Z_OK
        messageSize += output.writeWithUnsafeMutableBytes(minimumWritableBytes: room) { free in
            stream.pointee.next_out = free.baseAddress?.assumingMemoryBound(to: Bytef.self)
            stream.pointee.avail_out = UInt32(room)
            status = CSignalRZlib.inflate(stream, Z_SYNC_FLUSH)
            stream.pointee.next_out = nil
            return room - Int(stream.pointee.avail_out)
        }
        switch status {
        case Z_OK: return true
        case Z_STREAM_END:
            streamEnded = true
            return true
        case Z_BUF_ERROR: return false
        case Z_MEM_ERROR: throw .outOfMemory
        default: throw .invalidPayload("A compressed message cannot be inflated.")
        }
    }
}
