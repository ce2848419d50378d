// SignalBox: what one hub has otherwise than the rest, and what of a service's options may change while it runs
// SPDX-License-Identifier: Apache-2.0

public import SignalR

/// How one hub of a service differs from the others.
public struct HubException: Sendable {
    /// Who answers what its clients call; nil as for the others. Default nil.
    public var mode: ServiceMode?
    /// Limits and timers of its connections, all of them; nil for those of the others. Default nil.
    public var connections: HubOptions?

    public init(mode: ServiceMode? = nil, connections: HubOptions? = nil) {
        self.mode = mode
        self.connections = connections
    }
}

extension SignalBoxService.Options {
    /// Everything from `new` that can change under connections and hubs which are there.
    mutating func takeOver(_ new: Self) {
        keys = new.keys
        allowedOrigins = new.allowedOrigins
        allowedHubs = new.allowedHubs
        connections = new.connections
        clientResultTimeout = new.clientResultTimeout
        upstream = new.upstream
        limits = new.limits
        maximumHubs = new.maximumHubs
        let modes = hubs.compactMapValues(\.mode)
        hubs = new.hubs
        for name in Set(hubs.keys).union(modes.keys) { hubs[name, default: .init()].mode = modes[name] }
    }
}
