// SignalBox: a channel's reads grow and shrink with what its client sends
// SPDX-License-Identifier: Apache-2.0

import NIOCore
import Testing

@testable import SignalRHummingbird

@Suite struct ReceiveBufferTests {
    private func sizes(after reads: [Int]) -> [Int?] {
        var buffer = ReceiveBuffer()
        return reads.map {
            _ = buffer.record(actualReadBytes: $0)
            return buffer.nextBufferSize()
        }
    }

    @Test func fullReadsDoubleIt() {
        #expect(sizes(after: [256, 511, 512, 1024]) == [512, 512, 1024, 2048])
    }

    @Test func itIsBounded() {
        #expect(sizes(after: Array(repeating: 65_536, count: 20)).last == 65_536)
        #expect(sizes(after: Array(repeating: 0, count: 20)).last == 256)
    }

    @Test func twoSmallReadsInARowHalveIt() {
        #expect(
            sizes(after: [256, 512, 1024, 10, 10, 10, 1024, 10]) == [512, 1024, 2048, 2048, 1024, 1024, 2048, 2048])
    }

    @Test func growthIsTold() {
        var buffer = ReceiveBuffer()
        #expect(buffer.record(actualReadBytes: 256))
        #expect(!buffer.record(actualReadBytes: 100))
    }

    @Test func aBufferHasTheSize() {
        #expect(ReceiveBuffer().buffer(allocator: ByteBufferAllocator()).capacity >= 256)
    }
}
