// SignalBox: who may enter an endpoint, beyond what tokens say: how many clients, how fast, and how much each may send
// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import Metrics
package import NIOCore
package import SignalRWire

/// Limits the clients of an endpoint. An endpoint without one lets in whoever may enter.
///
/// A client comes in two steps, as negotiate and transport are two requests: it arrives, which may be too fast, and it enters, which may be
/// one too many. Whoever entered leaves.
package protocol Gate: Sendable {
    /// Asked for every client that arrives, before anything is known of it, so it must cost next to nothing. Counts nothing.
    func refusal() -> GateRefusal?
    /// Counts an arrival; asked once the client's token was found to be good.
    func arrive(user: String?) -> GateRefusal?
    /// Counts a connection, until ``leave(user:)``.
    func enter(user: String?) -> GateRefusal?
    func leave(user: String?)
    /// What watches over the input of a connection that entered; nil when nothing limits it.
    func meter(user: String?) -> (any InboundMeter)?
}

/// Why a client was not let in, and when it may try again.
package struct GateRefusal: Error, Sendable, Equatable {
    /// What is used up.
    package enum Reason: String, Sendable {
        /// There are as many connections as there may be.
        case connections
        /// … of this hub.
        case hubConnections = "hub_connections"
        /// … of this user.
        case userConnections = "user_connections"
        /// Clients arrive too fast.
        case connectRate = "connect_rate"
        /// REST requests come too fast.
        case requestRate = "request_rate"
        /// There are as many connections of app servers as there may be.
        case serverConnections = "server_connections"
    }

    package let reason: Reason
    /// In seconds.
    package let retryAfter: Int

    package init(_ reason: Reason, retryAfter: Int) {
        self.reason = reason
        self.retryAfter = retryAfter
    }

    /// What is told to whom was refused.
    package var text: String {
        switch reason {
        case .connections: "The service has as many connections as it may have."
        case .hubConnections: "The hub has as many connections as it may have."
        case .userConnections: "The user has as many connections as it may have."
        case .connectRate: "Too many clients connect at once."
        case .requestRate: "Too many requests were made with this key."
        case .serverConnections: "The service has as many connections of app servers as it may have."
        }
    }

    /// 429 with `Retry-After`.
    package var response: HubResponse {
        var response = HubResponse.text(.tooManyRequests, text).uncached()
        response.headers[.retryAfter] = "\(retryAfter)"
        // Browsers hide it from other origins otherwise.
        response.headers[.accessControlExposeHeaders] = "Retry-After"
        return response
    }
}

extension GateRefusal.Reason {
    /// Adds one to `signalr.server.refused`.
    package func count() {
        Counter(label: "signalr.server.refused", dimensions: [("signalr.refusal.reason", rawValue)]).increment()
    }
}

/// Watches how much a client sends. Used on its connection's event loop only.
package protocol InboundMeter: AnyObject {
    /// One whole message of so many bytes.
    /// - Returns: false when it is more than the client may send; the connection ends then.
    func admits(messageOf size: Int) -> Bool
    /// A piece of the client's bytes, which ends anywhere: all that comes behind its handshake, in order.
    func admits(_ piece: ByteBuffer, _ format: TransferFormat) -> Bool
}
