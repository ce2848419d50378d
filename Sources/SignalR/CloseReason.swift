// SignalBox: why a connection ended: one table for logs, metrics and the Close message
// SPDX-License-Identifier: Apache-2.0

import _SignalRWebSocket

/// Why the server or the client ended a connection. Operators see ``name`` in logs and metrics;
/// clients see the Close message that the core protocol prescribes for the cause ("Close message sent by the server").
public struct CloseReason: Error, Sendable, Equatable, CustomStringConvertible {
    /// The stable name, in snake case.
    public let name: String
    /// What is known beyond the name.
    public let detail: String?
    /// What the client is told; nil when it gets no Close message.
    package let message: Message?
    /// A graceful end gives `onDisconnected` no error.
    package let isGraceful: Bool
    /// How a WebSocket is closed: 1000, since the reason is in the Close message, but for broken frames.
    var webSocketCode = WebSocketCloseCode.normal

    package struct Message: Sendable, Equatable {
        package var error: String?
        package var allowReconnect: Bool
    }

    /// Server code ended the connection, and the client is not to come back.
    package var endsForGood: Bool { [Self.aborted.name, "kicked"].contains(name) && message?.allowReconnect == false }

    public var description: String { detail.map { "\(name): \($0)" } ?? name }

    private init(_ name: String, _ detail: String? = nil, graceful: Bool = false, _ message: Message? = nil) {
        self.name = name
        self.detail = detail
        self.isGraceful = graceful
        self.message = message
    }

    private static let silent = Message(error: nil, allowReconnect: false)
    private static let comeBack = Message(error: nil, allowReconnect: true)

    /// The client sent a Close message or ended its transport in order.
    public static let clientClosed = CloseReason("client_closed", graceful: true, silent)
    /// The same with what the client's Close message says went wrong, if it says so.
    static func clientClosed(because error: String?) -> CloseReason {
        error.map { CloseReason("client_closed", $0, silent) } ?? clientClosed
    }
    /// The transport's input ended without a Close message.
    public static let transportEnded = CloseReason("transport_ended", graceful: true, comeBack)
    /// TCP was lost.
    public static func transportFailed(_ detail: String) -> CloseReason {
        CloseReason("transport_failed", detail, comeBack)
    }
    /// `abort()` in server code.
    public static let aborted = CloseReason("aborted", graceful: true, silent)
    /// Server code ended this connection, user or group and said why; `detail` is what the client is told.
    public static func kicked(_ detail: String?, allowReconnect: Bool = false) -> CloseReason {
        CloseReason("kicked", detail, Message(error: detail, allowReconnect: allowReconnect))
    }
    /// The server stops; clients may come back.
    public static let shutdown = CloseReason("app_shutdown", graceful: true, comeBack)
    /// The token expired and ``HubOptions/closeOnAuthenticationExpiration`` is on.
    public static let authenticationExpired = CloseReason("authentication_expired", graceful: true, comeBack)
    /// Silent for longer than ``HubOptions/clientTimeout``.
    public static let clientTimeout = CloseReason(
        "client_timeout", ErrorText.clientTimeout, Message(error: ErrorText.close, allowReconnect: true))
    /// No transport within the disconnect timeout (long polling stopped polling, a stateful client did not come back).
    public static let idle = CloseReason("disconnect_timeout", graceful: true, comeBack)
    /// The client reads slower than it is sent to, and its queue is full.
    public static let slowConsumerBytes = CloseReason("slow_consumer_bytes", "outbound queue full", comeBack)
    /// The client has not read anything for ``HubOptions/sendTimeout``.
    public static let slowConsumerTime = CloseReason("slow_consumer_time", "no progress in sending", comeBack)
    /// The client sent more, or more often, than it may.
    public static let rateLimited = CloseReason(
        "rate_limited", ErrorText.rateLimit, Message(error: ErrorText.rateLimit, allowReconnect: true))
    /// No valid handshake in time or in size; the client got a handshake response with the error.
    public static func handshakeFailed(_ detail: String) -> CloseReason { CloseReason("handshake_failed", detail) }
    /// Bytes that are not WebSocket frames.
    static func webSocket(_ code: WebSocketCloseCode, _ detail: String) -> CloseReason {
        var reason = CloseReason("websocket_protocol_error", detail)
        reason.webSocketCode = code
        return reason
    }
    /// The client closed the response of its Server-Sent Events.
    static let streamClosed = CloseReason("client_closed", "event stream closed", graceful: true)
    /// The client deleted its long-polling connection.
    static let deleted = CloseReason("client_closed", "connection deleted", graceful: true)
    /// The app server that a client of the service was routed to is gone.
    package static let serverLost = CloseReason(
        "app_server_lost", nil, Message(error: ErrorText.close, allowReconnect: true))
    /// The app server ended the connection, and said goodbye itself if it wanted to.
    package static func serverClosed(_ detail: String?) -> CloseReason {
        CloseReason("app_server_closed", detail, graceful: detail == nil)
    }
    /// An app server's connection to the service that says nothing, though it was asked.
    package static let serverSilent = CloseReason("app_server_silent")
    /// The service moved the client to another app server, which goes on with it.
    package static let moved = CloseReason("moved", graceful: true)
    /// The service that a client came by ended it; `detail` is what it said.
    package static func serviceClosed(_ detail: String?) -> CloseReason {
        CloseReason("service_closed", detail, graceful: detail == nil)
    }
    /// The way to the service that a client came by is lost, and the client with it.
    package static func serviceLost(_ detail: String) -> CloseReason { CloseReason("service_lost", detail) }
    /// The client sent more than its hub takes, and came by a service that cannot hold it up.
    package static let inboundQueueFull = CloseReason("inbound_queue_full", "inbound queue full", comeBack)
    /// Bytes that are not the hub protocol.
    package static func protocolError(_ text: String, detailed: Bool) -> CloseReason {
        CloseReason(
            "protocol_error", text,
            Message(
                error: detailed ? "\(ErrorText.close) InvalidDataException: \(text)" : ErrorText.close,
                allowReconnect: true))
    }
    /// A result or item that cannot be written.
    package static func writeFailed(_ text: String) -> CloseReason {
        CloseReason("write_failed", text, Message(error: ErrorText.close, allowReconnect: true))
    }
    /// `onConnected` threw.
    package static func refused(_ error: any Error, detailed: Bool) -> CloseReason {
        CloseReason(
            "refused", "\(error)",
            Message(
                error: ErrorText.close + ErrorText.detail(of: error, detailed: detailed), allowReconnect: false))
    }

    package func hidingError(unless detailed: Bool) -> CloseReason {
        guard detailed, let detail, message?.error == ErrorText.close else { return self }
        return CloseReason(
            name, detail, graceful: isGraceful,
            Message(error: "\(ErrorText.close) \(detail)", allowReconnect: message?.allowReconnect ?? false))
    }
}
