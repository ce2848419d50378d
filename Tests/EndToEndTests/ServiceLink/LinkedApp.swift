// SignalBox: an app whose hub is at the service of the test, for the time of one test
// SPDX-License-Identifier: Apache-2.0

import Foundation
import HTTPTypes
import Hummingbird
import Logging
import NIOCore
import NIOSSL
import ServiceLifecycle
import SignalR
import SignalRHummingbird
import SignalRService
import SignalRWire

@testable import SignalRServiceLink

/// A running app with a ``TestHub`` at `/desk`, which the service knows as `chat`.
struct LinkedApp: Sendable {
    let world: ServiceWorld
    let port: Int
    let link: ServiceLink
    let bulletin: Bulletin
    fileprivate let group: ServiceGroup

    /// Begins the graceful shutdown, as SIGTERM would.
    func shutDown() async { await group.triggerGracefulShutdown() }

    /// What the app answers to a client that negotiates.
    func negotiate(query: String = "", headers: [(String, String)] = []) async throws -> Reply {
        let socket = try await Socket.connect(port: port)
        defer { socket.close() }
        return try await socket.request("POST", "/desk/negotiate?\(query)", headers: headers, body: ByteBuffer())
    }

    private struct Redirect: Decodable {
        let url: String
        let accessToken: String
        let availableTransports: [String]
    }

    /// A client that was sent on to the service, and has shaken hands there.
    func client(
        _ wire: Wire = .webSocketJSON, query: String = "", headers: [(String, String)] = []
    ) async throws -> HubClient {
        let reply = try await negotiate(query: query, headers: headers)
        guard reply.status == 200 else { throw UnexpectedReply(reply: reply) }
        let redirect = try JSONDecoder().decode(Redirect.self, from: Data(reply.body.readableBytesView))
        guard let parts = URLComponents(string: redirect.url), parts.port == world.server.port else {
            throw UnexpectedReply(reply: reply)
        }
        return try await unlessExpired {
            let transport = try await world.server.open(
                wire.transport, "/client", query: parts.percentEncodedQuery ?? "",
                headers: headers + [("Authorization", "Bearer \(redirect.accessToken)")])
            let client = HubClient(transport, wire.hubProtocol)
            let answer = try await client.handshake(wire.hubProtocol)
            guard answer == "{}" else { throw HandshakeRefused(answer: answer) }
            return client
        }
    }
}

/// Whoever the header `From` says; `root` is an administrator.
private struct HeaderUser: HubAuthenticator {
    func authenticate(_ request: HubRequest) async throws -> HubUser? {
        guard let name = request.headers[values: .from].first else { return nil }
        return HubUser(id: name, claims: ["sub": .string(name), "role": .string(name == "root" ? "admin" : "guest")])
    }
}

extension ServiceWorld {
    /// Runs an app at this service while `body` runs; returns when both are over.
    func withApp<R: Sendable>(
        _ change: @Sendable (inout ServiceLinkOptions, inout HubOptions) -> Void = { _, _ in }, scheme: String = "http",
        _ body: @Sendable (LinkedApp) async throws -> R
    ) async throws -> R {
        var (linking, options) = (ServiceLinkOptions(), HubOptions())
        linking.hubName = "Chat"
        linking.serverName = "app_\(UUID())"
        linking.backoff = Backoff(first: .milliseconds(10), jitter: .milliseconds(10))
        options.authenticator = HeaderUser()
        options.policies["admin"] = { call in call.context.user?.roles.contains("admin") ?? false }
        change(&linking, &options)
        let (router, bulletin) = (Router(), Bulletin())
        let link = try router.signalR(
            "/desk", hub: TestHub(bulletin: bulletin),
            service: "Endpoint=\(scheme)://127.0.0.1;Port=\(server.port);AccessKey=\(Self.key);Version=1.0;",
            options: options, link: linking, eventLoopGroup: TestServer.loops, logger: quiet)
        let port = TestServer.loops.any().makePromise(of: Int.self)
        let app = Application(
            router: router, server: .signalR(router), configuration: .init(address: .hostname("127.0.0.1", port: 0)),
            onServerRunning: { port.succeed($0.localAddress?.port ?? 0) },
            eventLoopGroupProvider: .shared(TestServer.loops),
            logger: quiet)
        let group = ServiceGroup(configuration: .init(services: [app, link], logger: quiet))
        let count = linking.connectionCount
        return try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask {
                defer { port.fail(ChannelError.alreadyClosed) }
                try await group.run()
            }
            let app = LinkedApp(
                world: self, port: try await port.futureResult.get(), link: link, bulletin: bulletin, group: group)
            try await eventually { link.pool.all.count == count }
            let result: Result<R, any Error>
            do {
                result = .success(try await body(app))
            } catch {
                result = .failure(error)
            }
            await app.shutDown()
            try await tasks.waitForAll()
            return try result.get()
        }
    }
}

private let quiet = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
