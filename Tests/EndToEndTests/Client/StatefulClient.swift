// SignalBox: a client that loses its socket and comes back to the same connection
// SPDX-License-Identifier: Apache-2.0

import NIOConcurrencyHelpers
import SignalR
import SignalRWire

/// Negotiates stateful reconnect; every new socket is a new ``HubClient``, so that nothing of the old one is left.
final class StatefulClient: Sendable {
    let server: TestServer
    let connectionID: String
    let token: String
    let hubProtocol: HubProtocol
    private let current: NIOLockedValueBox<HubClient>

    /// - Parameter version: of the handshake; nil leaves it to the test.
    init(_ server: TestServer, _ hubProtocol: HubProtocol = .json, version: Int? = 2, query: String = "") async throws {
        self.server = server
        self.hubProtocol = hubProtocol
        let (answer, socket) = try await unlessExpired {
            let answer = try await server.negotiate(query: "negotiateVersion=1&useStatefulReconnect=true&\(query)")
            guard answer.useStatefulReconnect == true else { throw NotGranted() }
            return (answer, try await WebSocketClient(server, "/hub?id=\(answer.token)&\(query)"))
        }
        self.token = answer.token
        self.connectionID = answer.connectionId ?? ""
        self.current = NIOLockedValueBox(HubClient(socket, hubProtocol))
        guard let version else { return }
        let response = try await now.handshake(hubProtocol, version: version)
        guard response == "{}" else { throw HandshakeRefused(answer: response) }
    }

    struct NotGranted: Error {}

    /// The client on the socket of the moment.
    var now: HubClient { current.withLockedValue { $0 } }
    var socket: WebSocketClient? { now.transport as? WebSocketClient }
    /// The server's side of it; nil when it is over.
    var connection: Connection? { server.hub.registry.connection(named: connectionID) }

    func send(_ message: HubMessage) async throws { try await now.send(message) }

    /// The next message that is neither a ping nor an acknowledgement, which come when they like.
    func next() async throws -> HubMessage? {
        while let message = try await now.next() {
            if case .ack = message { continue }
            return message
        }
        return nil
    }

    /// Loses the socket without a word; returns when the server knows.
    func drop() async throws {
        now.transport.drop()
        guard let connection else { return }
        try await until {
            let isGone = NIOLockedValueBox(false)
            await connection.run { isGone.withLockedValue { $0 = connection.transport == nil } }
            return isGone.withLockedValue { $0 }
        }
    }

    /// A new socket for the same connection; no negotiate, no handshake.
    func reconnect() async throws {
        let socket = try await WebSocketClient(server, "/hub?id=\(token)")
        current.withLockedValue { $0 = HubClient(socket, hubProtocol) }
    }

    /// What a WebSocket with this id is answered now.
    func statusOfReconnect() async throws -> Int {
        do {
            try await reconnect()
            return 101
        } catch let error as UnexpectedReply {
            return error.reply.status
        }
    }
}
