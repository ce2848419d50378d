// SignalBox: the channel under an HTTP request, for endpoints that want more of it than a response
// SPDX-License-Identifier: Apache-2.0

import NIOConcurrencyHelpers
package import NIOCore

/// What a host offers besides requests and responses. A host without it (any other HTTP server) still serves long polling.
package final class HostChannel: Sendable {
    package let channel: any Channel
    private let shutdownAction = NIOLockedValueBox<(@Sendable () -> Void)?>(nil)

    package init(_ channel: any Channel) { self.channel = channel }

    /// Runs `action` when the host shuts down while the request is still being answered.
    package func onShutdown(_ action: @escaping @Sendable () -> Void) { shutdownAction.withLockedValue { $0 = action } }

    /// The host shuts down.
    package func shutDown() { shutdownAction.withLockedValue { $0 }?() }
}
