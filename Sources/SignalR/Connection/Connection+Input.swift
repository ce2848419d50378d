// SignalBox: what a connection receives: bytes that its session takes, and how its client is held up
// SPDX-License-Identifier: Apache-2.0

package import NIOCore
import SignalRWire

extension Connection {
    /// Bytes from the client. The kind and the end of the transport's message matter to sessions that keep boundaries.
    package func receive(_ bytes: ByteBuffer, isText: Bool = true, isLast: Bool = true) {
        guard isLive || state == .new else { return }
        countReceived(bytes.readableBytes)
        if let session, session.keepsBoundaries { return session.receive(bytes, isText: isText, isLast: isLast) }
        guard bytes.readableBytes > 0 else { return }
        if inbound == nil || inbound?.readableBytes == 0 {
            inbound = bytes
        } else {
            inbound?.writeImmutableBuffer(bytes)
        }
        process()
    }

    /// Lets the session go on with bytes that it left because it was busy.
    package func process() {
        guard !isReceiving, isLive else { return }
        if let session, var bytes = inbound {
            isReceiving = true
            inbound = nil
            session.receive(&bytes)
            // A copy of the rest, so that a few bytes do not keep a whole read buffer alive.
            if bytes.readableBytes > 0, isLive {
                let isShort = bytes.readableBytes < 4096 && !session.isBusy
                inbound = isShort ? ByteBuffer(bytes: bytes.readableBytesView) : bytes
            }
            isReceiving = false
        }
        guard !isOverfull else { return }
        transport?.resumeReading()
        if posts != nil { takePosts() }
    }

    /// Bytes that the session has not taken.
    private var unreadBytes: Int { inbound?.readableBytes ?? 0 }

    /// Whether the client must wait with sending: the session is busy and enough is buffered.
    package var isOverfull: Bool {
        isHeldUp || unreadBytes >= limits.transportMaximumBufferSize && (state == .new || session?.isBusy ?? false)
    }

    /// For sessions that keep what they received: the client is not read until they have room again.
    func holdUp(_ isHeldUp: Bool) {
        self.isHeldUp = isHeldUp
        if !isHeldUp { process() }
    }

    /// What a lost socket brought of a message that was never whole: its client sends the message again.
    package func dropPartialMessage() {
        guard let bytes = inbound, let whole = try? transferFormat.wholeMessages(in: bytes) else { return }
        inbound = bytes.getSlice(at: bytes.readerIndex, length: whole)
    }

    /// The client ended its transport in order.
    /// - Parameter code: the WebSocket's close code, if it sent one.
    package func inputEnded(code: Int? = nil) {
        guard isLive else { return }
        history.interrupt(.closed(code: code))
        session?.inputEnded()
    }
}
