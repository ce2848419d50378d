// SignalBox: router.signalR("/chat", hub:) and router.connection("/echo") { … }
// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
public import Hummingbird
public import Logging
public import NIOCore
public import NIOPosix
public import SignalR

extension RouterMethods {
    /// Serves a hub at `path`: negotiate, WebSockets, Server-Sent Events and long polling, behind this router's middleware.
    ///
    /// The app must be started with `server: .signalR(router)`; on any other server clients are offered long polling only.
    /// Paths are compared as the router does: ASP.NET Core ignores case, which here takes `Router(options: .caseInsensitive)`.
    /// - Returns: the hub at work; its `HubServer.context` sends from outside of the hub. Add it to the app's services to let
    ///   `onDisconnected` finish at shutdown.
    /// - Throws: `HubDefinitionError` when two methods of the hub have the same name.
    @discardableResult
    public func signalR<H: Hub>(
        _ path: RouterPath, hub: H, options: HubOptions = HubOptions(),
        eventLoopGroup: any EventLoopGroup = MultiThreadedEventLoopGroup.singleton,
        logger: Logger = Logger(label: "SignalR")
    ) throws(HubDefinitionError) -> HubServer {
        let server = try HubServer(hub, options: options, eventLoopGroup: eventLoopGroup, logger: logger)
        serve(HubEndpoint(server), at: path)
        return server
    }

    /// Serves raw connections at `path`: whole messages in the app's own format, on the same transports.
    /// `handler` runs once per connection, for as long as it lasts.
    @discardableResult
    public func connection(
        _ path: RouterPath, options: HubOptions = HubOptions(),
        eventLoopGroup: any EventLoopGroup = MultiThreadedEventLoopGroup.singleton,
        logger: Logger = Logger(label: "SignalR"),
        handler: @escaping @Sendable (RawConnection) async throws -> Void
    ) -> RawServer {
        let server = RawServer(options: options, eventLoopGroup: eventLoopGroup, logger: logger, handler: handler)
        serve(server.endpoint(), at: path)
        return server
    }

    /// Routes every method of `path` and `path/negotiate` to the endpoint, which answers 405 where that is due.
    package func serve(_ endpoint: HubEndpoint, at path: RouterPath) {
        let methods: [HTTPRequest.Method] = [.get, .post, .delete, .options, .put, .patch, .head]
        for method in methods {
            on(path, method: method) { request, _ in await endpoint.respond(to: request, isNegotiate: false) }
            on(path.appendingPath("negotiate"), method: method) { request, _ in
                await endpoint.respond(to: request, isNegotiate: true)
            }
        }
    }
}

extension HubEndpoint {
    /// Answers a request; a channel to take over is left with the ``SignalRChannel`` that serves it.
    package func respond(to request: Request, isNegotiate: Bool) async -> Response {
        let host = HandOff.current
        let response = await respond(
            to: HubRequest(request, from: host?.channel), isNegotiate: isNegotiate, host: host?.hostChannel)
        if let takeOver = response.takeOver { host?.accept(takeOver, status: response.status) }
        return Response(response)
    }
}

extension HubRequest {
    package init(_ request: Request, from channel: (any Channel)?) {
        var headers = request.headers
        // Kept apart from the others, but server code looks for it among them.
        if let authority = request.head.authority, let host = HTTPField.Name("Host") { headers[host] = authority }
        self.init(
            method: request.method, path: request.uri.path, rawQuery: request.uri.query ?? "", headers: headers,
            remoteAddress: channel?.remoteAddress, body: { try await request.body.collect(upTo: $0) })
    }
}

extension Response {
    package init(_ response: HubResponse) {
        guard let stream = response.stream else {
            self.init(status: response.status, headers: response.headers, body: .init(byteBuffer: response.body))
            return
        }
        self.init(
            status: response.status, headers: response.headers,
            body: ResponseBody { writer in
                try await stream { try await writer.write($0) }
                try await writer.finish(nil)
            })
    }
}

extension RouterPath {
    func appendingPath(_ component: String) -> RouterPath {
        RouterPath(description.hasSuffix("/") ? "\(description)\(component)" : "\(description)/\(component)")
    }
}
