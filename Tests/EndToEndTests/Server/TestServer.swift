// SignalBox: a whole server on a free port, for the time of one test
// SPDX-License-Identifier: Apache-2.0

import Hummingbird
import HummingbirdCore
import HummingbirdTLS
import Logging
import NIOConcurrencyHelpers
import NIOCore
import NIOPosix
import NIOSSL
import ServiceLifecycle
import SignalR
import SignalRHummingbird

/// A running app with a ``TestHub`` at `/hub`.
final class TestServer: Sendable {
    /// Several, so that tests meet connections on different event loops; shared, so that many tests need few threads.
    static let loops = MultiThreadedEventLoopGroup(numberOfThreads: 3)

    let port: Int
    let hub: HubServer
    /// What the hub told, and what it waits for.
    let bulletin: Bulletin
    let tls: NIOSSLContext?
    private let receiveBuffer: Int?
    private let group: ServiceGroup
    private let sockets = NIOLockedValueBox<[Socket]>([])

    fileprivate init(
        port: Int, hub: HubServer, bulletin: Bulletin, tls: NIOSSLContext?, receiveBuffer: Int?,
        group: ServiceGroup
    ) {
        self.port = port
        self.hub = hub
        self.bulletin = bulletin
        self.tls = tls
        self.receiveBuffer = receiveBuffer
        self.group = group
    }

    /// A new TCP connection, which lives at most as long as the server.
    func connect() async throws -> Socket {
        let socket = try await Socket.connect(port: port, tls: tls, receiveBuffer: receiveBuffer)
        sockets.withLockedValue { $0.append(socket) }
        return socket
    }

    /// Begins the graceful shutdown, as SIGTERM would.
    func shutDown() async { await group.triggerGracefulShutdown() }

    /// One request on a connection of its own.
    @discardableResult
    func request(
        _ method: String, _ target: String, headers: [(String, String)] = [], body: String? = nil
    ) async throws -> Reply {
        let socket = try await connect()
        defer { socket.close() }
        return try await socket.request(method, target, headers: headers, body: body.map { ByteBuffer(string: $0) })
    }

    fileprivate func closeSockets() { for socket in sockets.withLockedValue({ $0 }) { socket.close() } }
}

/// What a test's server is made of.
struct TestApp {
    var options = HubOptions()
    var http = HTTPConnectionConfiguration()
    /// A server's certificate and key, and what its clients trust.
    var tls: (server: TLSConfiguration, client: TLSConfiguration)?
    var bulletin = Bulletin()
    /// Bytes of each connection's send buffer in the kernel; nil leaves it to the system.
    var sendBuffer: Int?
    /// The same of each client's receive buffer.
    var receiveBuffer: Int?
    /// Middleware, before any route.
    var middleware: @Sendable (Router<BasicRequestContext>) -> Void = { _ in }
    /// Routes beside the hub.
    var routes: @Sendable (Router<BasicRequestContext>) -> Void = { _ in }

    init(_ change: (inout HubOptions) -> Void = { _ in }) { change(&options) }

    /// Runs the app while `body` runs; returns when both are over.
    func run<R: Sendable>(_ body: @Sendable (TestServer) async throws -> R) async throws -> R {
        let router = Router()
        middleware(router)
        let hub = try router.signalR(
            "/hub", hub: TestHub(bulletin: bulletin), options: options, eventLoopGroup: TestServer.loops, logger: quiet)
        routes(router)
        var builder = HTTPServerBuilder.signalR(router, configuration: http)
        if let tls { builder = try .tls(builder, tlsConfiguration: tls.server) }
        let port = TestServer.loops.any().makePromise(of: Int.self)
        let app = Application(
            router: router, server: builder, configuration: .init(address: .hostname("127.0.0.1", port: 0)),
            onServerRunning: { [sendBuffer] channel in
                // Accepted sockets inherit it.
                if let sendBuffer {
                    try? await channel.setOption(.socketOption(.so_sndbuf), value: .init(clamping: sendBuffer)).get()
                }
                port.succeed(channel.localAddress?.port ?? 0)
            },
            eventLoopGroupProvider: .shared(TestServer.loops), logger: quiet)
        let group = ServiceGroup(configuration: .init(services: [app], logger: quiet))
        let (bulletin, clientContext) = (bulletin, try tls.map { try NIOSSLContext(configuration: $0.client) })
        return try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask {
                defer { port.fail(ChannelError.alreadyClosed) }
                try await group.run()
            }
            let server = TestServer(
                port: try await port.futureResult.get(), hub: hub, bulletin: bulletin, tls: clientContext,
                receiveBuffer: receiveBuffer, group: group)
            let result = await Result { try await body(server) }
            server.closeSockets()
            await server.shutDown()
            try await tasks.waitForAll()
            return try result.get()
        }
    }
}

/// Runs `body` against a server whose hub has these options.
func withServer<R: Sendable>(
    _ change: (inout HubOptions) -> Void = { _ in }, _ body: @Sendable (TestServer) async throws -> R
) async throws -> R {
    try await TestApp(change).run(body)
}

extension Result where Failure == any Error {
    fileprivate init(_ body: () async throws -> Success) async {
        do { self = .success(try await body()) } catch { self = .failure(error) }
    }
}

private let quiet = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
