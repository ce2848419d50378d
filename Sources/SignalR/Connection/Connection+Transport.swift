// SignalBox: a connection's transports, from the first to the last
// SPDX-License-Identifier: Apache-2.0

import NIOCore

extension Connection {
    /// Gives the connection a transport: the first one, the next poll, or the new socket of a stateful client.
    package func attach(_ transport: any Transport) {
        self.transport = transport
        format.packaging = transport.packaging(for: transferFormat)
        blockedSince = 0
        switch state {
        case .new:
            state = .opening
            request.started(transport.kind, at: now)
            registry.transportStarted(transport.kind, of: self)
            shard.add(self)
            session?.opened()
            process()
        case .opening, .open: flush()
        case .closing, .closed:
            if transport.kind == .longPolling, let words = takeLastWords() {
                transport.write(words)
            } else {
                transport.close(.transportEnded)
            }
        }
    }

    /// The new socket of a stateful client, or the old transport to a new socket elsewhere: what was not acknowledged is sent again before
    /// anything new.
    package func resume(_ transport: any Transport) {
        if self.transport !== transport { self.transport?.close(.transportEnded) }
        pending = nil
        attach(transport)
        guard state == .open else { return }
        if isStateful { moveHistory(to: transport.kind.name) }
        tell(.transport, "Came back", detail: transport.kind.rawValue)
        session?.resumed()
    }

    /// The transport is gone; the connection stays.
    package func detach(_ transport: any Transport) {
        guard self.transport === transport else { return }
        self.transport = nil
        blockedSince = 0
        detachedSince = now
    }

    /// Sending stopped (or goes on), as the transport sees it.
    package func writabilityChanged(_ canWrite: Bool, of transport: any Transport) {
        guard transport === self.transport else { return }
        (transport as? RemoteTransport)?.canWrite = canWrite
        blockedSince = canWrite ? 0 : now
        if canWrite { flush() }
        session?.writabilityChanged(canWrite)
    }

    /// The transport broke. A stateful connection waits for a new one, every other ends.
    package func lost(_ transport: any Transport, _ reason: CloseReason) {
        guard transport === self.transport else { return }
        history.interrupt(.lost(reason.detail ?? reason.name))
        detach(transport)
        if state != .open || replay == nil && session?.outlivesTransport != true { return close(reason) }
        tell(.transport, "Lost its transport", detail: reason.detail)
    }

    /// Whether a poll that is like the one before may go on without a look at its token.
    var canPoll: Bool { state == .open && expiration.map { $0 > shard.clock.unixTime } != false }

    /// The next poll of a long-polling client. The first one starts the session and is answered empty at once, since clients discard
    /// its body (core protocol reference, "Long polling").
    func poll(_ poll: LongPollingTransport) {
        let isFirst = state == .new
        self.transport?.close(.transportEnded)
        attach(poll)
        if isFirst { poll.write(ByteBuffer()) }
    }
}
