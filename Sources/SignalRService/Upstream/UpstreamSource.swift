// SignalBox: the upstream and the keys of the moment
// SPDX-License-Identifier: Apache-2.0

import NIOConcurrencyHelpers

/// What hubs in serverless mode share and may change under them. An event goes by the rules that were there when it happened, and is
/// signed with the keys that are there when it is sent.
final class UpstreamSource: Sendable {
    let load = UpstreamLoad()
    private let current: NIOLockedValueBox<(upstream: Upstream, keys: AccessKeys)>

    init(_ upstream: Upstream, keys: AccessKeys) { self.current = NIOLockedValueBox((upstream, keys)) }

    var upstream: Upstream { current.withLockedValue { $0.upstream } }
    var keys: AccessKeys { current.withLockedValue { $0.keys } }

    /// An upstream whose options stay keeps its connections and who waits for them.
    func replace(keys: AccessKeys, _ options: UpstreamOptions, _ make: () -> Upstream) {
        let next = upstream.options == options ? nil : make()
        // The one before ends with its last event under way, and not under the lock.
        _ = current.withLockedValue { current in
            let before = current
            current = (next ?? before.upstream, keys)
            return before
        }
    }

    /// Waits until the events under way arrived, at most `timeout`.
    func finish(within timeout: Duration) async { await load.becameIdle(within: timeout) }
}
