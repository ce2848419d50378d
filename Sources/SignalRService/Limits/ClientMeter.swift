// SignalBox: how much a client has sent, against how much it may
// SPDX-License-Identifier: Apache-2.0

import NIOConcurrencyHelpers
import NIOCore
import SignalR
import SignalRWire

/// The rates of what is sent, either of which may be missing.
struct InputRates: Sendable {
    private var messages: TokenBucket?
    private var bytes: TokenBucket?

    init?(messages: ServiceLimits.Rate?, bytes: ServiceLimits.Rate?) {
        guard messages != nil || bytes != nil else { return nil }
        self.messages = messages.map(TokenBucket.init)
        self.bytes = bytes.map(TokenBucket.init)
    }

    mutating func admit(messages count: Int, bytes size: Int, at now: Double) -> Bool {
        messages?.take(count, at: now) != false && bytes?.take(size, at: now) != false
    }
}

/// What all connections of a user send to a hub; they may be on several event loops.
final class UserMeter: Sendable {
    private let rates: NIOLockedValueBox<InputRates>

    init?(_ limits: ServiceLimits) {
        guard let rates = InputRates(messages: limits.messagesPerUser, bytes: limits.bytesPerUser) else { return nil }
        self.rates = NIOLockedValueBox(rates)
    }

    func admits(messages: Int, bytes: Int, at now: Double) -> Bool {
        rates.withLockedValue { $0.admit(messages: messages, bytes: bytes, at: now) }
    }
}

/// What one connection sends. Belongs to its event loop.
final class ClientMeter: InboundMeter {
    private var own: InputRates?
    private let user: UserMeter?
    private let now: @Sendable () -> Double
    private var counter = MessageCounter()

    /// nil when nothing limits the connection.
    init?(_ limits: ServiceLimits, user: UserMeter?, now: @escaping @Sendable () -> Double) {
        self.own = InputRates(messages: limits.messagesPerConnection, bytes: limits.bytesPerConnection)
        self.user = user
        self.now = now
        if own == nil, user == nil { return nil }
    }

    func admits(messageOf size: Int) -> Bool { admits(messages: 1, bytes: size) }

    func admits(_ piece: ByteBuffer, _ format: TransferFormat) -> Bool {
        admits(messages: counter.count(piece, format), bytes: piece.readableBytes)
    }

    private func admits(messages: Int, bytes: Int) -> Bool {
        let now = now()
        return own?.admit(messages: messages, bytes: bytes, at: now) != false
            && user?.admits(messages: messages, bytes: bytes, at: now) != false
    }
}
