// SignalBox: every limit and timer of a hub endpoint, with the defaults of ASP.NET Core
// SPDX-License-Identifier: Apache-2.0

public import SignalRWire

/// How a client's bytes travel.
public enum TransportKind: String, Sendable, Hashable, CaseIterable {
    case webSockets = "WebSockets"
    case serverSentEvents = "ServerSentEvents"
    case longPolling = "LongPolling"

    /// The value of the metric attribute `signalr.transport`.
    package var metricName: String {
        switch self {
        case .webSockets: "web_sockets"
        case .serverSentEvents: "server_sent_events"
        case .longPolling: "long_polling"
        }
    }
}

/// Limits, timers and policies of one endpoint. Defaults and names follow ASP.NET Core (core protocol reference, "Limits and timers").
public struct HubOptions: Sendable {
    /// The transports offered, in the order clients try them. Default: all three.
    public var transports: [TransportKind] = TransportKind.allCases
    /// The hub protocols offered. Default: JSON and MessagePack.
    public var codecs: [any HubCodec] = [JSONHubCodec(), MessagePackHubCodec()]

    /// Bytes of one received hub message with its framing; nil for no limit. Default 32,768.
    public var maximumReceiveMessageSize: Int? = 32_768
    /// Items an upload stream may hold that the hub method has not read yet. Default 10; a full one stops reading from that client.
    public var streamBufferCapacity = 10
    /// Plain invocations of one client that run at the same time. Default 1.
    public var maximumParallelInvocations = 1
    /// Calls of one client that have not ended, those included that stream or wait for the client's own answer and that
    /// ``maximumParallelInvocations`` does not count. A further one is answered with an error. Default 1,000.
    public var maximumRunningCalls = 1_000
    /// Default 15 s.
    public var handshakeTimeout: Duration = .seconds(15)
    /// How often the server pings. Default 15 s. Not used on long polling.
    public var keepAliveInterval: Duration = .seconds(15)
    /// How long a client that once pinged may be silent. Default 30 s.
    public var clientTimeout: Duration = .seconds(30)
    /// Whether clients see the errors that hub methods throw. Default off; ``HubError`` always passes.
    public var detailedErrors = false

    /// Bytes read from a client and not yet taken by the hub before reading stops. Default 65,536.
    public var transportMaximumBufferSize = 65_536
    /// Bytes that may wait for a slow client. Past it the connection ends with ``CloseReason/slowConsumerBytes``. Default 1 MiB.
    public var maximumOutboundQueue = 1 << 20
    /// How long sending may make no progress before ``CloseReason/slowConsumerTime``. Default 10 s.
    public var sendTimeout: Duration = .seconds(10)
    /// How long a poll waits for data. Default 90 s.
    public var pollTimeout: Duration = .seconds(90)
    /// How long the WebSocket close handshake may take. Default 5 s.
    public var webSocketCloseTimeout: Duration = .seconds(5)
    /// How long a connection may be without a transport. Default 15 s.
    public var disconnectTimeout: Duration = .seconds(15)
    /// How long a negotiated connection waits for its transport; one that comes later is told 404. Default 15 s.
    public var negotiateTimeout: Duration = .seconds(15)
    /// Negotiated connections whose transport has not come yet; past it negotiate answers with an error. Default 100,000.
    public var maximumPendingConnections = 100_000
    /// The largest single WebSocket frame, whatever the hub messages in it. Default 16 MiB; larger ones close with 1009.
    public var maximumWebSocketFrameSize = 16 << 20
    /// Answers permessage-deflate when a client offers it. Default off, as in ASP.NET Core. A broadcast is compressed once for all receivers.
    public var webSocketCompression = false
    /// The lowest negotiate version accepted. Default 0.
    public var minimumNegotiateVersion = 0

    /// Lets clients resume a lost WebSocket without a new connection. Default off.
    public var allowStatefulReconnects = false
    /// Bytes kept for a stateful client until it acknowledges them. Default 100,000.
    public var statefulReconnectBufferSize = 100_000

    /// Finds out who a request comes from; nil leaves every connection anonymous.
    public var authenticator: (any HubAuthenticator)?
    /// Whether anonymous requests are refused with 401. Default off.
    public var requiresAuthentication = false
    /// Decides on every request of the endpoint, after authentication; refusing answers 403.
    public var authorize: (@Sendable (HubUser?, HubRequest) async throws -> Bool)?
    /// The policies that hub methods name, by name; each gets the caller and the call.
    public var policies: [String: @Sendable (HubInvocation) async throws -> Bool] = [:]
    /// Which user id a connection belongs to; default ``HubUser/id``.
    public var userID: @Sendable (HubUser?, HubRequest) -> String? = { user, _ in user?.id }
    /// Ends a connection when its token expires. Default off.
    public var closeOnAuthenticationExpiration = false
    /// Which browser origins may connect; nil leaves CORS to the app's middleware.
    public var cors: CrossOrigin?
    /// Around every call, connect and disconnect; the first is the outermost.
    public var filters: [any HubFilter] = []
    /// Who is told what happens to connections; nil, the default, for nobody.
    package var observer: (any ConnectionObserver)?

    public init() {}
}

/// Which browser origins may use an endpoint, with credentials.
public struct CrossOrigin: Sendable, Equatable {
    /// Exact origins such as `https://app.example`; `*` alone allows every origin (it is echoed, since browsers refuse `*` with credentials).
    public var allowedOrigins: [String]
    /// Request headers beyond those that SignalR clients send themselves.
    public var allowedHeaders: [String]

    public init(_ allowedOrigins: [String], allowedHeaders: [String] = []) {
        self.allowedOrigins = allowedOrigins
        self.allowedHeaders = allowedHeaders
    }

    package func allows(_ origin: String) -> Bool {
        allowedOrigins.contains("*") || allowedOrigins.contains { $0.lowercased() == origin.lowercased() }
    }
}
