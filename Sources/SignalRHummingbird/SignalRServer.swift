// SignalBox: server: .signalR(router): HTTP/1.1 for a Hummingbird app whose routes may take channels over
// SPDX-License-Identifier: Apache-2.0

public import Hummingbird
public import HummingbirdCore
import Logging
import NIOCore
import NIOHTTP1
import SignalR

/// Limits of the HTTP side of ``HummingbirdCore/HTTPServerBuilder/signalR(_:configuration:)``.
public struct HTTPConnectionConfiguration: Sendable {
    /// How long a request's head may take to arrive after the connection was opened, and a body to make progress. Default 30 s.
    public var requestTimeout: Duration = .seconds(30)
    /// How long a connection may stay open between two requests. Default 75 s.
    public var idleTimeout: Duration = .seconds(75)
    /// Bytes of all header fields of a request, and of its target. Default 32 KiB; past it the answer is 431, for the target 414.
    public var maximumHeaderSize = 32 << 10
    /// Whether requests come by https, as handlers are to see it. Default off; set it where the server is wrapped in TLS.
    public var isSecure = false

    public init() {}
}

extension HTTPServerBuilder {
    /// Serves the router's routes over HTTP/1.1, with WebSockets and Server-Sent Events for its hubs.
    ///
    /// ```swift
    /// let app = Application(router: router, server: .signalR(router))
    /// ```
    /// Call it after the routes were added, as with the router of the app itself.
    /// Wrap it in `.tls(.signalR(router), tlsConfiguration: …)` for TLS.
    public static func signalR<Builder: HTTPResponderBuilder>(
        _ router: Builder, configuration: HTTPConnectionConfiguration = .init()
    ) -> HTTPServerBuilder where Builder.Responder.Context: InitializableFromSource<ApplicationRequestContextSource> {
        let responder = router.buildResponder()
        return HTTPServerBuilder { _ in SignalRChannel(responder: responder, configuration: configuration) }
    }
}

/// A child channel that answers requests with the router's responder directly, so that a response can hand its channel over.
/// After that no HTTP handler stays in the pipeline, and no task belongs to the connection.
struct SignalRChannel<Responder: HTTPResponder>: ServerChildChannel
where Responder.Context: InitializableFromSource<ApplicationRequestContextSource> {
    struct Value: ServerChildChannelValue {
        let channel: any Channel
    }

    let responder: Responder
    let configuration: HTTPConnectionConfiguration

    func setup(channel: any Channel, logger: Logger) -> EventLoopFuture<Value> {
        channel.eventLoop.makeCompletedFuture {
            var limits = NIOHTTPDecoderLimitConfiguration()
            limits.maxHeaderListSize = configuration.maximumHeaderSize
            limits.maxHeaderFieldSize = configuration.maximumHeaderSize
            let decoder = ByteToMessageHandler(
                HTTPRequestDecoder(
                    leftOverBytesStrategy: .forwardBytes, limitConfiguration: limits))
            let (requestLine, encoder) = (RequestLineWatch(), HTTPResponseEncoder())
            let responder = responder
            // Nothing else tells whether there are handlers (TLS) below. Should the wording change, hub messages take the longer way.
            let reachesSocket = channel.pipeline.debugDescription.hasSuffix("<no handlers>")
            try channel.pipeline.syncOperations.addHandlers([
                requestLine, decoder, encoder,
                HTTPConnection(
                    requestLine: requestLine, decoder: decoder, encoder: encoder, configuration: configuration,
                    reachesSocket: reachesSocket
                ) { request, channel in
                    await Self.respond(to: request, with: responder, on: channel, logger: logger)
                },
            ])
            try channel.syncOptions?.setOption(.tcpOption(.tcp_nodelay), value: 1)
            try channel.syncOptions?.setOption(.recvAllocator, value: ReceiveBuffer())
            return Value(channel: channel)
        }
    }

    /// The connection lives in its handlers; there is nothing to wait for.
    func handle(value: Value, logger: Logger) async {}

    private static func respond(
        to request: Request, with responder: Responder, on channel: any Channel, logger: Logger
    ) async -> Response {
        var logger = logger
        logger[metadataKey: "hb.request.id"] = .stringConvertible(RequestID())
        let context = Responder.Context(source: ApplicationRequestContextSource(channel: channel, logger: logger))
        do {
            return try await responder.respond(to: request, context: context)
        } catch {
            logger.debug("Unrecognised error", metadata: ["error.type": "\(error)"])
            return Response(status: .internalServerError)
        }
    }
}
