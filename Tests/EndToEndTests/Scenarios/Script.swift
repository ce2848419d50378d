// SignalBox: what the scenarios say in prose, as code
// SPDX-License-Identifier: Apache-2.0

import SignalR
import SignalRWire
import Testing

/// The part of a scenario that its messages do not tell.
struct Script: Sendable {
    typealias Action = @Sendable (Stage) async throws -> Void

    /// Of the client's requests.
    var query = ""
    var change: @Sendable (inout HubOptions) -> Void = { _ in }
    /// What makes the server do what the step of this number expects.
    var before: [Int: Action] = [:]
    /// The steps that are sentences, by who is concerned and what it says.
    var prose: [String: Action] = [:]
    /// What to check in the end.
    var after: Action?

    private static let nothing: Action = { _ in }
    private static let ends: Action = { try await expect(nil, from: $0) }

    /// Every scenario that this server must play.
    static let all: [String: Script] = [
        "flow/void-method": Script(),
        "flow/send-has-no-reply": Script(),
        "flow/exception-default-text": Script(),
        "flow/exception-detailed-text": Script(),
        "flow/hubexception-always-detailed": Script(),
        "flow/stream-ok": Script(),
        "flow/stream-cancel": Script(),
        "flow/stream-invoked-wrongly": Script(),
        "flow/non-stream-streamed": Script(),
        "flow/upload": Script(),
        "flow/upload-error": Script(),
        "flow/upload-count-mismatch": Script(),
        "flow/duplicate-stream-id": Script(),
        "flow/message-too-big": Script(after: ends),
        "flow/client-result": Script(
            before: [0: ask],
            prose: ["server: InvokeAsync<int> returns 10": { try await expect(.result("q", 10), from: $0) }]),
        "flow/client-result-missing-handler": Script(
            before: [0: ask],
            prose: [
                "server: InvokeAsync throws HubException with that text": { stage in
                    try await expect(
                        .failure(
                            "q",
                            "An unexpected error occurred invoking 'Ask' on the server. "
                                + "HubException: Client didn't provide a result."), from: stage)
                }
            ]),
        "flow/onconnected-throws": Script(
            query: "crash=yes", prose: ["handshake: ok": nothing],
            after: { stage in
                try await expect(nil, from: stage)
                #expect(stage.server.bulletin.all.isEmpty)
            }),
        "flow/context-abort": Script(
            prose: ["server: Context.Abort()": { try await $0.client.send(.call("Abort")) }],
            after: ends),
        "flow/client-close": Script(
            prose: ["server: OnDisconnected(nil)": { try await $0.server.bulletin.wait(for: "disconnected in order") }]
        ),
        "stateful/ack-after-one-second": Script(prose: ["advance: 1s": nothing]),
        "stateful/reconnect-replays-unacked": Script(
            before: [2: { try await tick($0, 1) }],
            prose: [
                "server: sends Invocation Tick(2) while down": { try await tick($0, 2) },
                "client: delivers seq 2 only if it had not seen it before the drop, then seq 3": nothing,
            ]),
        "stateful/reconnect-nothing-buffered": Script(prose: [
            "server: has sent 5 trackable messages, all acked": { stage in
                for number in 1...5 {
                    try await tick(stage, number)
                    try await expect(.call("Tick", [.int(Int64(number))]), from: stage)
                }
                try await stage.client.send(.ack(5))
            }
        ]),
        "stateful/duplicate-dropped": Script(prose: [
            "server: runs Echo once": { try await $0.server.bulletin.wait(for: "echo") },
            "server: does not run Echo again; its Completion (seq 1) is replayed from its own buffer": { stage in
                try await expect(.sequence(1), from: stage)
                try await expect(.result("1", "x"), from: stage)
                try await stage.client.send(.call("AddTwo", [1, 2], id: "2"))
                try await expect(.result("2", 3), from: stage)
                #expect(stage.server.bulletin.count("echo") == 1)
            },
        ]),
        "stateful/sequence-too-high": Script(after: ends),
        "stateful/version-1-disables": Script(prose: [
            "negotiate: useStatefulReconnect=true granted": nothing,
            "server: disposes the connection at once; a new WebSocket with that id gets 404": { stage in
                try await stage.server.bulletin.wait(for: "disconnected transport_failed")
                try await until { try await stage.stateful?.statusOfReconnect() == 404 }
            },
        ]),
        "stateful/pings-not-counted": Script(
            change: { $0.keepAliveInterval = .seconds(1) },
            after: { stage in
                try await expect(.result("1", "x"), from: stage)
                let ack = try await stage.client.now.next()
                #expect(ack == .ack(1))
            }),
        "stateful/graceful-close-no-resume": Script(prose: [
            "server: closes with 1000 and forgets the id": { stage in
                try await expect(nil, from: stage)
                #expect(stage.stateful?.socket?.closeCode == 1000)
                try await until { try await stage.stateful?.statusOfReconnect() == 404 }
            }
        ]),
    ]

    private static func expect(_ message: HubMessage?, from stage: Stage) async throws {
        #expect(try await stage.client.next() == message)
    }

    private static let ask: Action = { try await $0.client.send(.call("Ask", [.null], id: "q")) }

    private static func tick(_ stage: Stage, _ number: Int) async throws {
        try await stage.server.hub.context.clients.all.send("Tick", number)
    }
}
