// SignalBox: how a route, deep inside middleware, tells the server that it wants the channel itself
// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import NIOConcurrencyHelpers
package import NIOCore
package import SignalR

/// Travels with a request through the app's middleware. The route leaves the take-over here; the server carries it out if the response
/// that comes back still has the route's status, so that middleware can refuse.
package final class HandOff: Sendable {
    @TaskLocal package static var current: HandOff?

    package let hostChannel: HostChannel
    package var channel: any Channel { hostChannel.channel }
    private let accepted = NIOLockedValueBox<(takeOver: @Sendable (HostChannel) throws -> Void, status: Int)?>(nil)

    init(_ hostChannel: HostChannel) { self.hostChannel = hostChannel }

    func accept(_ takeOver: @escaping @Sendable (HostChannel) throws -> Void, status: HTTPResponse.Status) {
        accepted.withLockedValue { $0 = (takeOver, status.code) }
    }

    /// The take-over to carry out after a response with this status.
    func takeOver(after status: HTTPResponse.Status) -> (@Sendable (HostChannel) throws -> Void)? {
        accepted.withLockedValue { $0?.status == status.code ? $0?.takeOver : nil }
    }
}
