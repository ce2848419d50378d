// SignalBox: a client for tests of hubs: the whole hub protocol, in memory
// SPDX-License-Identifier: Apache-2.0

public import HTTPTypes
import NIOConcurrencyHelpers
import NIOCore
public import SignalR
import SignalRWire

/// A client of a hub in the same process: without a port, HTTP or TLS, but with everything from the handshake on: encoding, binding,
/// policies, filters, groups, streams.
///
/// ```swift
/// let server = try HubServer(Chat(), eventLoopGroup: MultiThreadedEventLoopGroup.singleton)
/// let ada = try await TestClient.connect(to: server, user: HubUser(id: "ada"))
/// try await ada.invoke("send", "Ada", "hello")
/// let (user, text) = try await ada.next("receive", as: String.self, String.self)
/// ```
///
/// What an endpoint decides is left out: authentication, origins, transports. The user is who the test says. A client that is forgotten
/// vanishes as by ``drop()``.
public final class TestClient: Sendable {
    private let connection: Connection
    private let codec: any HubCodec
    private let inbox: Inbox
    private let answers: NIOLockedValueBox<[String: Answer]>

    typealias Answer = @Sendable (HubMessage.Invocation) async throws -> HubPayload

    /// Connects a client, up to the answer to its handshake. The hub's `onConnected` may then still run; calls wait for it.
    ///
    /// - Parameter user: who the client is; nil for nobody.
    /// - Parameter hubProtocol: the name of one of the hub's protocols (`HubOptions.codecs`). Default `json`.
    /// - Parameter request: what `HubCallerContext` tells of headers, query and path.
    /// - Throws: ``TestClientError`` with code ``TestClientError/Code/refused`` when the hub refuses the handshake.
    public static func connect(
        to server: HubServer, user: HubUser? = nil, hubProtocol: String = "json",
        request: HubRequest = HubRequest(method: .get, path: "/")
    ) async throws -> TestClient {
        guard let codec = server.options.codecs.first(where: { $0.name == hubProtocol }) else {
            throw TestClientError(.refused, "The hub does not speak '\(hubProtocol)'.")
        }
        let client = TestClient(server, codec, user, request)
        try await client.shakeHands()
        return client
    }

    private init(_ server: HubServer, _ codec: any HubCodec, _ user: HubUser?, _ request: HubRequest) {
        let id = ConnectionID()
        let connection = Connection(
            id: id, registry: server.registry, eventLoop: server.registry.anyEventLoop(for: id),
            limits: ConnectionLimits(server.options), user: user, userID: server.options.userID(user, request),
            request: RequestFeatures(request))
        let answers = NIOLockedValueBox<[String: Answer]>([:])
        self.connection = connection
        self.codec = codec
        self.answers = answers
        self.inbox = Inbox(codec) { call in
            let answer = answers.withLockedValue { $0[call.target.lowercased()] }
            Task { await connection.answer(call, answer, codec) }
        }
        connection.begin(server.makeSession(connection))
        connection.onRemoved = { [inbox] _ in inbox.remove() }
    }

    deinit { drop() }

    private func shakeHands() async throws {
        var hello = ByteBuffer()
        HandshakeRequest(protocol: codec.name, version: 1).write(into: &hello)
        try await inbox.greeting { [connection, inbox, hello] in
            connection.onLoop {
                connection.attach(MemoryTransport(inbox))
                connection.receive(hello)
            }
        }
    }

    /// The id by which the hub and other clients know this one.
    public var connectionID: String { connection.id.description }

    // MARK: Calls to the hub

    /// Calls a method and waits for its result; for one that returns nothing, leave `Result` an optional.
    /// - Throws: ``TestClientError``: ``TestClientError/Code/callFailed`` with the text that a client sees, or
    ///   ``TestClientError/Code/closed``; `DecodingError` for a result of another type; `EncodingError`; `CancellationError`.
    public func invoke<each Argument: Encodable & Sendable, Result: Decodable & Sendable>(
        _ method: String, _ argument: repeat each Argument, uploading uploads: [TestUpload] = [],
        returning type: Result.Type = Result.self
    ) async throws -> Result {
        var arguments: [HubPayload] = []
        repeat arguments.append(try HubPayload(encoding: each argument))
        switch try await outcome(of: method, arguments, uploads) {
        case .void: return try HubPayload.value(.null).decode(type)
        case .result(let payload): return try payload.decode(type)
        case .failure(let text): throw TestClientError(.callFailed, text)
        }
    }

    /// Calls a method and waits until it is over, whatever it returns.
    /// - Throws: as ``invoke(_:_:uploading:returning:)``, but for `DecodingError`.
    public func invoke<each Argument: Encodable & Sendable>(
        _ method: String, _ argument: repeat each Argument, uploading uploads: [TestUpload] = []
    ) async throws {
        var arguments: [HubPayload] = []
        repeat arguments.append(try HubPayload(encoding: each argument))
        if case .failure(let text) = try await outcome(of: method, arguments, uploads) {
            throw TestClientError(.callFailed, text)
        }
    }

    /// Calls a method without waiting for anything.
    /// - Throws: `EncodingError` for an argument that has no representation.
    public func send<each Argument: Encodable & Sendable>(_ method: String, _ argument: repeat each Argument) throws {
        var arguments: [HubPayload] = []
        repeat arguments.append(try HubPayload(encoding: each argument))
        try connection.say(.invocation(.init(id: nil, target: method, arguments: .payloads(arguments))), codec)
    }

    /// Calls a streaming method. Leaving the loop over its items cancels it.
    /// - Throws: `EncodingError`; while reading, as ``invoke(_:_:uploading:returning:)``.
    public func stream<each Argument: Encodable & Sendable, Item: Decodable & Sendable>(
        _ method: String, _ argument: repeat each Argument, of type: Item.Type = Item.self
    ) throws -> AsyncThrowingStream<Item, any Error> {
        var arguments: [HubPayload] = []
        repeat arguments.append(try HubPayload(encoding: each argument))
        let id = inbox.nextID()
        let (items, continuation) = AsyncThrowingStream.makeStream(
            of: Item.self, throwing: (any Error).self, bufferingPolicy: .bufferingOldest(Inbox.maximumCalls))
        let reply = Inbox.Reply { payload in
            do {
                guard case .dropped = continuation.yield(try payload.decode(type)) else { return }
                throw TestClientError(.tooMuch, "More than \(Inbox.maximumCalls) items were left unread.")
            } catch {
                continuation.finish(throwing: error)
            }
        } finish: { result in
            switch result {
            case .success(.failure(let text)): continuation.finish(throwing: TestClientError(.callFailed, text))
            case .success: continuation.finish()
            case .failure(let error): continuation.finish(throwing: error)
            }
        }
        inbox.expect(id, reply)
        continuation.onTermination = { [inbox, connection, codec] _ in
            // Not answered yet: whoever read it left.
            if inbox.forget(id) { try? connection.say(.cancelInvocation(.init(id: id)), codec) }
        }
        try connection.say(.streamInvocation(.init(id: id, target: method, arguments: .payloads(arguments))), codec)
        return items
    }

    private func outcome(
        of method: String, _ arguments: [HubPayload], _ uploads: [TestUpload]
    ) async throws -> HubMessage.Completion.Outcome {
        let id = inbox.nextID()
        let streams = uploads.map { (id: inbox.nextID(), upload: $0) }
        let call = HubMessage.Invocation(
            id: id, target: method, arguments: .payloads(arguments), streamIDs: streams.map(\.id))
        let answer = connection.eventLoop.makePromise(of: HubMessage.Completion.Outcome.self)
        inbox.expect(id, .init { answer.completeWith($0.mapError { $0 as any Error }) })
        let giveUp: @Sendable (any Error) -> Void = { [inbox] error in if inbox.forget(id) { answer.fail(error) } }
        do { try connection.say(.invocation(call), codec) } catch { giveUp(error) }
        return try await withThrowingTaskGroup(of: Void.self) { tasks in
            defer { tasks.cancelAll() }
            for (id, upload) in streams {
                tasks.addTask { [connection, codec] in await connection.upload(upload, as: id, codec) }
            }
            return try await withTaskCancellationHandler {
                try await answer.futureResult.get()
            } onCancel: {
                giveUp(CancellationError())
            }
        }
    }

    // MARK: Calls from the hub

    /// The next call of a client method that the hub makes, or has made and nobody asked for yet.
    ///
    /// - Parameter method: case does not matter.
    /// - Parameter type: the types of its arguments; more arguments than types are an error, as fewer are.
    /// - Parameter limit: how long to wait. Default 10 s.
    /// - Throws: ``TestClientError``: ``TestClientError/Code/nothingCame``, which lists what is unread, or
    ///   ``TestClientError/Code/closed``; `DecodingError` for arguments of other types or in another number; `CancellationError`.
    public func next<each Argument: Decodable & Sendable>(
        _ method: String, as type: repeat (each Argument).Type, within limit: Duration = .seconds(10)
    ) async throws -> (repeat each Argument) {
        let call = try await inbox.next(method, within: limit, on: connection.eventLoop)
        var reader = call.arguments.makeReader()
        var expected = 0
        for _ in repeat (each type) { expected += 1 }
        guard call.arguments.count == expected else {
            let text = "'\(call.target)' came with \(call.arguments.count) arguments, not \(expected)."
            throw DecodingError.dataCorrupted(.init(codingPath: [], debugDescription: text))
        }
        return (repeat try reader.next().decode((each Argument).self))
    }

    /// The methods that the hub called and nobody asked for yet, in order.
    public var unread: [String] { inbox.unread }

    /// Answers the hub's calls of a method that want a result, in place of an earlier answer. What it throws is the call's error.
    /// A method without an answer is answered with "Client didn't provide a result.", as by clients without a handler.
    public func answer<each Argument: Decodable & Sendable, Result: Encodable & Sendable>(
        _ method: String, _ body: @escaping @Sendable (repeat each Argument) async throws -> Result
    ) {
        answers.withLockedValue {
            $0[method.lowercased()] = { call in
                var reader = call.arguments.makeReader()
                return try HubPayload(encoding: await body(repeat try reader.next().decode((each Argument).self)))
            }
        }
    }

    // MARK: The end

    /// Says goodbye, and returns when the connection is over for the hub, too: when `onDisconnected` has returned.
    public func disconnect() async {
        try? connection.say(.close(.init()), codec)
        await inbox.untilRemoved()
    }

    /// Vanishes without a goodbye, as a client does whose network broke.
    public func drop() {
        connection.onLoop { [connection] in connection.close(.transportFailed("The test's client vanished.")) }
    }

    /// Waits until the hub ends the connection.
    /// - Returns: the error that the hub gave; nil for none.
    public func untilClosed() async -> String? {
        await inbox.untilEnd()
        return inbox.ended.flatMap { $0.message.isEmpty ? nil : $0.message }
    }
}
