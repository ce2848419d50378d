// SignalBox: streams that clients upload, with back-pressure down to the socket
// SPDX-License-Identifier: Apache-2.0

import NIOConcurrencyHelpers
import SignalRWire

/// A stream that the client uploads, as a parameter of a hub method.
///
/// Reading is what lets the client go on: an unread stream holds a few items (``HubOptions/streamBufferCapacity``) and then stops
/// the connection from being read. It throws ``HubError`` when the client fails the stream, when an item has another type, or when the
/// connection ends.
public struct HubStream<Element: Decodable & Sendable>: AsyncSequence, Sendable {
    private let upload: UploadStream

    init(_ upload: UploadStream) { self.upload = upload }

    public func makeAsyncIterator() -> Iterator { Iterator(upload: upload) }

    public struct Iterator: AsyncIteratorProtocol {
        let upload: UploadStream

        public mutating func next() async throws -> Element? {
            guard let payload = try await upload.next() else { return nil }
            do {
                return try payload.decode(Element.self)
            } catch {
                upload.finish(throwing: HubError(ErrorText.streamBinding))
                throw HubError(ErrorText.streamBinding)
            }
        }
    }
}

/// The buffer between the event loop, which appends items, and the hub method, which takes them. One reader at a time.
package final class UploadStream: Sendable {
    private struct State {
        var items: [HubPayload] = []
        var end: Result<Void, any Error>?
        var reader: CheckedContinuation<HubPayload?, any Error>?
        var isStalled = false
    }
    private let state = NIOLockedValueBox(State())
    private let capacity: Int
    /// Tells the session that a full buffer has room again.
    private let drained: @Sendable () -> Void

    init(capacity: Int, drained: @escaping @Sendable () -> Void) {
        self.capacity = max(1, capacity)
        self.drained = drained
    }

    /// Adds an item; false means that the buffer is full and the connection must not be read until `drained` was called.
    func append(_ item: HubPayload) -> Bool {
        let (reader, hasRoom) = state.withLockedValue { state -> (CheckedContinuation<HubPayload?, any Error>?, Bool) in
            guard state.end == nil else { return (nil, true) }
            if let reader = state.reader {
                state.reader = nil
                return (reader, true)
            }
            state.items.append(item)
            state.isStalled = state.items.count >= capacity
            return (nil, !state.isStalled)
        }
        reader?.resume(returning: item)
        return hasRoom
    }

    /// Ends the stream after the items it has; with an error when there is one.
    func finish(throwing error: (any Error)? = nil) {
        let (reader, wasStalled) = state.withLockedValue { state in
            guard state.end == nil else { return (CheckedContinuation<HubPayload?, any Error>?.none, false) }
            state.end = error.map { .failure($0) } ?? .success(())
            defer {
                state.reader = nil
                state.isStalled = false
            }
            return (state.reader, state.isStalled)
        }
        if let error { reader?.resume(throwing: error) } else { reader?.resume(returning: nil) }
        if wasStalled { drained() }
    }

    func next() async throws -> HubPayload? {
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                let (result, wasStalled) = state.withLockedValue { state -> (Result<HubPayload?, any Error>?, Bool) in
                    if !state.items.isEmpty {
                        defer { state.isStalled = false }
                        return (.success(state.items.removeFirst()), state.isStalled)
                    }
                    if let end = state.end { return (end.map { nil }, false) }
                    guard state.reader == nil else { return (.failure(HubError("A stream has one reader.")), false) }
                    if Task.isCancelled { return (.failure(CancellationError()), false) }
                    state.reader = continuation
                    return (nil, false)
                }
                if let result { continuation.resume(with: result) }
                if wasStalled { drained() }
            }
        } onCancel: {
            let reader = state.withLockedValue { state in
                defer { state.reader = nil }
                return state.reader
            }
            reader?.resume(throwing: CancellationError())
        }
    }
}
