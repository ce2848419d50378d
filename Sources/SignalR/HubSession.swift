// SignalBox: the hub protocol on one connection: handshake, dispatch, streams, keep-alive, stateful reconnect
// SPDX-License-Identifier: Apache-2.0

import Logging
import NIOCore
import SignalRWire
import Synchronization

/// One client of a hub. Everything happens on the connection's event loop; what hub code may touch from elsewhere is marked.
///
/// Safety: `connection`, `server` and `items` are constants, `isAborted` is atomic, and `protocolName` is what the handshake said, which is
/// over before hub code runs. Everything else is used on the event loop.
final class HubSession: ConnectionSession, HubCaller, @unchecked Sendable {
    // MARK: Constants

    let connection: Connection
    let server: HubServer
    let items = ConnectionItems()
    private let aborted = Atomic(false)

    // MARK: State, on the event loop

    private var phase = Phase.handshake
    /// The client's protocol among the registry's; set once, by the handshake.
    private var codecIndex: UInt8 = 0
    private var lastReceived: UInt32
    private var lastPing: UInt32
    /// A client that never pings is never timed out.
    private var pingsSeen = false
    private var permits: Int
    /// A plain invocation that waits for a permit, and with it everything behind it.
    private var waiting: HubMessage.Invocation?
    /// Calls that have not ended, those without an id included.
    private var callCount = 0
    /// Calls that did not end at once and can be cancelled, by invocation id; of several with the same id, the last.
    private var calls: [String: RunningCall] = [:]
    /// The same of those that stream their result, whose ids are unique.
    private var streams: [String: RunningCall] = [:]
    private var uploads: [String: UploadStream] = [:]
    private var stalledUploads = 0
    /// Whether the one who takes calls has enough of them for now.
    private var isHeldBack = false
    private var ending: (reason: CloseReason, finished: @Sendable () -> Void)?

    private enum Phase {
        /// Can go to `greeted`, `starting` or `over`.
        case handshake
        /// A stateful client has yet to read the answer to its handshake; can go to `starting` or `over`.
        case greeted
        /// `onConnected` runs; can go to `running` or `over`.
        case starting
        /// Can go to `over`.
        case running
        case over
    }

    init(_ connection: Connection, server: HubServer) {
        self.connection = connection
        self.server = server
        self.permits = max(1, server.options.maximumParallelInvocations)
        self.lastReceived = connection.now
        self.lastPing = connection.now
    }

    private var options: HubOptions { server.options }
    private var codec: any HubCodec { connection.registry.codecs[Int(codecIndex)] }
    var protocolName: String { codec.name }
    /// From any thread.
    var isAborted: Bool { aborted.load(ordering: .relaxed) }

    // MARK: Input

    func opened() {
        lastReceived = connection.now
        lastPing = connection.now
    }

    var isBusy: Bool { phase == .starting || waiting != nil || stalledUploads > 0 || isHeldBack }

    var owesAnswers: Bool {
        phase == .starting || waiting != nil || !calls.isEmpty || !streams.isEmpty || !uploads.isEmpty
    }

    func receive(_ bytes: inout ByteBuffer) {
        lastReceived = connection.now
        do throws(HubProtocolError) {
            if phase == .greeted { start() }
            if phase == .handshake { try handshake(&bytes) }
            while phase == .running, !isBusy, connection.state == .open {
                let before = bytes.readableBytes
                guard let message = try codec.read(from: &bytes, maximumSize: options.maximumReceiveMessageSize) else {
                    break
                }
                guard connection.meter?.admits(messageOf: before - bytes.readableBytes) != false else {
                    return connection.close(.rateLimited)
                }
                try receive(message)
            }
        } catch {
            guard phase == .running else {
                return refuseHandshake(
                    ErrorText.Handshake.unexpected
                        + (tellsDetails ? " InvalidDataException: \(error.message)" : ""))
            }
            connection.close(.protocolError(error.message, detailed: tellsDetails))
        }
    }

    private var tellsDetails: Bool { options.detailedErrors || connection.wantsDetails }

    func inputEnded() {
        connection.close(phase == .handshake ? .handshakeFailed("no handshake") : .transportEnded)
    }

    // MARK: Handshake

    private func handshake(_ bytes: inout ByteBuffer) throws(HubProtocolError) {
        let request: HandshakeRequest?
        do throws(HubProtocolError) {
            request = try HandshakeRequest.read(from: &bytes, maximumSize: options.maximumReceiveMessageSize)
        } catch {
            if let limit = options.maximumReceiveMessageSize, bytes.readableBytes >= limit {
                return refuseHandshake(ErrorText.Handshake.canceled)
            }
            throw error
        }
        guard let request else { return }
        let name = request.protocol.lowercased()
        guard let index = options.codecs.firstIndex(where: { $0.name == name }) else {
            return refuseHandshake(ErrorText.Handshake.unsupported(request.protocol))
        }
        let codec = connection.registry.codecs[index]
        guard request.version <= codec.maximumVersion else {
            return refuseHandshake(ErrorText.Handshake.version(request.version, codec.name))
        }
        if codec.transferFormat == .binary, connection.transport?.kind == .serverSentEvents {
            return refuseHandshake(ErrorText.Handshake.needsBinary(codec.name))
        }
        codecIndex = UInt8(index)
        connection.use(codec: index)
        if request.version >= 2, connection.isStateful {
            connection.replay = ReplayBuffer(limit: options.statefulReconnectBufferSize)
        } else {
            connection.isStateful = false
        }
        writeHandshake(HandshakeResponse(error: nil))
        connection.register()
        guard connection.replay != nil, bytes.readableBytes == 0 else { return start() }
        // The official JavaScript client does not count a message that it gets in one read with the answer, and handles another one twice
        // after the next resume. It pings once it counts; others may say nothing.
        phase = .greeted
        connection.eventLoop.scheduleTask(in: .milliseconds(100)) { if self.phase == .greeted { self.start() } }
    }

    private func refuseHandshake(_ text: String) {
        writeHandshake(HandshakeResponse(error: text))
        connection.close(.handshakeFailed(text))
    }

    private func writeHandshake(_ response: HandshakeResponse) {
        var bytes = ByteBuffer()
        response.write(into: &bytes)
        if let wrapped = connection.format.packaging.wrap(bytes) { connection.enqueue(Batch(wrapped)) }
    }

    private func start() {
        phase = .starting
        let context = HubCallerContext(self, scope: CallScope(.connecting, caller: self))
        Task.startingHere { [self] in
            do {
                try await server.connected(context)
                connection.onLoop { self.started() }
            } catch {
                server.logger.warning("onConnected failed", metadata: metadata("error", "\(error)"))
                connection.onLoop { self.refused(error) }
            }
        }
    }

    private func started() {
        guard phase == .starting else { return runDisconnected() }
        phase = .running
        lastReceived = connection.now
        connection.process()
    }

    private func refused(_ error: any Error) {
        if let ending { return ending.finished() }
        phase = .over
        connection.close(.refused(error, detailed: tellsDetails))
    }

    // MARK: Messages

    private func receive(_ message: HubMessage) throws(HubProtocolError) {
        if message.isNumbered {
            if connection.replay != nil, connection.replay?.receive() == false { return }
            connection.countReceivedMessage()
            connection.messageObserver?.received(message, on: connection)
        }
        switch message {
        case .invocation(let invocation): receive(invocation, asStream: false)
        case .streamInvocation(let invocation): receive(invocation, asStream: true)
        case .streamItem(let item): receive(item)
        case .completion(let completion): try receive(completion)
        case .cancelInvocation(let cancel): (streams[cancel.id] ?? calls[cancel.id])?.task?.cancel()
        case .ping: pingsSeen = true
        case .close(let close): connection.close(.clientClosed(because: close.error))
        case .ack(let number): connection.acknowledge(number)
        case .sequence(let number):
            guard connection.replay?.restart(at: number) != false else {
                throw HubProtocolError("Sequence ID greater than amount of messages we've received.")
            }
        case .unknown: break
        }
    }

    private func receive(_ item: HubMessage.StreamItem) {
        guard let upload = uploads[item.id] else {
            return server.logger.debug("Item of an unknown stream", metadata: metadata("signalr.stream.id", item.id))
        }
        if !upload.append(item.item) { stalledUploads += 1 }
    }

    private func receive(_ completion: HubMessage.Completion) throws(HubProtocolError) {
        if let upload = uploads.removeValue(forKey: completion.id) {
            if case .failure(let text) = completion.outcome {
                upload.finish(throwing: HubError(text))
            } else {
                upload.finish()
            }
            return
        }
        switch server.backplane.complete(completion, from: connection) {
        case .answered: break
        case .unknown:
            server.logger.debug(
                "Completion of an unknown call", metadata: metadata("signalr.invocation.id", completion.id))
        case .ofAnotherConnection:
            throw HubProtocolError(
                "Connection ID '\(connection.name)' is not valid for invocation ID '\(completion.id)'.")
        }
    }

    // MARK: Calls

    private func receive(_ invocation: HubMessage.Invocation, asStream: Bool) {
        guard let method = server.method(named: invocation.target) else {
            if let taker = server.callTaker {
                let caller = HubCallerContext(self, scope: nil)
                isHeldBack = !taker.take(invocation, asStream: asStream, from: caller)
                return
            }
            return fail(invocation, server.unknownMethod(invocation.target))
        }
        if let problem = mismatch(invocation, method, asStream: asStream) { return fail(invocation, problem) }
        guard callCount < options.maximumRunningCalls else {
            return fail(invocation, ErrorText.tooManyCalls(invocation.target, callCount))
        }
        if method.isStreaming || !invocation.streamIDs.isEmpty {
            begin(invocation, method, scope: CallScope(.unlimited, caller: self))
        } else if permits > 0 {
            permits -= 1
            begin(invocation, method, scope: CallScope(.plain, caller: self))
        } else {
            waiting = invocation
        }
    }

    private func mismatch(_ invocation: HubMessage.Invocation, _ method: HubMethod, asStream: Bool) -> String? {
        let target = invocation.target
        if case .unreadable(let text) = invocation.arguments {
            return ErrorText.bindingFailed(target) + (options.detailedErrors ? " InvalidDataException: \(text)" : "")
        }
        if invocation.arguments.count != method.parameterCount {
            let detail = ErrorText.argumentCount(sent: invocation.arguments.count, expected: method.parameterCount)
            return ErrorText.bindingFailed(target) + (options.detailedErrors ? " \(detail)" : "")
        }
        if asStream != method.isStreaming {
            return asStream ? ErrorText.invocationByStreaming(target) : ErrorText.streamingByInvocation(target)
        }
        if invocation.streamIDs.count != method.streamCount {
            return ErrorText.streamCount(target, sent: invocation.streamIDs.count, expected: method.streamCount)
        }
        let ids = (asStream ? [invocation.id].compactMap { $0 } : []) + invocation.streamIDs
        return ids.first { streams[$0] != nil || uploads[$0] != nil }.map(ErrorText.inUse)
    }

    private func begin(_ invocation: HubMessage.Invocation, _ method: HubMethod, scope: CallScope) {
        let received = invocation.streamIDs.map { id in
            let upload = UploadStream(capacity: options.streamBufferCapacity) { [weak self] in self?.uploadDrained() }
            uploads[id] = upload
            return upload
        }
        let call = RunningCall()
        callCount += 1
        if method.isStreaming, let id = invocation.id { streams[id] = call }
        let context = HubCallerContext(self, scope: scope)
        let task = Task.startingHere { [self] in
            let outcome = await server.run(method, invocation, uploads: received, in: context)
            let end = await finish(invocation, method, outcome)
            connection.onLoop {
                call.isOver = true
                if let end { self.connection.send(.completion(end)) }
                self.ended(call, invocation, uploads: received)
                scope.releasePermit()
            }
        }
        guard !call.isOver, let id = invocation.id else { return }
        call.task = task
        if !method.isStreaming { calls[id] = call } else if phase == .over { task.cancel() }
    }

    /// Streams the result if there is one to stream, and gives the completion that ends the call; nil for a call without id.
    nonisolated(nonsending) private func finish(
        _ invocation: HubMessage.Invocation, _ method: HubMethod, _ outcome: CallOutcome
    ) async -> HubMessage.Completion? {
        switch outcome {
        case .failure(let text, let error):
            if let error {
                server.logger.debug("Hub method failed", metadata: metadata("error", "\(error)"))
            }
            return invocation.id.map { .init(id: $0, outcome: .failure(text)) }
        case .reply(let reply):
            guard let id = invocation.id else { return nil }
            switch reply.content {
            case .value(let payload):
                return .init(id: id, outcome: method.isStreaming ? .void : .result(payload))
            case .noStream: return .init(id: id, outcome: .failure(ErrorText.notAStream(method.name)))
            case .stream(let source): return .init(id: id, outcome: await stream(source, id))
            }
        }
    }

    private func stream(_ source: StreamSource, _ id: String) async -> HubMessage.Completion.Outcome {
        do {
            try await source.forEach { [connection] item in
                try Task.checkCancellation()
                await connection.sendAndWait(.streamItem(.init(id: id, item: item)))
            }
            return .void
        } catch is CancellationError where Task.isCancelled {
            return .void
        } catch {
            return .failure(ErrorText.streamFailed + ErrorText.detail(of: error, detailed: options.detailedErrors))
        }
    }

    /// The method is over: whatever its client still uploads goes nowhere.
    private func ended(_ call: RunningCall, _ invocation: HubMessage.Invocation, uploads received: [UploadStream]) {
        callCount -= 1
        if let id = invocation.id {
            if calls[id] === call { calls[id] = nil }
            if streams[id] === call { streams[id] = nil }
        }
        for (id, upload) in zip(invocation.streamIDs, received) where uploads[id] === upload { uploads[id] = nil }
        for upload in received { upload.finish() }
    }

    private func fail(_ invocation: HubMessage.Invocation, _ text: String) {
        server.logger.debug("Call refused", metadata: metadata("error", text))
        if let id = invocation.id { connection.send(.completion(.init(id: id, outcome: .failure(text)))) }
    }

    /// From any thread.
    func takeMore() {
        connection.onLoop { [self] in
            isHeldBack = false
            connection.process()
        }
    }

    func permitReleased() {
        permits += 1
        guard let invocation = waiting else { return }
        waiting = nil
        receive(invocation, asStream: false)
        connection.process()
    }

    /// From any thread.
    private func uploadDrained() {
        connection.onLoop { [self] in
            stalledUploads -= 1
            connection.process()
        }
    }

    // MARK: Keep-alive

    func heartbeat() {
        let now = connection.now
        switch phase {
        case .handshake:
            if now &- connection.request.startedAt >= options.handshakeTimeout.wholeSeconds {
                connection.eventLoop.execute { self.refuseHandshake(ErrorText.Handshake.canceled) }
            }
        case .greeted, .over: break
        // `onConnected` may wait for others, and the client for a sign of life.
        case .starting: pingIfDue()
        case .running:
            if pingsSeen, !isBusy, now &- lastReceived > options.clientTimeout.wholeSeconds {
                return connection.closeSoon(.clientTimeout.hidingError(unless: tellsDetails))
            }
            pingIfDue()
            if let number = connection.replay?.dueAck() { connection.sendAtOnce(.ack(number)) }
        }
        if options.closeOnAuthenticationExpiration { connection.closeIfExpired() }
    }

    private func pingIfDue() {
        let now = connection.now
        guard now &- lastPing >= options.keepAliveInterval.wholeSeconds else { return }
        lastPing = now
        // Also between two polls, when there is no transport to ask.
        if connection.request.transport != .longPolling { connection.sendAtOnce(.ping) }
    }

    func resumed() {
        connection.dropPartialMessage()
        guard let replay = connection.replay?.replay else { return }
        lastReceived = connection.now
        connection.sendAtOnce(.sequence(replay.sequence))
        for message in replay.messages {
            if let batch = message.batch(for: connection.format, codecs: connection.registry.codecs) {
                connection.enqueue(batch)
            }
        }
    }

    // MARK: End

    func willClose(_ reason: CloseReason) {
        guard phase != .handshake, let message = reason.message else { return }
        connection.sendAtOnce(.close(.init(error: message.error, allowReconnect: message.allowReconnect)))
    }

    func closed(_ reason: CloseReason, finished: @escaping @Sendable () -> Void) {
        for call in streams.values { call.task?.cancel() }
        for upload in uploads.values { upload.finish(throwing: HubError(ErrorText.underlyingClosed)) }
        uploads = [:]
        waiting = nil
        server.backplane.connectionClosed(connection)
        aborted.store(true, ordering: .relaxed)
        let was = phase
        phase = .over
        switch was {
        case .handshake, .greeted, .over: finished()
        case .starting: ending = (reason, finished)
        case .running:
            ending = (reason, finished)
            runDisconnected()
        }
    }

    private func runDisconnected() {
        guard let (reason, finished) = ending else { return }
        let context = HubCallerContext(self, scope: nil)
        Task.startingHere { [self] in
            do {
                try await server.disconnected(context, reason.isGraceful ? nil : reason)
            } catch {
                server.logger.warning("onDisconnected failed", metadata: metadata("error", "\(error)"))
            }
            connection.onLoop(finished)
        }
    }

    private func metadata(_ key: String, _ value: String) -> Logger.Metadata {
        ["signalr.connection.id": "\(connection.name)", "\(key)": "\(value)"]
    }
}

/// A call that may have ended before the code that started it goes on.
///
/// Safety: what a call's task holds of it is used on the connection's event loop only.
private final class RunningCall: @unchecked Sendable {
    var isOver = false
    var task: Task<Void, Never>?
}

extension Task where Success == Void, Failure == Never {
    /// Starts on the calling thread and stays there until the first suspension, so that a call which does not suspend costs no hop.
    @discardableResult
    package static func startingHere(_ operation: @escaping @Sendable () async -> Void) -> Task<Void, Never> {
        if #available(macOS 26, iOS 26, tvOS 26, watchOS 26, visionOS 26, *) {
            Task.immediate(operation: operation)
        } else {
            Task(operation: operation)
        }
    }
}
