// SignalBox: bytes of a WebSocket in, events out, RFC 6455 §5 and §8.1
// SPDX-License-Identifier: Apache-2.0

package import NIOCore

/// What arrived on a WebSocket.
package enum WebSocketEvent: Equatable, Sendable {
    package enum Kind: Sendable { case text, binary }

    /// Payload bytes of a message, unmasked and inflated, as they arrive. `endOfMessage` is set on the last piece; an
    /// empty message is one empty piece. The pieces of a text message join to valid UTF-8; a single piece may end
    /// within a character.
    case data(ByteBuffer, kind: Kind, endOfMessage: Bool)
    case ping(ByteBuffer)
    case pong(ByteBuffer)
    /// The last event. A nil code means that the frame was empty.
    case close(code: WebSocketCloseCode?, reason: String)
}

/// Turns the bytes of one WebSocket into events, without I/O and without holding any of them.
package struct WebSocketReader {
    package enum Role: Sendable {
        /// Reads what a client sent: every frame must be masked.
        case server
        /// Reads what a server sent: no frame may be masked.
        case client
    }

    private enum Phase { case header, payload, closed }

    private let maximumFrameSize: Int
    private let maximumInflatedSize: Int
    private let inflater: Inflater?
    /// Payload bytes of the current frame that have not come yet.
    private var missing = 0
    private var mask = WebSocketMask(0)
    private let role: Role
    private var phase = Phase.header
    private var isFinalFrame = false
    /// A message began and has not ended; `kind` and `isCompressed` are its own.
    private var isWithinMessage = false
    private var kind = WebSocketEvent.Kind.text
    private var isCompressed = false
    private var text = UTF8Validator()

    /// - Parameters:
    ///   - maximumFrameSize: the largest payload of one frame, in bytes, as sent; larger ones end with 1009.
    ///   - inflater: given when permessage-deflate was negotiated; otherwise compressed messages are an error.
    ///   - maximumInflatedSize: the largest size of one compressed message after inflation, in bytes; larger ones end
    ///     with 1009.
    package init(role: Role, maximumFrameSize: Int, inflater: Inflater? = nil, maximumInflatedSize: Int) {
        self.role = role
        self.maximumFrameSize = max(0, maximumFrameSize)
        self.inflater = inflater
        self.maximumInflatedSize = max(0, maximumInflatedSize)
    }

    /// The next event, or nil when more bytes are needed. After a close frame, everything that follows is dropped.
    ///
    /// Takes what it uses from `buffer`; at most a partial header or a partial control frame stays there, and the
    /// caller puts the bytes that follow behind it. A buffer read to its end is let go, so that its storage passes to
    /// the event without a copy.
    /// - Throws: the code to close with. The reader must not be used afterwards.
    package mutating func next(from buffer: inout ByteBuffer) throws(WebSocketError) -> WebSocketEvent? {
        while true {
            switch phase {
            case .header:
                guard let header = try peekHeader(of: buffer) else { return nil }
                if header.opcode.isControl {
                    return try control(header, from: &buffer)
                }
                buffer.moveReaderIndex(forwardBy: header.size)
                try begin(header)
            case .payload:
                guard missing == 0 || buffer.readableBytes > 0 else { return nil }
                if let event = try data(from: &buffer) { return event }
            case .closed:
                buffer.moveReaderIndex(to: buffer.writerIndex)
                return nil
            }
        }
    }

    private func peekHeader(of buffer: ByteBuffer) throws(WebSocketError) -> WebSocketFrameHeader? {
        try buffer.withUnsafeReadableBytes { (bytes) throws(WebSocketError) in
            try WebSocketFrameHeader.peek(
                bytes, masked: role == .server, allowsCompression: inflater != nil, maximumPayload: maximumFrameSize)
        }
    }

    // MARK: Data frames

    private mutating func begin(_ header: WebSocketFrameHeader) throws(WebSocketError) {
        if header.opcode == .continuation {
            guard isWithinMessage else { throw .protocolError("A continuation frame came outside a message.") }
        } else {
            guard !isWithinMessage else { throw .protocolError("A message began within another message.") }
            isWithinMessage = true
            kind = header.opcode == .text ? .text : .binary
            isCompressed = header.isCompressed
        }
        missing = header.payloadLength
        mask = WebSocketMask(header.mask)
        isFinalFrame = header.isFinal
        phase = .payload
    }

    /// The next piece of the current frame; nil if it has nothing to tell.
    private mutating func data(from buffer: inout ByteBuffer) throws(WebSocketError) -> WebSocketEvent? {
        var piece = unmasked(from: &buffer, upTo: missing)
        missing -= piece.readableBytes
        if missing == 0 { phase = .header }
        let endOfMessage = missing == 0 && isFinalFrame
        if isCompressed, let inflater {
            piece = try inflater.inflate(piece, endOfMessage: endOfMessage, limit: maximumInflatedSize)
        }
        if kind == .text { try validate(piece, endOfMessage: endOfMessage) }
        if endOfMessage { isWithinMessage = false }
        return endOfMessage || piece.readableBytes > 0 ? .data(piece, kind: kind, endOfMessage: endOfMessage) : nil
    }

    /// Sliced before it is unmasked: where others hold the storage too, as a channel's pool of receive buffers does,
    /// the write copies the piece alone instead of everything received.
    private mutating func unmasked(from buffer: inout ByteBuffer, upTo length: Int) -> ByteBuffer {
        guard var piece = buffer.readSlice(length: min(length, buffer.readableBytes)) else { return ByteBuffer() }
        if buffer.readableBytes == 0 { buffer = ByteBuffer() }
        if role == .server { piece.withUnsafeMutableReadableBytes { mask.apply(to: $0) } }
        return piece
    }

    private mutating func validate(_ piece: ByteBuffer, endOfMessage: Bool) throws(WebSocketError) {
        guard piece.withUnsafeReadableBytes({ text.accept($0) }), !endOfMessage || text.isComplete else {
            throw .invalidPayload("A text message is not valid UTF-8.")
        }
    }

    // MARK: Control frames

    private mutating func control(
        _ header: WebSocketFrameHeader, from buffer: inout ByteBuffer
    ) throws(WebSocketError) -> WebSocketEvent? {
        guard buffer.readableBytes >= header.size + header.payloadLength else { return nil }
        buffer.moveReaderIndex(forwardBy: header.size)
        // Control frames come between the fragments of a message, never within a frame, so the mask is free.
        mask = WebSocketMask(header.mask)
        let payload = unmasked(from: &buffer, upTo: header.payloadLength)
        switch header.opcode {
        case .ping: return .ping(payload)
        case .pong: return .pong(payload)
        default:
            phase = .closed
            return try close(payload)
        }
    }

    private func close(_ payload: ByteBuffer) throws(WebSocketError) -> WebSocketEvent {
        var reason = payload
        guard payload.readableBytes > 0 else { return .close(code: nil, reason: "") }
        guard let code = reason.readInteger(as: UInt16.self).map(WebSocketCloseCode.init(rawValue:)), code.isSendable
        else {
            throw .protocolError("The close frame has an invalid code.")
        }
        var validator = UTF8Validator()
        guard reason.withUnsafeReadableBytes({ validator.accept($0) }), validator.isComplete else {
            throw .invalidPayload("The close frame's reason is not valid UTF-8.")
        }
        return .close(code: code, reason: String(buffer: reason))
    }
}
