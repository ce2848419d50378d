// SignalBox: an app server for tests: one connection to the service, one message at a time
// SPDX-License-Identifier: Apache-2.0

import NIOConcurrencyHelpers
import NIOCore
import SignalR
import SignalRWire

@testable import SignalRService

/// The peer of the service protocol. One reader at a time.
final class AppServer: Sendable {
    let socket: WebSocketClient
    private let inbound = NIOLockedValueBox(ByteBuffer())

    /// Upgrades, and sends no handshake.
    init(_ world: ServiceWorld, hub: String = "chat", id: String, headers: [(String, String)] = []) async throws {
        let token = world.service.options.keys.token(
            [.init(key: "nameid", value: .string(id))], audience: "http://localhost/server/?hub=\(hub)",
            lifetime: .seconds(60))
        self.socket = try await WebSocketClient(
            world.server, "/server/?hub=\(hub)&cid=\(ConnectionID())",
            headers: [("Authorization", "Bearer \(token)"), ("X-ASRS-Server-Id", id)] + headers)
    }

    func send(_ messages: ServiceMessage...) async throws {
        var bytes = ByteBuffer()
        for message in messages { try ServiceCodec.write(message, into: &bytes) }
        try await socket.send(bytes, isText: false)
    }

    /// The next message that is no keep-alive; nil after the end.
    func next() async throws -> ServiceMessage? {
        let deadline = NIODeadline.now() + patience
        while let message = try await anyMessage() {
            if message != .ping([]) { return message }
            guard .now() < deadline else { throw TimedOut() }
        }
        return nil
    }

    func anyMessage() async throws -> ServiceMessage? {
        while true {
            if let message = try inbound.withLockedValue({ try ServiceCodec.read(from: &$0) }) { return message }
            guard let bytes = try await socket.receive() else { return nil }
            inbound.withLockedValue { _ = $0.writeImmutableBuffer(bytes) }
        }
    }

    // MARK: Steps that many tests need

    func shakeHands(_ request: ServiceMessage.HandshakeRequest = .init()) async throws {
        try await send(.handshakeRequest(request))
        let answer = try await next()
        guard case .handshakeResponse(error: "", connectionID: nil, []) = answer else {
            throw UnexpectedServiceMessage(message: answer)
        }
    }

    /// Takes a client over: its introduction and its handshake request.
    func meet() async throws -> ServiceMessage.OpenConnection {
        let introduction = try await next()
        guard case .openConnection(let open) = introduction else {
            throw UnexpectedServiceMessage(message: introduction)
        }
        let handshake = try await next()
        guard case .connectionData(open.id, let bytes, []) = handshake, bytes.readableBytesView.last == 0x1E else {
            throw UnexpectedServiceMessage(message: handshake)
        }
        return open
    }

    /// The same, and lets it in.
    @discardableResult
    func accept() async throws -> String {
        let id = try await meet().id
        try await write("{}\u{1E}", to: id)
        return id
    }

    func write(_ text: String, to id: String) async throws {
        try await send(.connectionData(id: id, ByteBuffer(string: text), []))
    }

    /// What the client sent, of which the service may have made any pieces.
    func text(of id: String, count: Int) async throws -> String {
        var text = ""
        while text.utf8.count < count {
            let message = try await next()
            guard case .connectionData(id, let bytes, []) = message else {
                throw UnexpectedServiceMessage(message: message)
            }
            text += String(buffer: bytes)
        }
        return text
    }

    /// Asks and takes the very next message for the answer.
    func status(_ message: ServiceMessage) async throws -> Int32 {
        try await send(message)
        let answer = try await next()
        guard case .ack(_, let status, "", nil, []) = answer else { throw UnexpectedServiceMessage(message: answer) }
        return status
    }
}

struct UnexpectedServiceMessage: Error { let message: ServiceMessage? }

/// A service on a free port, for the time of one test.
struct ServiceWorld: Sendable {
    let service: SignalBoxService
    let server: TestServer

    static let key = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789ABCDEFGH"

    /// An app server that has shaken hands.
    func appServer(
        _ id: String = "S1", hub: String = "chat", _ request: ServiceMessage.HandshakeRequest = .init()
    ) async throws -> AppServer {
        let server = try await AppServer(self, hub: hub, id: id)
        try await server.shakeHands(request)
        return server
    }

    func token(hub: String = "chat", user: String? = nil, claims: [String: HubValue] = [:]) -> String {
        service.options.keys.clientToken(
            hub: hub, user: user, claims: claims.map { .init(key: $0.key, value: $0.value) },
            endpoint: "http://localhost:1")
    }

    /// A client before its handshake.
    func open(
        _ wire: Wire = .webSocketJSON, user: String? = nil, claims: [String: HubValue] = [:], query: String = "",
        headers: [(String, String)] = []
    ) async throws -> HubClient {
        let authorization = ("Authorization", "Bearer \(token(user: user, claims: claims))")
        let transport = try await server.open(
            wire.transport, "/client", query: "hub=chat" + query, headers: headers + [authorization])
        return HubClient(transport, wire.hubProtocol)
    }

    /// A client that `app` has let in, and its id.
    func client(
        of app: AppServer, _ wire: Wire = .webSocketJSON, user: String? = nil, claims: [String: HubValue] = [:]
    ) async throws -> (client: HubClient, id: String) {
        let client = try await open(wire, user: user, claims: claims)
        async let answer = client.handshake(wire.hubProtocol)
        let id = try await app.accept()
        guard try await answer == "{}" else { throw HandshakeRefused(answer: try await answer) }
        return (client, id)
    }
}

extension ServiceWorld {
    /// The service's end of the hub that all are in.
    var hub: ServiceHub? { HubName("chat").flatMap { service.existingHub($0) } }

    /// The service's end of a client.
    func connection(_ id: String) -> Connection? { hub?.registry.connection(named: id) }
}

extension Connection {
    func read<T: Sendable>(_ value: @escaping @Sendable (Connection) -> T) async -> T {
        await withCheckedContinuation { done in onLoop { done.resume(returning: value(self)) } }
    }
}

/// Returns once `condition` holds, which something else is about to bring about.
func eventually(_ condition: () async throws -> Bool) async throws {
    let deadline = NIODeadline.now() + patience
    while try await !condition() {
        guard .now() < deadline else { throw TimedOut() }
        await Task.yield()
    }
}

/// Runs `body` against a service with these options.
func withService<R: Sendable>(
    _ change: (inout SignalBoxService.Options) -> Void = { _ in }, server: (inout TestApp) -> Void = { _ in },
    _ body: @Sendable (ServiceWorld) async throws -> R
) async throws -> R {
    var options = SignalBoxService.Options(keys: AccessKeys(ServiceWorld.key))
    options.connections.negotiateTimeout = .seconds(60)
    change(&options)
    let service = try SignalBoxService(options, eventLoopGroup: TestServer.loops)
    var app = TestApp()
    server(&app)
    app.routes = { $0.serve(service) }
    return try await app.run { server in
        let result = try await body(ServiceWorld(service: service, server: server))
        await service.drain(timeout: .seconds(1))
        return result
    }
}

extension ServiceMessage {
    /// A call for clients of both protocols.
    static func call(_ target: Multicast.Target, _ name: String, except: [String] = [], users: [String] = []) -> Self {
        .multicast(Multicast(to: target, payloads(name), excludedConnections: except, excludedUsers: users))
    }

    static func payloads(_ name: String, id: String? = nil) -> [Payload] {
        HubProtocol.allCases.map { hubProtocol in
            var bytes = ByteBuffer()
            do {
                try hubProtocol.codec.write(HubMessage.call(name, ["a", 1], id: id), into: &bytes)
            } catch {
                bytes.clear()
            }
            // Names are compared without regard to case.
            return Payload(hubProtocol.rawValue.uppercased(), bytes)
        }
    }

    static func member(_ id: String, _ group: String?, join: Bool = true, ack: Int32? = nil) -> Self {
        .membership(Membership(.connection(id), group: group, isJoin: join, ackID: ack))
    }

    static func user(
        _ id: String, _ group: String?, join: Bool = true, ack: Int32? = nil, lifetime: Int64? = nil
    ) -> Self {
        .membership(
            Membership(
                .user(id), group: group, isJoin: join, ackID: ack, extension: lifetime.map { .lifetime($0) } ?? []))
    }
}

extension HubMessage {
    /// What ``ServiceMessage/call(_:_:except:users:)`` becomes.
    static func received(_ name: String, id: String? = nil) -> HubMessage { .call(name, ["a", 1], id: id) }
}
