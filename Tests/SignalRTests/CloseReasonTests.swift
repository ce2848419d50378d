// SignalBox: what each cause of an end is called, and what clients are told
// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import SignalR

@Suite struct CloseReasonTests {
    private static let error = "Connection closed with an error."
    private static let comeBack = CloseReason.Message(error: nil, allowReconnect: true)
    private static let silent = CloseReason.Message(error: nil, allowReconnect: false)

    /// Core protocol reference, "Close message sent by the server".
    private static let table: [(reason: CloseReason, name: String, message: CloseReason.Message?, isGraceful: Bool)] = [
        (.clientClosed, "client_closed", silent, true),
        (.clientClosed(because: nil), "client_closed", silent, true),
        (.clientClosed(because: "crash"), "client_closed", silent, false),
        (.transportEnded, "transport_ended", comeBack, true),
        (.transportFailed("reset"), "transport_failed", comeBack, false),
        (.aborted, "aborted", silent, true),
        (.kicked("because"), "kicked", .init(error: "because", allowReconnect: false), false),
        (.shutdown, "app_shutdown", comeBack, true),
        (.authenticationExpired, "authentication_expired", comeBack, true),
        (.clientTimeout, "client_timeout", .init(error: error, allowReconnect: true), false),
        (.idle, "disconnect_timeout", comeBack, true),
        (.slowConsumerBytes, "slow_consumer_bytes", comeBack, false),
        (.slowConsumerTime, "slow_consumer_time", comeBack, false),
        (.handshakeFailed("x"), "handshake_failed", nil, false),
        (.streamClosed, "client_closed", nil, true),
        (.deleted, "client_closed", nil, true),
        (.protocolError("x", detailed: false), "protocol_error", .init(error: error, allowReconnect: true), false),
        (
            .protocolError("x", detailed: true), "protocol_error",
            .init(error: error + " InvalidDataException: x", allowReconnect: true), false
        ),
        (.writeFailed("x"), "write_failed", .init(error: error, allowReconnect: true), false),
        (
            .refused(HubError("no"), detailed: false), "refused",
            .init(error: error + " HubException: no", allowReconnect: false), false
        ),
    ]

    @Test func `The table`() {
        for (reason, name, message, isGraceful) in Self.table {
            #expect(reason.name == name)
            #expect(reason.message == message, "\(name)")
            #expect(reason.isGraceful == isGraceful, "\(name)")
        }
    }

    @Test func `Details are hidden unless the options say otherwise`() {
        #expect(CloseReason.clientTimeout.hidingError(unless: false).message?.error == Self.error)
        #expect(
            CloseReason.clientTimeout.hidingError(unless: true).message?.error == Self.error
                + " OperationCanceledException: Client hasn't sent a message/ping within the configured ClientTimeoutInterval."
        )
        #expect(CloseReason.aborted.hidingError(unless: true) == .aborted)
    }

    @Test func `Operators see the detail`() {
        #expect("\(CloseReason.transportFailed("reset"))" == "transport_failed: reset")
        #expect("\(CloseReason.aborted)" == "aborted")
    }
}
