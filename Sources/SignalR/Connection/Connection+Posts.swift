// SignalBox: what comes by POST while a connection has no room for more
// SPDX-License-Identifier: Apache-2.0

package import NIOCore

extension Connection {
    /// Bytes that came by POST; whoever sent them hears when there is room for more, false when the connection is over.
    package func receive(_ bytes: ByteBuffer, isText: Bool, waiter: CheckedContinuation<Bool, Never>?) {
        guard isLive || state == .new else {
            waiter?.resume(returning: false)
            return
        }
        let post = EarlyPosts.Post(bytes: bytes, isText: isText, waiter: waiter)
        if (posts?.parkedCount ?? 0) == 0, !isOverfull { return take(post) }
        let posts = posts ?? WaitingPosts()
        self.posts = posts
        // What is posted before the first transport is bounded by the endpoint.
        if posts.park(post) || state == .new { return }
        close(.inboundQueueFull)
    }

    private func take(_ post: EarlyPosts.Post) {
        receive(post.bytes, isText: post.isText)
        guard let waiter = post.waiter else { return }
        guard isOverfull, isLive || state == .new else { return waiter.resume(returning: true) }
        let posts = posts ?? WaitingPosts()
        self.posts = posts
        posts.wait(waiter)
    }

    /// There is room.
    func takePosts() {
        guard let posts, !posts.areBeingTaken else { return }
        posts.areBeingTaken = true
        posts.answerTaken(true)
        while !isOverfull, let post = posts.next() { take(post) }
        posts.areBeingTaken = false
        if posts.isEmpty { self.posts = nil }
    }

    /// The connection is over.
    func refusePosts() {
        posts?.refuse()
        posts = nil
    }
}

/// The POSTs of a connection that is overfull.
final class WaitingPosts {
    /// Bytes of memory that may be parked, about: as much as the largest body.
    private static let maximumCost = HubEndpoint.maximumBody

    /// Requests whose bytes were taken, and that are answered once there is room for more.
    private var taken: [CheckedContinuation<Bool, Never>] = []
    private var parked: CircularBuffer<EarlyPosts.Post> = []
    private var cost = 0
    var areBeingTaken = false

    var parkedCount: Int { parked.count }
    var isEmpty: Bool { parked.isEmpty && taken.isEmpty }

    func wait(_ waiter: CheckedContinuation<Bool, Never>) { taken.append(waiter) }

    /// - Returns: false when more is parked than may be.
    func park(_ post: EarlyPosts.Post) -> Bool {
        parked.append(post)
        cost += post.cost
        return cost <= Self.maximumCost
    }

    func next() -> EarlyPosts.Post? {
        guard let post = parked.popFirst() else { return nil }
        cost -= post.cost
        return post
    }

    func answerTaken(_ isOpen: Bool) {
        let waiters = taken
        taken = []
        for waiter in waiters { waiter.resume(returning: isOpen) }
    }

    func refuse() {
        answerTaken(false)
        while let post = next() { post.waiter?.resume(returning: false) }
    }
}
