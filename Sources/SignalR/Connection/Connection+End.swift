// SignalBox: how a connection ends
// SPDX-License-Identifier: Apache-2.0

import NIOCore

extension Connection {
    /// Ends the connection: last message, end of the transport, then the application's clean-up. Does nothing the second time.
    package func close(_ reason: CloseReason) {
        guard isLive || state == .new else { return }
        let wasLive = isLive
        if wasLive, reason != .slowConsumerBytes, reason != .slowConsumerTime { session?.willClose(reason) }
        if let pending, let transport {
            self.pending = nil
            transport.write(pending.bytes())
        }
        lastWords = pending
        state = .closing
        inbound = nil
        resumeWriters()
        refusePosts()
        transport?.close(reason)
        guard wasLive, let session else { return removed(reason) }
        session.closed(reason) { [self] in onLoop { self.removed(reason) } }
    }

    /// For callers that are in the middle of a loop over connections, which ``close(_:)`` would change.
    package func closeSoon(_ reason: CloseReason) {
        eventLoop.execute { self.close(reason) }
    }

    private func removed(_ reason: CloseReason) {
        if state == .closing, shardIndex >= 0 {
            shard.remove(self)
            registry.connectionEnded(self, reason)
        }
        state = .closed
        session = nil
        pending = nil
        held = nil
        resumeWriters()
        onRemoved?(self)
        onRemoved = nil
    }

    /// The client went away between its request and the transport.
    package func closeIfNeverOpened() { if state == .new { close(.idle) } }

    package func closeIfExpired() {
        if let expiration, expiration < shard.clock.unixTime { closeSoon(.authenticationExpired) }
    }

    /// Once a second.
    func heartbeat() {
        transport?.heartbeat()
        if blockedSince != 0, now &- blockedSince >= limits.sendTimeout { return closeSoon(.slowConsumerTime) }
        if transport == nil, isLive, now &- detachedSince > disconnectTimeout { return closeSoon(.idle) }
        session?.heartbeat()
    }
}
