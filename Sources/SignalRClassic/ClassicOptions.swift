// SignalBox: every limit and timer of a classic endpoint, with the defaults of ASP.NET SignalR 2.x
// SPDX-License-Identifier: Apache-2.0

public import SignalR

/// How a classic client receives.
public typealias ClassicTransport = TransportName

extension TransportName {
    /// What it counts as among the transports of ASP.NET Core: a forever frame is an event stream in other clothes.
    var kind: TransportKind {
        switch self {
        case .webSockets: .webSockets
        case .serverSentEvents, .foreverFrame: .serverSentEvents
        case .longPolling: .longPolling
        }
    }
}

/// Limits, timers and policies of one classic endpoint (classic protocol reference, §19 and §20).
public struct ClassicOptions: Sendable {
    /// What protects connection tokens and groups tokens. Default: random keys, so that no client resumes after a restart.
    public var keys = ClassicKeys()
    /// The transports served; others are refused, and clients go on to their next one. Default: all four.
    public var transports = ClassicTransport.allCases

    /// How often the server shows that it is alive; at least 2 s and at most a third of `disconnectTimeout` are sensible. Default 10 s;
    /// nil switches it off, and then every transport ends after `connectionTimeout`.
    public var keepAlive: Duration? = .seconds(10)
    /// How long a client may be without a transport. Default 30 s.
    public var disconnectTimeout: Duration = .seconds(30)
    /// How long a poll waits. Default 110 s.
    public var connectionTimeout: Duration = .seconds(110)
    /// How long clients wait for the first frame of a transport before they try the next. Default 5 s.
    public var transportConnectTimeout: Duration = .seconds(5)
    /// How long clients wait between two polls. Default 0.
    public var longPollDelay: Duration = .zero

    /// Messages that are kept for clients that come back, for each topic (all, a group, a user, a connection); at least 32. Default 1,000.
    public var messageBufferSize = 1_000
    /// Bytes of all such messages of a hub on one event loop, the oldest go first. Default 8 MiB.
    public var messageBufferBytes = 8 << 20
    /// How long the messages of a topic are kept when nobody is subscribed any more. Default 100 s.
    public var topicLifetime: Duration = .seconds(100)
    /// The client method that tells a client on each of its hubs that messages were lost while it was away; nil for none.
    /// Default `messagesMissed`, without arguments.
    public var gapMethod: String? = "messagesMissed"

    /// Bytes of one message on a WebSocket; nil for no limit. Past it the socket is closed, and the client comes back. Default 65,536.
    public var maximumWebSocketMessageSize: Int? = 65_536
    /// Bytes of the body of one request; past it the answer is 413. Default 1 MiB.
    public var maximumBodySize = 1 << 20
    /// Calls of one client that run at the same time; past it a call fails. Default 100.
    public var maximumParallelCalls = 100
    /// Characters of the state that a client sends with a call; past it the call fails. Default 4,096.
    public var maximumStateSize = 4_096
    /// Hubs of one connection; past it the request fails, and what further requests list besides is left out. Default 50.
    public var maximumHubs = 50
    /// Groups that a groups token names; further ones are not joined again by a server that has forgotten the client. Default 200.
    public var maximumTokenGroups = 200
    /// Clients at a time, those without a transport included; past it requests are answered with 503. Default 100,000.
    public var maximumConnections = 100_000
    /// Bytes that may wait for a slow client before it is disconnected. Default 1 MiB.
    public var maximumOutboundQueue = 1 << 20
    /// How long sending may make no progress before a client is disconnected. Default 10 s.
    public var sendTimeout: Duration = .seconds(10)

    /// Answers permessage-deflate when a client offers it. Default off, as in the original.
    public var webSocketCompression = false
    /// Answers JSONP requests, which any page may send. Default off.
    public var enableJSONP = false
    /// Serves the generated scripts. Default on.
    public var enableJavaScriptProxies = true
    /// Which browser origins may connect; nil leaves CORS to the app's middleware.
    public var cors: CrossOrigin?
    /// Finds out who a request comes from; nil asks the first hub that has an authenticator.
    public var authenticator: (any HubAuthenticator)?

    public init() {}
}

extension Duration {
    var seconds: Double {
        let (seconds, attoseconds) = self.components
        return Double(seconds) + Double(attoseconds) / 1e18
    }
}
