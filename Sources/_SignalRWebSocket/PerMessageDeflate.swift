// SignalBox: permessage-deflate: its negotiation, and messages compressed once for all receivers, RFC 7692
// SPDX-License-Identifier: Apache-2.0

import CSignalRZlib
package import HTTPTypes
package import NIOCore

/// Compression of messages, always without context takeover: each message stands alone, so one compressed message
/// serves every receiver and no connection keeps a window between messages.
package enum PerMessageDeflate {
    static let token = "permessage-deflate"
    static let maximumWindowBits = 15

    /// The first of a client's offers that this server can take.
    package struct Offer: Equatable, Sendable {
        package var serverMaxWindowBits: Int?

        /// Nil if the header fields hold no such offer.
        ///
        /// An offer is passed over if it has a parameter that is unknown, repeated or ill-formed (RFC 7692 §7), and if
        /// it asks for a window smaller than 32 KB, which the messages shared by all receivers do not keep to.
        package init?(_ fields: HTTPFields) {
            guard let value = fields[.secWebSocketExtensions], let offered = WebSocketExtension.list(value) else {
                return nil
            }
            for case let offer? in offered.lazy.map(Self.init(taking:)) {
                self = offer
                return
            }
            return nil
        }

        private init?(taking offered: WebSocketExtension) {
            guard offered.name == token else { return nil }
            var seen: Set<String> = []
            for (name, value) in offered.parameters {
                guard seen.insert(name).inserted else { return nil }
                switch (name, value, value.flatMap(Self.windowBits)) {
                case ("server_no_context_takeover", nil, _), ("client_no_context_takeover", nil, _): break
                // A hint on the client's own window, which ours covers whatever its size.
                case ("client_max_window_bits", nil, _), ("client_max_window_bits", _, .some): break
                case ("server_max_window_bits", _, .some(maximumWindowBits)): serverMaxWindowBits = maximumWindowBits
                default: return nil
                }
            }
        }

        /// A number from 8 to 15 without leading zeros (RFC 7692 §7.1.2.1).
        private static func windowBits(_ value: String) -> Int? {
            (8...maximumWindowBits).first { String($0) == value }
        }
    }

    /// What client and server agreed on.
    package struct Parameters: Equatable, Sendable {
        private let serverMaxWindowBits: Int?

        package init(answering offer: Offer) { self.serverMaxWindowBits = offer.serverMaxWindowBits }

        /// The server's answer, for Sec-WebSocket-Extensions. The server may forbid the client's context takeover
        /// whether or not the client offered that (RFC 7692 §7.1.1.2).
        package var headerValue: String {
            let answer = "\(token); server_no_context_takeover; client_no_context_takeover"
            return serverMaxWindowBits.map { "\(answer); server_max_window_bits=\($0)" } ?? answer
        }
    }

    /// Compresses one message, for a frame with `compressed: true`.
    /// - Parameters:
    ///   - windowBits: the largest window the receivers agreed to, as a power of two from 9 to 15; 15 by default.
    ///     Smaller payloads use a smaller window, which every receiver of the larger one understands.
    ///   - level: zlib's level from 1, fast, to 9, small; 6 by default.
    /// - Throws: 1011 when memory is short or an argument is out of range.
    package static func compress(
        _ payload: ByteBuffer, windowBits: Int = maximumWindowBits, level: Int = 6
    ) throws(WebSocketError) -> ByteBuffer {
        guard (9...maximumWindowBits).contains(windowBits) else { throw .cannotCompress }
        // The whole payload, and the 262 bytes at its end that zlib does not point back over.
        let needed = payload.readableBytes + 262
        let bits = min(windowBits, max(9, Int.bitWidth - needed.leadingZeroBitCount))
        // Hash table and symbol buffer in proportion to the window: clearing the full ones takes longer than
        // compressing a small message.
        let memory = min(8, bits - 6)
        var stream = z_stream()
        // zlib's state points back to the stream, which therefore must not move before its end.
        return try withUnsafeMutablePointer(to: &stream) { (stream) throws(WebSocketError) in
            let status = signalr_deflateInit2(stream, CInt(clamping: level), CInt(-bits), CInt(memory))
            guard status == Z_OK else { throw .cannotCompress }
            defer { deflateEnd(stream) }
            return try compress(payload, with: stream)
        }
    }

    private static func compress(
        _ payload: ByteBuffer, with stream: UnsafeMutablePointer<z_stream>
    ) throws(WebSocketError) -> ByteBuffer {
        var output = ByteBuffer()
        // The bound is for a finished stream; a flushed one ends with an empty block of at most 6 bytes instead.
        let bound = Int(deflateBound(stream, UInt(payload.readableBytes))) + 6
        payload.withUnsafeReadableBytes { bytes in
            // zlib only reads from next_in, though the field's type does not say so.
            let start = UnsafeMutableRawPointer(mutating: bytes.baseAddress)
            stream.pointee.next_in = start?.assumingMemoryBound(to: Bytef.self)
            stream.pointee.avail_in = UInt32(clamping: bytes.count)
            output.writeWithUnsafeMutableBytes(minimumWritableBytes: bound) { free in
                stream.pointee.next_out = free.baseAddress?.assumingMemoryBound(to: Bytef.self)
                stream.pointee.avail_out = UInt32(clamping: free.count)
                deflate(stream, Z_SYNC_FLUSH)
                return free.count - Int(stream.pointee.avail_out)
            }
        }
        // RFC 7692 §7.2.1: the message ends with 00 00 FF FF, which does not travel.
        guard stream.pointee.avail_in == 0, stream.pointee.avail_out > 0, output.readableBytes > 4 else {
            throw .cannotCompress
        }
        output.moveWriterIndex(to: output.writerIndex - 4)
        return output
    }
}
