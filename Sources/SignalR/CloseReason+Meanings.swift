// SignalBox: close reasons in words, for operators
// SPDX-License-Identifier: Apache-2.0

extension CloseReason {
    /// What each ``name`` says about a connection, and what to do about it.
    package static let meanings = [
        "client_closed": "The client ended the connection in order.",
        "transport_ended": "The client's transport ended in order, but without a Close message.",
        "transport_failed": "The connection was lost: the client went away, or the network broke.",
        "aborted": "Server code ended the connection.",
        "kicked": "An operator, a REST caller or server code disconnected the client and said why.",
        "app_shutdown": "The server stopped or drained; clients may come back.",
        "authentication_expired": "The client's token expired.",
        "client_timeout": "The client said nothing for longer than the client timeout.",
        "disconnect_timeout":
            "The client had no transport for longer than the disconnect timeout: it stopped polling, or did not come back.",
        "slow_consumer_bytes": "The client read slower than it was sent to, and its queue was full.",
        "slow_consumer_time": "The client read nothing for longer than the send timeout.",
        "handshake_failed":
            "There was no valid hub handshake: a wrong protocol, none in time, or no app server to give the client to.",
        "websocket_protocol_error": "The client sent what are no WebSocket frames, or one that was too large.",
        "app_server_lost": "The app server that the client belonged to is gone; clients may come back.",
        "app_server_closed": "The app server ended the connection.",
        "app_server_silent": "An app server said nothing for too long.",
        "protocol_error": "The client sent what is no message of the hub protocol.",
        "write_failed": "A message for the client could not be written in its protocol.",
        "rate_limited": "The client sent more, or more often, than it may.",
        "inbound_queue_full": "The client sent more than its hub had room for, and could not be held up.",
        "moved": "The service moved the client to another app server.",
        "service_closed": "The service that the client came by ended it.",
        "service_lost": "The way to the service that the client came by was lost.",
        "refused": "onConnected refused the client: it threw, or upstream did not let the client in.",
    ]
}
