// SignalBox: a hub whose clients come by the service
// SPDX-License-Identifier: Apache-2.0

public import Logging
import NIOConcurrencyHelpers
public import NIOCore
public import ServiceLifecycle
public import SignalR
import SignalRAccess
import SignalRWire
import Synchronization

/// Attaches a hub to Azure SignalR Service, or to SignalBox: clients negotiate with the app, are sent to the service, and come to the hub
/// by the app's connections to it. Hub code does not change.
///
/// ```swift
/// let chat = try router.signalR("/chat", hub: Chat(), service: "Endpoint=https://…;AccessKey=…;Version=1.0;")
/// app.addServices(chat)
/// ```
///
/// What differs for hub code (docs/ServiceLink.md): claims are text, `HubCallerContext.transport` always says WebSockets,
/// `HubPresence` knows the clients of this process only and no groups; ask ``exists(_:)`` and its like instead.
public final class ServiceLink: Service {
    /// The hub at work.
    public let hub: HubServer
    let options: ServiceLinkOptions
    let endpoint: ServiceEndpoint
    let backplane: LinkBackplane
    /// Of each client's connection.
    let limits: ConnectionLimits
    private let eventLoopGroup: any EventLoopGroup
    private let clients = Atomic(0)
    private let state = NIOLockedValueBox(State())

    private struct State {
        var hasRun = false
        var isStopping = false
        /// Wanted by the service, besides those that are always there.
        var demands: AsyncStream<String>.Continuation?
        var onDemand = 0
    }

    var pool: ConnectionPool { backplane.pool }
    var questions: ClientQuestions { backplane.questions }

    /// - Parameters:
    ///   - service: the connection string, `Endpoint=…;AccessKey=…;Version=1.0;`.
    /// - Throws: `HubDefinitionError` when two methods of the hub have the same name; `ConnectionStringError` that says what is wrong
    ///   with the connection string.
    public init<H: Hub>(
        _ hub: H, service: String, options: HubOptions = HubOptions(), link: ServiceLinkOptions = ServiceLinkOptions(),
        eventLoopGroup: any EventLoopGroup, logger: Logger = Logger(label: "SignalR")
    ) throws {
        self.options = link
        self.eventLoopGroup = eventLoopGroup
        self.endpoint = try ServiceEndpoint(
            service, hub: link.hubName ?? "\(H.self)", application: link.applicationName)
        let backplane = LinkBackplane(codecs: options.codecs, serverName: link.serverName, logger: logger)
        self.backplane = backplane
        self.hub = try HubServer(
            hub, options: options, eventLoopGroup: eventLoopGroup, logger: logger, makeBackplane: { _, _ in backplane })
        var remote = options
        // The service is the one to find clients slow; here all of them wait together.
        remote.sendTimeout = max(options.sendTimeout, .seconds(60))
        remote.transportMaximumBufferSize = max(options.transportMaximumBufferSize, link.maximumInboundQueue)
        self.limits = ConnectionLimits(remote)
    }

    /// The hub for code outside of its methods.
    public var context: HubContext { hub.context }
    /// Whether a server connection is there, so that clients can come.
    public var isConnected: Bool { !pool.isEmpty }

    // MARK: Life

    /// Connects, and connects again, until the app shuts down; then says goodbye as ``ServiceLinkOptions/shutdown-swift.property`` wants it.
    /// - Throws: ``ServiceLinkError`` when called a second time.
    public func run() async throws {
        let (demands, continuation) = AsyncStream.makeStream(of: String.self, bufferingPolicy: .unbounded)
        let isFirst = state.withLockedValue { state in
            guard !state.hasRun else { return false }
            state.hasRun = true
            // No more than `maximumConnectionCount` of them wait.
            state.demands = continuation
            return true
        }
        guard isFirst else { throw ServiceLinkError.alreadyRunning }
        await withDiscardingTaskGroup { tasks in
            for _ in 0..<max(1, options.connectionCount) { tasks.addTask { await self.stayConnected() } }
            tasks.addTask { await self.askForStatus() }
            tasks.addTask {
                await withDiscardingTaskGroup { extra in
                    for await target in demands { extra.addTask { await self.connectOnDemand(target) } }
                }
            }
            try? await gracefulShutdown()
            await stop()
            continuation.finish()
            tasks.cancelAll()
        }
    }

    var isStopping: Bool { state.withLockedValue { $0.isStopping } }

    /// One of the connections that are always there.
    private func stayConnected() async {
        var backoff = options.backoff
        while !isStopping, !Task.isCancelled {
            if await connect(.default, to: "") { backoff.succeeded() }
            guard !isStopping else { return }
            try? await Task.sleep(for: backoff.next())
        }
    }

    private func connectOnDemand(_ target: String) async {
        _ = await connect(.onDemand, to: target)
        state.withLockedValue { $0.onDemand -= 1 }
    }

    /// From any thread: the service asked for one more connection. It is not made again when it is lost.
    func connect(to target: String) {
        state.withLockedValue { state in
            guard options.connectionCount + state.onDemand < options.maximumConnectionCount, !state.isStopping else {
                return
            }
            state.onDemand += 1
            state.demands?.yield(target)
        }
    }

    /// Every ten seconds, as the SDK does for each hub.
    private func askForStatus() async {
        while !Task.isCancelled {
            if let connection = pool.all.randomElement() { await connection.send(.ping(["status", "1"])) }
            try? await Task.sleep(for: options.statusInterval)
        }
    }

    /// One server connection from its beginning to its end.
    /// - Returns: whether it came to shake hands.
    private func connect(_ kind: ServerConnection.Kind, to target: String) async -> Bool {
        let connection = ServerConnection(self, kind: kind, target: target, on: eventLoopGroup.next())
        do {
            let end = try await connection.live()
            if !end.wasRunning {
                connection.log("The service did not take the connection", level: .warning, detail: end.reason)
            }
            return end.wasRunning
        } catch {
            connection.log("The service cannot be reached", level: .warning, detail: "\(error)")
            return false
        }
    }

    // MARK: End

    private func stop() async {
        state.withLockedValue { $0.isStopping = true }
        if !Task.isCancelled {
            let deadline = ContinuousClock.now + options.shutdownTimeout
            await withDiscardingTaskGroup { tasks in
                for connection in pool.all { tasks.addTask { await connection.finish(until: deadline) } }
            }
            if options.shutdown != .closeClients {
                _ = await hub.registry.waitUntilEmpty(timeout: max(.zero, deadline - .now))
            }
        }
        let left = await hub.registry.drain(timeout: .seconds(10))
        if left > 0 { hub.logger.warning("Connections were still in use at shutdown", metadata: ["count": "\(left)"]) }
        hub.registry.stop()
        for connection in pool.all { connection.close() }
    }

    // MARK: Clients

    var clientCount: Int { clients.load(ordering: .relaxed) }

    /// - Returns: false when there are too many.
    func admitClient() -> Bool {
        guard clients.add(1, ordering: .relaxed).newValue <= options.maximumClients else {
            clients.subtract(1, ordering: .relaxed)
            return false
        }
        return true
    }

    func clientLeft() { clients.subtract(1, ordering: .relaxed) }

    /// An instance of the service died (service reference, "Ping payloads").
    func instanceLost(_ instance: String) {
        questions.instanceLost(instance)
        for connection in pool.all { connection.onLoop { connection.instanceLost(instance) } }
    }
}
