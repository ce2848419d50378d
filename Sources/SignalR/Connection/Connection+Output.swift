// SignalBox: what a connection sends: its queue, and when it leaves
// SPDX-License-Identifier: Apache-2.0

package import NIOCore
package import SignalRWire

extension Connection {
    package func use(codec: Int) {
        format.codec = UInt8(codec)
        transferFormat = registry.codecs[codec].transferFormat
        if let transport { format.packaging = transport.packaging(for: transferFormat) }
    }

    /// Sends to this client alone: what is encoded is not kept for others.
    package func send(_ message: HubMessage) {
        guard isLive else { return }
        guard let bytes = format.packaging.encode(message, with: registry.codecs[Int(format.codec)]) else {
            return close(.writeFailed("The message cannot be written."))
        }
        messageObserver?.sent(message, to: self)
        if replay == nil || isHolding { countSentMessage() }
        if isHolding { return hold(Batch(bytes)) }
        // A stateful client may need it again, on a transport with another packaging.
        if replay != nil { send(Outgoing(message)) } else { enqueue(Batch(bytes)) }
    }

    package func send(_ outgoing: Outgoing) {
        guard isLive else { return }
        let outgoing = session?.addressed(outgoing) ?? outgoing
        guard let batch = shard.encoded(outgoing, format) else { return }
        countSentMessage()
        if isHolding { return hold(batch) }
        guard outgoing.isNumbered, replay != nil else { return enqueue(batch) }
        replay?.append(outgoing, batch.byteCount)
        release()
    }

    /// Past what is held and what is kept for replay: for messages that are neither numbered nor in order with others.
    package func sendAtOnce(_ message: HubMessage) {
        guard isLive, let bytes = format.packaging.encode(message, with: registry.codecs[Int(format.codec)]) else {
            return
        }
        enqueue(Batch(bytes))
    }

    /// From here on messages are put aside, but for those given to ``enqueue(_:)`` and ``sendAtOnce(_:)``.
    package func beginHolding() { isHolding = true }

    /// Sends what was put aside, and everything else from here on.
    package func endHolding() {
        isHolding = false
        guard let batch = held else { return }
        held = nil
        enqueue(Batch(batch.bytes()))
    }

    private func hold(_ batch: Batch) {
        held = held.map { Batch($0, then: batch) } ?? batch
        checkQueue()
    }

    /// A stateful client has everything up to this number.
    package func acknowledge(_ number: Int64) {
        replay?.acknowledge(number)
        release()
        flush()
    }

    /// Queues what a stateful client may have before it acknowledges more.
    private func release() {
        while let batch = replay?.release()?.batch(for: format, codecs: registry.codecs) { enqueue(batch) }
        checkQueue()
    }

    /// Queues bytes that are wrapped already; they leave at the end of the event loop's tick, together with all others.
    package func enqueue(_ batch: Batch) {
        countSent(batch.byteCount)
        pending = pending.map { Batch($0, then: batch) } ?? batch
        queued()
    }

    /// The same for one of many receivers: those that had the same batch pending share the longer one.
    func enqueue(_ batch: Batch, sharing memo: inout (before: Batch, after: Batch)?) {
        countSent(batch.byteCount)
        if let pending {
            if let memo, memo.before === pending {
                self.pending = memo.after
            } else {
                let longer = Batch(pending, then: batch)
                memo = (pending, longer)
                self.pending = longer
            }
        } else {
            self.pending = batch
        }
        queued()
    }

    /// How a message for many goes to this client. The shard keeps a copy, which must follow every change of what is used here.
    var lane: Lane {
        guard state == .open, pending == nil, !isStateful, !isHolding, let socket = transport?.idleSocket else {
            return Lane()
        }
        return Lane(socket: socket, format: format)
    }

    /// The transport's ``Transport/idleSocket`` may have changed, or something in the connection.
    package func updateLane() {
        if shardIndex >= 0 { shard.lanes[shardIndex] = lane }
        follower?.updateLane()
    }

    /// The socket, if bytes sent to it now come after all others.
    package var idleSocket: NIOBSDSocket.Handle? { lane.socket }

    /// What ``idleSocket`` did not take.
    func sendRest(_ bytes: ByteBuffer) { transport?.write(bytes) }

    private func queued() {
        if !isDirty {
            isDirty = true
            shard.needsFlush(self)
        }
        checkQueue()
    }

    private func checkQueue() {
        if queuedBytes > limits.maximumOutboundQueue { closeSoon(.slowConsumerBytes) }
    }

    /// Writes what is pending, if the transport takes it.
    package func flush() {
        isDirty = false
        if let pending, let transport {
            guard transport.canWrite else {
                if blockedSince == 0 { blockedSince = now }
                return
            }
            self.pending = nil
            transport.write(pending.bytes())
        }
        if !writeWaiters.isEmpty, !isBehind { resumeWriters() }
    }

    /// Whether streams must wait for the client. Between two polls there is no transport, and only the queue counts.
    private var isBehind: Bool {
        queuedBytes > Self.streamWindow || transport?.canWrite == false || replay?.isFull == true
    }

    func resumeWriters() {
        let waiters = writeWaiters
        writeWaiters = []
        for waiter in waiters { waiter.resume() }
    }

    /// Queues a message and waits until a fast client would have taken it: the back-pressure of streams.
    package func sendAndWait(_ message: HubMessage) async {
        await withCheckedContinuation { (waiter: CheckedContinuation<Void, Never>) in
            onLoop { [self] in
                send(message)
                if isBehind, isLive { writeWaiters.append(waiter) } else { waiter.resume() }
            }
        }
    }

    /// Bytes a stream may queue before it waits; the pipe size of the original.
    private static let streamWindow = 65_536

    /// Bytes waiting in the queue, or for a stateful client's Ack; the transport may hold more.
    package var queuedBytes: Int {
        (pending?.byteCount ?? 0) + (held?.byteCount ?? 0) + (replay?.heldBytes ?? 0)
    }

    package func takeLastWords() -> ByteBuffer? {
        defer { lastWords = nil }
        return lastWords?.bytes()
    }
}
