// SignalBox: one client: its transport, its outbound queue and its place in the registry, on one event loop
// SPDX-License-Identifier: Apache-2.0

package import NIOCore
package import SignalRWire

/// One client of an endpoint, from its first transport to its end.
///
/// Safety: lives on `eventLoop`. Constants may be read anywhere; everything else belongs to the event loop, and other threads come in by
/// ``onLoop(_:)``. That, and not a lock, makes it safe to share.
package final class Connection: @unchecked Sendable {
    // MARK: Constants

    package let id: ConnectionID
    package let registry: ConnectionRegistry
    package let shard: ConnectionShard
    package var eventLoop: any EventLoop { shard.eventLoop }
    package let user: HubUser?
    /// The user this connection belongs to; nil when anonymous.
    package let userID: String?
    package let request: RequestFeatures
    package let limits: ConnectionLimits
    /// The id that hubs and other clients know it by.
    package var name: String { request.origin?.connectionName ?? id.description }

    // MARK: State, on the event loop; small things side by side, since there are tens of thousands of these

    package internal(set) var transport: (any Transport)? { didSet { updateLane() } }
    package internal(set) var session: (any ConnectionSession)?
    package internal(set) var state = State.new {
        didSet {
            updateLane()
            if (state == .open) != (oldValue == .open) { share(format, isSharing: state == .open) }
        }
    }
    /// The codec and packaging in use; text JSON until the handshake picks.
    package internal(set) var format = Format(codec: 0, packaging: .bare) {
        didSet {
            updateLane()
            guard state == .open, format != oldValue else { return }
            share(oldValue, isSharing: false)
            share(format, isSharing: true)
        }
    }
    package internal(set) var transferFormat = TransferFormat.text
    /// Negotiated to survive the loss of its socket.
    package var isStateful = false { didSet { updateLane() } }
    /// Whether this client is told the details of errors, even where others are not.
    package var wantsDetails = false
    /// Messages are put aside, since something has to be sent before them.
    var isHolding = false { didSet { updateLane() } }
    var isDirty = false
    var isReceiving = false
    /// The session has more than it wants to keep; see ``holdUp(_:)``.
    var isHeldUp = false
    /// Seconds that this connection may be without a transport.
    package var disconnectTimeout: UInt32
    /// The shard's clock when sending stopped to make progress; 0 while it makes progress.
    var blockedSince: UInt32 = 0
    /// The shard's clock when the last transport left; meaningful while `transport` is nil.
    package internal(set) var detachedSince: UInt32
    /// What ``transportHistory`` gives, but for connections whose client has its transports in another.
    package var history = TransportHistory()
    /// Tells the endpoint that the connection is gone.
    package var onRemoved: (@Sendable (Connection) -> Void)?
    /// When the token expires, in seconds since 1970.
    package var expiration: Double?
    /// Watches over what the client sends; nil when nothing limits it. Its sessions ask it.
    package var meter: (any InboundMeter)?
    /// Numbers and keeps messages for a stateful client; nil for all others.
    var replay: ReplayBuffer?
    /// What is put aside.
    var held: Batch?

    /// The connection whose messages go out through this one's transport as they are; nil for all but carriers of classic clients.
    package var follower: Connection? {
        didSet {
            oldValue?.updateLane()
            follower?.updateLane()
        }
    }

    /// Messages that wait for the next flush, or for a slow client.
    var pending: Batch? { didSet { if (pending == nil) != (oldValue == nil) { updateLane() } } }
    /// Received bytes that make no whole message yet.
    var inbound: ByteBuffer?
    /// Tasks that wait until the queue is short again.
    var writeWaiters: [CheckedContinuation<Void, Never>] = []
    /// What a long-polling client has yet to fetch after the end.
    package internal(set) var lastWords: Batch?
    /// What came by POST when there was no room for more; nil most of the time.
    var posts: WaitingPosts?

    /// Without what went to all connections of the shard at once.
    var ownTraffic = Traffic()

    /// Where this connection stands in its shard's list of all connections.
    var shardIndex = -1
    /// The groups and the user set it is in, with its place in each.
    var memberships: [Membership] = []

    package enum State: Sendable {
        /// Negotiated; can go to `opening` or `closed`.
        case new
        /// Has a transport, but is not yet to be found by server code (the handshake); can go to `open` or `closing`.
        case opening
        /// The session runs; can go to `closing`.
        case open
        /// Nothing is sent or received any more, the application finishes; can go to `closed`.
        case closing
        /// Out of the registry.
        case closed
    }

    package init(
        id: ConnectionID, registry: ConnectionRegistry, eventLoop: any EventLoop, limits: ConnectionLimits,
        user: HubUser?, userID: String?, request: RequestFeatures
    ) {
        self.id = id
        self.registry = registry
        self.shard = registry.shard(of: eventLoop)
        self.user = user
        self.userID = userID
        self.request = request
        self.expiration = user?.expiration
        self.limits = limits
        self.disconnectTimeout = limits.disconnectTimeout
        self.detachedSince = shard.clock.now
    }

    /// Runs `work` on the event loop: at once when already there.
    package func onLoop(_ work: @escaping @Sendable () -> Void) {
        eventLoop.inEventLoop ? work() : eventLoop.execute(work)
    }

    package func begin(_ session: any ConnectionSession) { self.session = session }

    /// Seconds of the shard's clock, which ticks once a second.
    package var now: UInt32 { shard.clock.now }

    var isLive: Bool { state == .open || state == .opening }

    /// From here on server code finds the connection, by id, user and group.
    package func register() {
        guard state == .opening else { return }
        state = .open
        shard.register(self)
        tell(.handshake, "Ready")
    }
}
