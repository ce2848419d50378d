// SignalBox: how an app is attached to the service: numbers, names, times, with the defaults of the SDK
// SPDX-License-Identifier: Apache-2.0

public import NIOSSL

/// Options of a ``ServiceLink`` (service reference, "Server-connection life").
public struct ServiceLinkOptions: Sendable {
    /// Whether a client has to come back to the app server that negotiated with it.
    public enum Stickiness: String, Sendable {
        case off
        /// It comes back here if this server is there.
        case preferred = "Preferred"
        /// It is refused if this server is not there.
        case required = "Required"
    }

    /// What becomes of clients when the app stops (service reference, "Graceful shutdown").
    public enum Shutdown: Int32, Sendable {
        /// They are told to come back at once.
        case closeClients = 0
        /// The service moves them to other app servers; those left at the end of the time are told to come back.
        case migrateClients = 1
        /// They stay until they leave by themselves, or the time is over.
        case waitForClients = 2
    }

    /// Server connections that are always there, at least one. Default 5.
    public var connectionCount = 5
    /// How many there may be with those that the service asks for. Default 20.
    public var maximumConnectionCount = 20
    /// The hub's name in the service; nil for the name of its type. It is sent in lower case.
    public var hubName: String?
    /// Keeps apps apart that share a service: the hub is called `application_hub` then.
    public var applicationName: String?
    /// Tells this process from other app servers. Default: the machine's name and 32 random hexadecimal digits.
    public var serverName = ServerName.ofThisProcess
    /// How long a client may take from negotiating to connecting. Default one hour, as in the SDK.
    public var tokenLifetime: Duration = .seconds(3600)
    public var stickiness = Stickiness.off
    public var shutdown = Shutdown.closeClients
    /// How long ``shutdown-swift.property`` may take. Default 30 s.
    public var shutdownTimeout: Duration = .seconds(30)
    /// Clients of this process; the service is told to close more. Default 100,000.
    public var maximumClients = 100_000
    /// Bytes of a client that its hub has not taken. The service cannot be asked to hold one client up, so past it the client is closed.
    /// Default 1 MiB.
    public var maximumInboundQueue = 1 << 20
    /// Bytes that may wait for a service that does not read; past it the server connection ends. Default 64 MiB.
    public var maximumOutboundQueue = 64 << 20
    /// For `https` endpoints. Default: what the system trusts.
    public var tls = TLSConfiguration.makeClientConfiguration()

    // Times of the protocol, which tests shorten.

    /// From the start of a connection to the service's handshake response.
    var handshakeTimeout: Duration = .seconds(15)
    /// A service that says nothing for this long is gone.
    var silence: Duration = .seconds(30)
    /// Something is answered to whatever comes after saying nothing for this long.
    var pingInterval: Duration = .seconds(5)
    var statusInterval: Duration = .seconds(10)
    /// How long an acknowledgement may take.
    var ackTimeout: Duration = .seconds(10)
    /// `fin` is repeated after this.
    var finInterval: Duration = .seconds(5)
    var backoff = Backoff()

    public init() {}
}
