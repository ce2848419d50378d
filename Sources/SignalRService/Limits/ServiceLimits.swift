// SignalBox: how much of the service its clients and callers may use
// SPDX-License-Identifier: Apache-2.0

/// The limits of a service. `nil` is no limit, which is the default of all but ``connects`` and ``serverConnections``.
///
/// What is over a limit is refused with 429 and `Retry-After` where there is a request to answer; a client that sends too much is told
/// so in its Close message and may come back (`CloseReason.rateLimited`).
public struct ServiceLimits: Sendable, Equatable {
    /// So many a second; more for as long as what was not used before lasts.
    public struct Rate: Sendable, Equatable {
        /// More than 0.
        public var perSecond: Int
        /// What may be used at once, 1 or more.
        public var burst: Int

        /// - Parameter burst: nil for the amount of two seconds.
        public init(_ perSecond: Int, burst: Int? = nil) {
            self.perSecond = perSecond
            self.burst = burst ?? (perSecond > Int.max / 2 ? Int.max : perSecond * 2)
        }
    }

    /// Clients of all hubs. App servers do not count.
    public var connections: Int?
    /// Clients of each hub.
    public var connectionsPerHub: Int?
    /// ``connectionsPerHub`` of particular hubs, by their names in lower case (`app_chat` where there is an application).
    public var connectionsOfHub: [String: Int] = [:]
    /// Connections of each user in a hub. Who is anonymous does not count.
    public var connectionsPerUser: Int?
    /// ``connectionsPerUser`` of particular users, by their ids.
    public var connectionsOfUser: [String: Int] = [:]
    /// Connections of app servers to all hubs; an app server has five to each of its hubs. Default 10,000.
    public var serverConnections: Int? = 10_000

    /// Clients that connect: negotiate requests, and WebSockets without one. Default 5,000 a second, and 20,000 at once.
    public var connects: Rate? = Rate(5_000, burst: 20_000)

    /// Hub messages of every kind that a connection sends.
    public var messagesPerConnection: Rate?
    /// Bytes of them. The burst is also the largest message that passes.
    public var bytesPerConnection: Rate?
    /// Hub messages that a user sends over all connections to a hub.
    public var messagesPerUser: Rate?
    /// Bytes of them.
    public var bytesPerUser: Rate?

    /// REST requests with each access key.
    public var requestsPerKey: Rate?

    public init() {}

    func connections(ofHub name: String) -> Int? { connectionsOfHub[name] ?? connectionsPerHub }
    func connections(ofUser id: String) -> Int? { connectionsOfUser[id] ?? connectionsPerUser }
    var limitsUsersInput: Bool { messagesPerUser != nil || bytesPerUser != nil }
}
