// SignalBox: which app server a client has to be routed to, by its token
// SPDX-License-Identifier: Apache-2.0

import SignalR
import SignalRWire

/// Whether a client belongs to the server that made its token (service reference, "Claims the SDK adds to a client token").
enum Stickiness: Equatable {
    case none
    /// That server if it is there.
    case preferred(String)
    /// That server or none.
    case required(String)

    init(_ user: HubUser?) {
        guard let server = user?.claims["asrs.s.sn"]?.text else {
            self = .none
            return
        }
        switch user?.claims["asrs.s.ssticky"]?.text?.lowercased() {
        case "required": self = .required(server)
        case "preferred": self = .preferred(server)
        default: self = .none
        }
    }
}
