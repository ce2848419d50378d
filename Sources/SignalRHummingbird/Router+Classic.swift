// SignalBox: router.classicSignalR("/signalr", hubs:) and router.persistentConnection("/echo", …)
// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
public import Hummingbird
public import Logging
public import NIOCore
public import NIOPosix
import ServiceLifecycle
public import SignalR
public import SignalRClassic

extension RouterMethods {
    /// Serves hubs to clients of ASP.NET SignalR 2.x at `path`, with the generated scripts below it.
    ///
    /// ```swift
    /// let chat = try router.signalR("/chat", hub: Chat())
    /// try router.classicSignalR("/signalr", hubs: [ClassicHub(chat)])
    /// ```
    /// Clients of both generations are in the same groups and hear the same broadcasts. The app must be started with
    /// `server: .signalR(router)`; on any other server clients get long polling only. Paths are compared as the router does; what is
    /// below the mount point is compared without regard to case.
    /// - Throws: `HubDefinitionError` for hubs whose names cannot be told apart or have a dot.
    @discardableResult
    public func classicSignalR(
        _ path: RouterPath = "/signalr", hubs: [ClassicHub], options: ClassicOptions = ClassicOptions(),
        eventLoopGroup: any EventLoopGroup = MultiThreadedEventLoopGroup.singleton,
        logger: Logger = Logger(label: "SignalR")
    ) throws(HubDefinitionError) -> ClassicServer {
        let server = try ClassicServer(hubs: hubs, options: options, eventLoopGroup: eventLoopGroup, logger: logger)
        self.serve(server.endpoint, at: path)
        return server
    }

    /// The same with hubs under the names of their types.
    @discardableResult
    public func classicSignalR(
        _ path: RouterPath = "/signalr", hubs: [HubServer], options: ClassicOptions = ClassicOptions(),
        eventLoopGroup: any EventLoopGroup = MultiThreadedEventLoopGroup.singleton,
        logger: Logger = Logger(label: "SignalR")
    ) throws(HubDefinitionError) -> ClassicServer {
        try self.classicSignalR(
            path, hubs: hubs.map { ClassicHub($0) }, options: options, eventLoopGroup: eventLoopGroup, logger: logger)
    }

    /// Serves clients of ASP.NET SignalR 2.x at `path` without hubs: messages in the application's own format.
    /// - Parameter hubOptions: who may enter and who they are.
    @discardableResult
    public func persistentConnection<C: PersistentConnection>(
        _ path: RouterPath, _ connection: C, options: ClassicOptions = ClassicOptions(),
        hubOptions: HubOptions = HubOptions(),
        eventLoopGroup: any EventLoopGroup = MultiThreadedEventLoopGroup.singleton,
        logger: Logger = Logger(label: "SignalR")
    ) throws(HubDefinitionError) -> ClassicServer {
        let server = try ClassicServer(
            connection, options: options, hubOptions: hubOptions, eventLoopGroup: eventLoopGroup, logger: logger)
        self.serve(server.endpoint, at: path)
        return server
    }

    /// Routes everything at and below `path` to the endpoint, which looks at the end of the path.
    /// - Parameter endpoint: asked with every request, since it may be replaced.
    package func serve(_ endpoint: @autoclosure @escaping @Sendable () -> ClassicEndpoint, at path: RouterPath) {
        for method in [HTTPRequest.Method.get, .post, .options, .put, .delete, .head] {
            on(path, method: method) { request, _ in await endpoint().respond(to: request) }
            on(path.appendingPath("**"), method: method) { request, _ in await endpoint().respond(to: request) }
        }
    }
}

extension ClassicEndpoint {
    /// Answers a request; a channel to take over is left with the ``SignalRChannel`` that serves it.
    package func respond(to request: Request) async -> Response {
        let host = HandOff.current
        let response = await respond(to: HubRequest(request, from: host?.channel), host: host?.hostChannel)
        if let takeOver = response.takeOver { host?.accept(takeOver, status: response.status) }
        return Response(response)
    }
}
