// SignalBox: connections without hubs: whole messages in an application's own format, over the same transports
// SPDX-License-Identifier: Apache-2.0

public import HTTPTypes
public import Logging
import NIOConcurrencyHelpers
public import NIOCore
import SignalRWire
import _SignalRWebSocket

/// A message in an application's own format.
public enum RawMessage: Sendable, Hashable {
    case text(String)
    case binary(ByteBuffer)

    var bytes: ByteBuffer {
        switch self {
        case .text(let text): ByteBuffer(string: text)
        case .binary(let bytes): bytes
        }
    }
    var format: TransferFormat { if case .text = self { .text } else { .binary } }
}

/// A client that exchanges whole messages. One WebSocket message, or the body of one POST, is one message; towards clients, long polling
/// joins what is pending into one body and Server-Sent Events carry text only.
public struct RawConnection: Sendable {
    let session: RawSession
    private var connection: Connection { session.connection }

    public var connectionID: String { connection.id.description }
    public var userID: String? { connection.userID }
    public var user: HubUser? { connection.user }
    public var items: ConnectionItems { session.items }
    public var transport: TransportKind? { connection.request.transport }
    /// The transport in use, those before it, and why each of them is not.
    public func transportHistory() async -> TransportHistory { await connection.readTransportHistory() }
    public var headers: HTTPFields { connection.request.headers }
    public func query(_ name: String) -> String? { Query.value(of: name, in: connection.request.rawQuery) }
    public var remoteAddress: SocketAddress? { connection.request.remoteAddress }

    /// What the client sends, in order. A few unread messages stop the client from being read. Ends with the connection.
    public var messages: RawMessages { RawMessages(upload: session.upload) }

    public func send(_ message: RawMessage) {
        let outgoing = Outgoing(.raw(message.bytes, message.format))
        connection.onLoop { [connection] in connection.send(outgoing) }
    }

    /// Everybody else, groups and users of the same endpoint.
    public var peers: RawPeers { RawPeers(registry: connection.registry) }
    public func join(_ group: String) async {
        _ = await connection.registry.setMembership(of: connectionID, in: group, to: true)
    }
    public func leave(_ group: String) async {
        _ = await connection.registry.setMembership(of: connectionID, in: group, to: false)
    }
    public func abort() { connection.onLoop { [connection] in connection.close(.aborted) } }
}

/// Sending to many raw connections at once; the bytes are framed once for all.
public struct RawPeers: Sendable {
    let registry: ConnectionRegistry

    /// - Parameter excluding: connection ids that get nothing.
    public func send(_ message: RawMessage, to target: HubTarget = .all, excluding: [String] = []) {
        registry.deliver(
            Outgoing(.raw(message.bytes, message.format)), to: target,
            excluding: Set(excluding.compactMap { ConnectionID($0) }))
    }

    public var presence: HubPresence { HubPresence(registry: registry) }
}

/// The messages of a raw connection.
public struct RawMessages: AsyncSequence, Sendable {
    let upload: UploadStream

    public func makeAsyncIterator() -> Iterator { Iterator(upload: upload) }

    public struct Iterator: AsyncIteratorProtocol {
        let upload: UploadStream

        /// nil once the connection is over.
        public mutating func next() async -> RawMessage? {
            switch try? await upload.next() {
            case .value(.string(let text)): .text(text)
            case .messagePack(let bytes): .binary(bytes)
            default: nil
            }
        }
    }
}

/// Serves raw connections: runs one handler per connection, for as long as it lasts.
public final class RawServer: Sendable {
    package let registry: ConnectionRegistry
    package let options: HubOptions
    package let logger: Logger
    private let handler: @Sendable (RawConnection) async throws -> Void

    /// - Parameter handler: runs once per connection; the connection is closed when it returns or throws.
    public init(
        options: HubOptions = HubOptions(), eventLoopGroup: any EventLoopGroup,
        logger: Logger = Logger(label: "SignalR"),
        handler: @escaping @Sendable (RawConnection) async throws -> Void
    ) {
        self.registry = ConnectionRegistry(
            group: eventLoopGroup, codecs: [JSONHubCodec()], logger: logger, observer: options.observer)
        self.options = options
        self.logger = logger
        self.handler = handler
    }

    public var peers: RawPeers { RawPeers(registry: registry) }

    package func endpoint() -> HubEndpoint {
        HubEndpoint(registry: registry, options: options, logger: logger) { RawSession($0, server: self) }
    }

    func run(_ connection: RawConnection) async {
        do {
            try await handler(connection)
        } catch {
            logger.warning(
                "Connection handler failed",
                metadata: [
                    "signalr.connection.id": "\(connection.connectionID)", "error": "\(error)",
                ])
        }
    }
}

/// Safety: `connection`, `upload` and `items` are constants; the rest is used on the event loop.
final class RawSession: ConnectionSession, @unchecked Sendable {
    let connection: Connection
    let items = ConnectionItems()
    let upload: UploadStream
    private let server: RawServer
    private var message = ByteBuffer()
    private var finished: (@Sendable () -> Void)?
    private var isRunning = false

    init(_ connection: Connection, server: RawServer) {
        self.connection = connection
        self.server = server
        self.upload = UploadStream(capacity: server.options.streamBufferCapacity) {
            connection.onLoop { connection.holdUp(false) }
        }
    }

    func opened() {
        connection.register()
        isRunning = true
        Task.startingHere { [self] in
            await server.run(RawConnection(session: self))
            connection.onLoop { self.handlerEnded() }
        }
    }

    private func handlerEnded() {
        isRunning = false
        connection.close(.aborted)
        finished?()
    }

    var isBusy: Bool { connection.isHeldUp }
    var keepsBoundaries: Bool { true }
    func resumed() {}
    func receive(_ bytes: inout ByteBuffer) {}
    func heartbeat() { if server.options.closeOnAuthenticationExpiration { connection.closeIfExpired() } }
    func willClose(_ reason: CloseReason) {}
    func inputEnded() { connection.close(.clientClosed) }

    func receive(_ piece: ByteBuffer, isText: Bool, isLast: Bool) {
        message.writeImmutableBuffer(piece)
        if let limit = server.options.maximumReceiveMessageSize, message.readableBytes > limit {
            return connection.close(.webSocket(.messageTooBig, "message over \(limit) bytes"))
        }
        guard isLast else { return }
        let whole = message
        message = ByteBuffer()
        let payload: HubPayload = isText ? .value(.string(String(buffer: whole))) : .messagePack(whole)
        if !upload.append(payload) { connection.holdUp(true) }
    }

    func closed(_ reason: CloseReason, finished: @escaping @Sendable () -> Void) {
        upload.finish()
        if isRunning { self.finished = finished } else { finished() }
    }
}
