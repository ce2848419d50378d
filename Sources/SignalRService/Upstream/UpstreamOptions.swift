// SignalBox: whom serverless mode calls, and how patiently
// SPDX-License-Identifier: Apache-2.0

/// Upstream of serverless mode: HTTP endpoints that hear of clients and answer their calls (service reference, "Serverless").
public struct UpstreamOptions: Sendable, Hashable {
    /// The first rule that matches an event is used. Without any rule, a client that calls is disconnected.
    public var rules: [UpstreamRule]
    /// How long one event may take with all its tries, waiting in the queue included. Default 100 s.
    public var timeout: Duration = .seconds(100)
    /// How long connecting may take before it counts as failed. Default 10 s.
    public var connectTimeout: Duration = .seconds(10)
    /// Requests that one rule may have under way. Default 64.
    public var maximumConcurrency = 64
    /// Events of one rule that may wait for their turn. Past it a call fails like one that was answered with 503, and news of clients
    /// are dropped; both are logged. Default 10,000.
    public var maximumQueue = 10_000
    /// Calls of one client that may wait behind the one that upstream works on; a client that has more is not read. Default 16.
    public var maximumCallsPerClient = 16
    /// Bytes of an answer. Larger ones fail the call, as do those that the client's own queue could not hold
    /// (`HubOptions.maximumOutboundQueue`). Default 16 MiB.
    public var maximumAnswer = 16 << 20
    /// How often an event is tried when nothing of it can have arrived: upstream did not accept the connection, or answered 429 or 503
    /// with a `Retry-After` of few seconds. Default 3.
    public var maximumTries = 3
    /// Whether a client is disconnected when upstream answers `connected` with 401 or 403. Default off: Azure only logs it.
    public var refusalsEndClients = false

    public init(rules: [UpstreamRule] = []) { self.rules = rules }
}
