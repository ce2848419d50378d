// SignalBox: the two generations of SignalR, whose app servers serve only their own clients
// SPDX-License-Identifier: Apache-2.0

/// What an app server is written with.
enum Generation: Sendable {
    /// ASP.NET Core SignalR, attached at `/server`.
    case core
    /// ASP.NET SignalR 2.x, attached at `/aspnetserver`.
    case classic

    init(serverPath path: String) {
        self = path.lowercased().hasPrefix("/aspnetserver") ? .classic : .core
    }
}
