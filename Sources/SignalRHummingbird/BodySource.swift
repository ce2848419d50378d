// SignalBox: a request body that is still arriving, as an async sequence with back-pressure
// SPDX-License-Identifier: Apache-2.0

import NIOCore

/// The event loop's end of a streamed request body.
struct BodySource {
    typealias Sequence = NIOThrowingAsyncSequenceProducer<
        ByteBuffer, any Error, NIOAsyncSequenceProducerBackPressureStrategies.HighLowWatermark, Demand
    >

    /// Tells the connection that the reader wants more.
    struct Demand: NIOAsyncSequenceProducerDelegate {
        let resume: @Sendable () -> Void
        func produceMore() { resume() }
        func didTerminate() { resume() }
    }

    struct Incomplete: Error {}

    let sequence: Sequence
    private let source: Sequence.Source

    init(resume: @escaping @Sendable () -> Void) {
        let made = NIOThrowingAsyncSequenceProducer.makeSequence(
            elementType: ByteBuffer.self, failureType: (any Error).self,
            backPressureStrategy: NIOAsyncSequenceProducerBackPressureStrategies.HighLowWatermark(
                lowWatermark: 2, highWatermark: 8),
            finishOnDeinit: false, delegate: Demand(resume: resume))
        self.sequence = made.sequence
        self.source = made.source
    }

    /// False when the reader has enough for now.
    func yield(_ piece: ByteBuffer) -> Bool {
        if case .stopProducing = source.yield(piece) { false } else { true }
    }

    func finish() { source.finish() }
    /// The client went away.
    func fail() { source.finish(Incomplete()) }
}
