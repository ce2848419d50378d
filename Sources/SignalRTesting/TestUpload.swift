// SignalBox: what the client of a test sends: messages, answers and streams
// SPDX-License-Identifier: Apache-2.0

import NIOCore
import SignalR
import SignalRWire

/// A stream that a call uploads, for a `HubStream` parameter of the method.
public struct TestUpload: Sendable {
    let forEach: @Sendable (_ send: (HubPayload) async throws -> Void) async throws -> Void

    /// - Parameter items: sent one after the other; what it throws is the error of the stream.
    public init<S: AsyncSequence & Sendable>(_ items: S) where S.Element: Encodable {
        self.forEach = { send in
            for try await item in items { try await send(HubPayload(encoding: item)) }
        }
    }

    /// - Parameter items: sent one after the other.
    public init<Item: Encodable & Sendable>(_ items: [Item]) {
        self.forEach = { send in
            for item in items { try await send(HubPayload(encoding: item)) }
        }
    }
}

extension Connection {
    /// Lets a message of the client arrive.
    /// - Throws: `HubProtocolError` when the protocol cannot express it.
    func say(_ message: HubMessage, _ codec: any HubCodec) throws {
        var bytes = ByteBuffer()
        try codec.write(message, into: &bytes)
        onLoop { [bytes] in self.receive(bytes) }
    }

    /// Sends a stream that a call has announced. Waits while the hub does not take more.
    func upload(_ upload: TestUpload, as id: String, _ codec: any HubCodec) async {
        var end = HubMessage.Completion(id: id, outcome: .void)
        do {
            try await upload.forEach { item in
                try Task.checkCancellation()
                var bytes = ByteBuffer()
                try codec.write(.streamItem(.init(id: id, item: item)), into: &bytes)
                guard await self.receiveAndWait(bytes) else { throw CancellationError() }
            }
        } catch is CancellationError {
            return
        } catch {
            end.outcome = .failure("\(error)")
        }
        try? say(.completion(end), codec)
    }

    /// The bytes arrive; returns when there is room for more, false when the connection is over.
    private func receiveAndWait(_ bytes: ByteBuffer) async -> Bool {
        await withCheckedContinuation { waiter in
            onLoop { self.receive(bytes, isText: true, waiter: waiter) }
        }
    }

    /// Answers a call of the hub that wants a result.
    func answer(
        _ call: HubMessage.Invocation, _ body: TestClient.Answer?, _ codec: any HubCodec
    ) async {
        guard let id = call.id else { return }
        var completion = HubMessage.Completion(id: id, outcome: .failure("Client didn't provide a result."))
        do {
            if let body { completion.outcome = .result(try await body(call)) }
        } catch {
            completion.outcome = .failure("\(error)")
        }
        try? say(.completion(completion), codec)
    }
}
