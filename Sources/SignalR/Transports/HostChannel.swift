// SignalBox: the channel under an HTTP request, for endpoints that want more of it than a response
// SPDX-License-Identifier: Apache-2.0

import NIOConcurrencyHelpers
package import NIOCore

/// What a host offers besides requests and responses. A host without it (any other HTTP server) still serves long polling.
package final class HostChannel: Sendable {
    package let channel: any Channel
    /// Whether the socket carries just what is written to the channel, once the host's own handlers are gone. Not so with TLS.
    let reachesSocket: Bool
    private let repetition = NIOLockedValueBox<RepeatedPoll?>(nil)
    private let shutdownAction = NIOLockedValueBox<(@Sendable () -> Void)?>(nil)

    package init(_ channel: any Channel, reachesSocket: Bool) {
        self.channel = channel
        self.reachesSocket = reachesSocket
    }

    /// For whoever takes the channel over.
    package var output: SocketOutput { reachesSocket ? .waiting(0) : .channel }

    /// How the request may be repeated; set by polls that were answered with messages.
    package var repeatedPoll: RepeatedPoll? { repetition.withLockedValue { $0 } }
    func allowRepetition(_ poll: RepeatedPoll) { repetition.withLockedValue { $0 = poll } }

    /// Runs `action` when the host shuts down while the request is still being answered.
    package func onShutdown(_ action: @escaping @Sendable () -> Void) { shutdownAction.withLockedValue { $0 = action } }

    /// The host shuts down.
    package func shutDown() { shutdownAction.withLockedValue { $0 }?() }
}
