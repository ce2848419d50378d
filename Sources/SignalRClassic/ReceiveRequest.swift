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
    let action: Action
    let version: ClassicVersion
    /// Where the client stands; nil when it does not say, or says it of another process.
    let cursor: MessageCursor?
    /// Whether it was connected to another process, so that nobody knows what it missed.
    let isFromElsewhere: Bool
    /// The groups of its token.
    let groups: [String]
    let hubs: [Admission]
    let request: RequestFeatures
    let user: HubUser?
}

/// A hub that a client may use, and who it is there.
package struct Admission: Sendable {
    let application: ClassicApplication
    let userID: String?

    package init(application: ClassicApplication, userID: String?) {
        self.application = application
        self.userID = userID
    }
}

/// A transport that a client had, and what brought it.
public struct ClassicTransportUse: Sendable, Hashable {
    public enum Occasion: String, Sendable, Hashable {
        /// The client's first one.
        case first
        /// The one before did not work for the client.
        case fallback
        /// The one before was lost.
        case reconnect
    }
    public let transport: ClassicTransport
    public let occasion: Occasion

    public init(transport: ClassicTransport, occasion: Occasion) {
        self.transport = transport
        self.occasion = occasion
    }
}
