// SignalBox: from a server to a connected client: negotiate, transport, handshake
// SPDX-License-Identifier: Apache-2.0

import Foundation
import NIOCore
import SignalR
import SignalRWire

/// What negotiate answered.
struct Negotiated: Sendable, Decodable {
    struct Transport: Sendable, Decodable, Equatable {
        var transport: String
        var transferFormats: [String]
    }
    var negotiateVersion: Int?
    var connectionId: String?
    var connectionToken: String?
    var useStatefulReconnect: Bool?
    var availableTransports: [Transport]?
    var error: String?

    /// What `id=` must say.
    var token: String { connectionToken ?? connectionId ?? "" }
}

extension TestServer {
    func negotiate(
        _ path: String = "/hub", query: String = "negotiateVersion=1", headers: [(String, String)] = []
    ) async throws -> Negotiated {
        let reply = try await request("POST", "\(path)/negotiate?\(query)", headers: headers, body: "")
        guard reply.status == 200, reply["content-type"] == "application/json" else {
            throw UnexpectedReply(reply: reply)
        }
        return try JSONDecoder().decode(Negotiated.self, from: Data(reply.body.readableBytesView))
    }

    /// The first transport of a fresh connection.
    func open(
        _ kind: TransportKind, _ path: String = "/hub", query: String = "", headers: [(String, String)] = []
    ) async throws -> any ClientTransport {
        let token = try await negotiate(path, query: "negotiateVersion=1&\(query)", headers: headers).token
        let target = "\(path)?id=\(token)&\(query)"
        return switch kind {
        case .webSockets: try await WebSocketClient(self, target, headers: headers)
        case .serverSentEvents: try await EventStreamClient(self, target, headers: headers)
        case .longPolling: try await LongPollingClient(self, target, headers: headers)
        }
    }

    /// A client past its handshake.
    func client(
        _ wire: Wire = .webSocketJSON, query: String = "", headers: [(String, String)] = []
    ) async throws -> HubClient {
        try await unlessExpired {
            let client = HubClient(try await open(wire.transport, query: query, headers: headers), wire.hubProtocol)
            let answer = try await client.handshake(wire.hubProtocol)
            guard answer == "{}" else { throw HandshakeRefused(answer: answer) }
            return client
        }
    }
}

struct HandshakeRefused: Error { let answer: String? }

/// Connects again when a busy machine was slower than a disconnect timeout of one second, which some tests wait for.
func unlessExpired<T>(_ connect: () async throws -> T) async throws -> T {
    for _ in 0..<10 {
        do {
            return try await connect()
        } catch let error as UnexpectedReply where error.reply.status == 404 {
            continue
        } catch let error as HandshakeRefused where error.answer == nil {
            continue
        }
    }
    throw TimedOut()
}
