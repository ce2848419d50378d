// SignalBox: the bounded buffer between a connection and the method that reads its upload
// SPDX-License-Identifier: Apache-2.0

import NIOConcurrencyHelpers
import SignalRWire
import Testing

@testable import SignalR

@Suite struct UploadStreamTests {
    private let drains = NIOLockedValueBox(0)

    private func stream(capacity: Int) -> UploadStream {
        UploadStream(capacity: capacity) { [drains] in drains.withLockedValue { $0 += 1 } }
    }
    private var drainCount: Int { drains.withLockedValue { $0 } }

    private func item(_ number: Int) -> HubPayload { .value(.int(Int64(number))) }

    @Test func `Items come in order, then the end`() async throws {
        let stream = stream(capacity: 10)
        for number in 0..<3 { #expect(stream.append(item(number))) }
        stream.finish()
        for number in 0..<3 { #expect(try await stream.next() == item(number)) }
        #expect(try await stream.next() == nil)
        #expect(try await stream.next() == nil)
        #expect(drainCount == 0)
    }

    @Test func `A full buffer says so once, and tells when it has room`() async throws {
        let stream = stream(capacity: 3)
        #expect(stream.append(item(0)))
        #expect(stream.append(item(1)))
        #expect(!stream.append(item(2)))
        #expect(drainCount == 0)
        #expect(try await stream.next() == item(0))
        #expect(drainCount == 1)
        #expect(try await stream.next() == item(1))
        #expect(drainCount == 1)
    }

    @Test func `The end releases a connection that waits`() async throws {
        let stream = stream(capacity: 1)
        #expect(!stream.append(item(0)))
        stream.finish()
        #expect(drainCount == 1)
        #expect(stream.append(item(1)))
        #expect(try await stream.next() == item(0))
        #expect(try await stream.next() == nil)
        #expect(drainCount == 1)
    }

    @Test func `An error comes after the items, and the first end counts`() async throws {
        let stream = stream(capacity: 10)
        _ = stream.append(item(0))
        stream.finish(throwing: HubError("broken"))
        stream.finish()
        stream.finish(throwing: HubError("again"))
        #expect(try await stream.next() == item(0))
        await #expect(throws: HubError("broken")) { try await stream.next() }
    }

    @Test func `A waiting reader gets the item directly`() async throws {
        let stream = stream(capacity: 1)
        async let first = stream.next()
        async let second: Void = {
            // Whether the reader waits already or not, the item arrives.
            _ = stream.append(.value("x"))
        }()
        await second
        #expect(try await first == .value("x"))
    }

    @Test func `Cancelling the reader ends its wait, not the stream`() async throws {
        let stream = stream(capacity: 10)
        let reader = Task { try await stream.next() }
        reader.cancel()
        await #expect(throws: CancellationError.self) { try await reader.value }
        #expect(stream.append(item(1)))
        #expect(try await stream.next() == item(1))
    }

    @Test func `An item of another type fails the reader and the stream`() async throws {
        let stream = stream(capacity: 10)
        _ = stream.append(.value("no number"))
        _ = stream.append(item(1))
        var numbers = HubStream<Int>(stream).makeAsyncIterator()
        await #expect(throws: HubError("Failed to bind Stream message.")) { try await numbers.next() }
    }
}
