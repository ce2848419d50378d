// SignalBox: what a client posts before it opens a transport
// SPDX-License-Identifier: Apache-2.0

import NIOCore

/// The bodies that wait for the transport of a connection, in the order they came. Past the connection's limit their requests wait, too
/// (core protocol reference, "HTTP surface and status matrix").
struct EarlyPosts: Sendable {
    struct Post: Sendable {
        let bytes: ByteBuffer
        let isText: Bool
        /// The request that waits for room; nil when it was answered.
        var waiter: CheckedContinuation<Bool, Never>?

        /// Bytes of memory, about: small bodies must not get their bookkeeping for free.
        var cost: Int { max(bytes.readableBytes, 64) }
    }

    private(set) var posts: [Post] = []
    /// What all of them cost.
    private(set) var cost = 0

    /// Adds one that waits, unless it fits.
    /// - Parameter limit: of the connection, in bytes.
    /// - Parameter room: bytes that all connections of the endpoint have left.
    /// - Returns: the answer of its request, nil when it has to wait.
    mutating func add(_ post: Post, limit: Int, room: Int) -> Bool? {
        guard post.cost <= room else { return false }
        var post = post
        let fits = cost + post.cost <= limit
        if fits { post.waiter = nil }
        posts.append(post)
        cost += post.cost
        return fits ? true : nil
    }

    /// The transport is there. What is posted from now on comes behind.
    func deliver(to connection: Connection) {
        guard !posts.isEmpty else { return }
        connection.eventLoop.execute {
            for post in posts { connection.receive(post.bytes, isText: post.isText, waiter: post.waiter) }
        }
    }

    /// No transport came.
    func refuse() { for post in posts { post.waiter?.resume(returning: false) } }
}
