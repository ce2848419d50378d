// SignalBox: what came from the hub, and who waits for what
// SPDX-License-Identifier: Apache-2.0

import NIOConcurrencyHelpers
import NIOCore
import SignalR
import SignalRWire

/// Everything that a hub sent to one test client: calls until somebody asks for them, answers to whom they belong.
/// The transport calls it on the connection's event loop, tests from anywhere; one lock guards all.
final class Inbox: Sendable {
    typealias Call = HubMessage.Invocation
    /// Hears the items and the end of a call.
    struct Reply: Sendable {
        var item: @Sendable (HubPayload) -> Void = { _ in }
        let finish: @Sendable (Result<HubMessage.Completion.Outcome, TestClientError>) -> Void
    }

    private struct Waiter {
        let method: String
        let continuation: CheckedContinuation<Call, any Error>
    }

    private struct State {
        var bytes = ByteBuffer()
        var greeting: CheckedContinuation<Void, any Error>?
        var isGreeted = false
        var counter: UInt64 = 0
        /// Calls that nobody asked for yet, in order.
        var calls: [Call] = []
        var waiters: [UInt64: Waiter] = [:]
        var replies: [String: Reply] = [:]
        /// Why the connection is over.
        var end: TestClientError?
        var atEnd: [CheckedContinuation<Void, Never>] = []
        /// The hub is done with the connection.
        var isRemoved = false
        var atRemoval: [CheckedContinuation<Void, Never>] = []
    }

    /// Calls that a test may leave unread.
    static let maximumCalls = 10_000

    private let state = NIOLockedValueBox(State())
    private let codec: any HubCodec
    /// Answers calls that want a result. Set once, before anything is received.
    private let answer: @Sendable (Call) -> Void

    init(_ codec: any HubCodec, answer: @escaping @Sendable (Call) -> Void) {
        self.codec = codec
        self.answer = answer
    }

    // MARK: From the hub

    func receive(_ bytes: ByteBuffer) {
        state.withLockedValue { _ = $0.bytes.writeImmutableBuffer(bytes) }
        do {
            guard try greet() else { return }
            while let message = try state.withLockedValue({ try codec.read(from: &$0.bytes, maximumSize: nil) }) {
                take(message)
            }
        } catch {
            end(TestClientError(.unreadable, "\(error)"))
        }
    }

    private enum Greeting {
        case done, incomplete
        case answered(HandshakeResponse, CheckedContinuation<Void, any Error>?)
    }

    /// - Returns: whether the hub has answered the handshake with yes.
    private func greet() throws -> Bool {
        let greeting = try state.withLockedValue { state throws -> Greeting in
            if state.isGreeted { return .done }
            guard let response = try HandshakeResponse.read(from: &state.bytes, maximumSize: nil) else {
                return .incomplete
            }
            state.isGreeted = response.error == nil
            defer { state.greeting = nil }
            return .answered(response, state.greeting)
        }
        switch greeting {
        case .done: return true
        case .incomplete: return false
        case .answered(let response, let continuation):
            guard let error = response.error else {
                continuation?.resume()
                return true
            }
            continuation?.resume(throwing: TestClientError(.refused, error))
            return false
        }
    }

    private func take(_ message: HubMessage) {
        switch message {
        case .invocation(let call) where call.id != nil: answer(call)
        case .invocation(let call): deliver(call)
        case .streamItem(let item): state.withLockedValue { $0.replies[item.id] }?.item(item.item)
        case .completion(let completion):
            state.withLockedValue { $0.replies.removeValue(forKey: completion.id) }?.finish(
                .success(completion.outcome))
        case .close(let close): end(TestClientError(.closed, close.error ?? ""))
        case .streamInvocation, .cancelInvocation, .ping, .ack, .sequence, .unknown: break
        }
    }

    private func deliver(_ call: Call) {
        let method = call.target.lowercased()
        let (waiter, isFull) = state.withLockedValue { state in
            // Who asked first gets it.
            let first = state.waiters.filter { $0.value.method == method }.keys.min()
            if let first { return (state.waiters.removeValue(forKey: first), false) }
            state.calls.append(call)
            return (nil, state.calls.count > Self.maximumCalls)
        }
        waiter?.continuation.resume(returning: call)
        if isFull {
            end(TestClientError(.tooMuch, "More than \(Self.maximumCalls) calls of the hub were left unread."))
        }
    }

    /// The connection is over, or of no use any more; the first reason counts.
    func end(_ reason: TestClientError = TestClientError(.closed, "")) {
        let before = state.withLockedValue { state in
            let before = state
            state.end = state.end ?? reason
            state.greeting = nil
            state.waiters = [:]
            state.replies = [:]
            state.atEnd = []
            return before
        }
        let error = before.end ?? reason
        before.greeting?.resume(throwing: TestClientError(.refused, error.message))
        for waiter in before.waiters.values { waiter.continuation.resume(throwing: error) }
        for reply in before.replies.values { reply.finish(.failure(error)) }
        for continuation in before.atEnd { continuation.resume() }
    }

    /// The hub is done with the connection: `onDisconnected` has returned.
    func remove() {
        end()
        let waiting = state.withLockedValue { state in
            state.isRemoved = true
            defer { state.atRemoval = [] }
            return state.atRemoval
        }
        for continuation in waiting { continuation.resume() }
    }

    // MARK: To the test

    /// Waits for the answer to the handshake, which `send` sends.
    func greeting(_ send: () -> Void) async throws {
        try await withCheckedThrowingContinuation { continuation in
            let end = state.withLockedValue { state in
                if state.end == nil { state.greeting = continuation }
                return state.end
            }
            if let end { return continuation.resume(throwing: TestClientError(.refused, end.message)) }
            send()
        }
    }

    /// A fresh id for a call or an upload.
    func nextID() -> String {
        state.withLockedValue { state in
            state.counter += 1
            return "\(state.counter)"
        }
    }

    /// Registers who hears of the answer to a call; at once if the connection is over.
    func expect(_ id: String, _ reply: Reply) {
        let end = state.withLockedValue { state in
            if state.end == nil { state.replies[id] = reply }
            return state.end
        }
        if let end { reply.finish(.failure(end)) }
    }

    /// Nobody waits for the answer to this call any more.
    func forget(_ id: String) -> Bool { state.withLockedValue { $0.replies.removeValue(forKey: id) != nil } }

    /// The next call of a method, of those that came and of those to come.
    func next(_ method: String, within limit: Duration, on eventLoop: any EventLoop) async throws -> Call {
        let method = method.lowercased()
        let number = state.withLockedValue { state in
            state.counter += 1
            return state.counter
        }
        let timeout = eventLoop.scheduleTask(in: TimeAmount(limit)) { self.giveUp(number, method, limit) }
        defer { timeout.cancel() }
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                let found: Result<Call, any Error>? = state.withLockedValue { state in
                    if let index = state.calls.firstIndex(where: { $0.target.lowercased() == method }) {
                        return .success(state.calls.remove(at: index))
                    }
                    if let end = state.end { return .failure(end) }
                    if Task.isCancelled { return .failure(CancellationError()) }
                    state.waiters[number] = Waiter(method: method, continuation: continuation)
                    return nil
                }
                if let found { continuation.resume(with: found) }
            }
        } onCancel: {
            fail(number, with: CancellationError())
        }
    }

    private func giveUp(_ number: UInt64, _ method: String, _ limit: Duration) {
        let others = state.withLockedValue { $0.calls.prefix(10).map(\.target) }
        let came = others.isEmpty ? "nothing" : others.joined(separator: ", ")
        fail(number, with: TestClientError(.nothingCame, "No call of '\(method)' within \(limit); unread: \(came)."))
    }

    private func fail(_ number: UInt64, with error: any Error) {
        state.withLockedValue { $0.waiters.removeValue(forKey: number) }?.continuation.resume(throwing: error)
    }

    /// Calls that came and were not asked for, by name.
    var unread: [String] { state.withLockedValue { $0.calls.map(\.target) } }

    /// Why the connection is over; nil while it is not.
    var ended: TestClientError? { state.withLockedValue { $0.end } }

    /// Waits for the end.
    func untilEnd() async {
        await withCheckedContinuation { continuation in
            let isOver = state.withLockedValue { state in
                if state.end == nil { state.atEnd.append(continuation) }
                return state.end != nil
            }
            if isOver { continuation.resume() }
        }
    }

    /// Waits until the hub is done with the connection.
    func untilRemoved() async {
        await withCheckedContinuation { continuation in
            let isOver = state.withLockedValue { state in
                if !state.isRemoved { state.atRemoval.append(continuation) }
                return state.isRemoved
            }
            if isOver { continuation.resume() }
        }
    }
}
