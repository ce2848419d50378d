// SignalBox: what a classic client asks for when it wants to receive
// SPDX-License-Identifier: Apache-2.0

import NIOCore
import SignalR
import SignalRWire

/// A receive request: a transport, and where the client stands.
struct ReceiveRequest: Sendable {
    enum Action: String, Sendable {
        /// The first request of a transport.
        case connect
        /// After a loss.
        case reconnect
        /// The next long poll.
        case poll
    }

    let transport: ClassicTransport
    /// What the client could have chosen, in its order.
    let offered: [ClassicTransport]
    let action: Action
    let version: ClassicVersion
    /// Where the client stands; nil when it does not say, or says it of another process.
    let cursor: MessageCursor?
    /// Whether it was connected to another process, so that nobody knows what it missed.
    let isFromElsewhere: Bool
    /// The groups of its token.
    let groups: [String]
    let hubs: [ClassicAdmission]
    let request: RequestFeatures
    let user: HubUser?
}

/// A hub that a client may use, and who it is there.
package struct ClassicAdmission: Sendable {
    let application: ClassicApplication
    package let userID: String?

    package init(application: ClassicApplication, userID: String?) {
        self.application = application
        self.userID = userID
    }
}
