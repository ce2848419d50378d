// SignalBox: a message that a protocol cannot express is told in the log, not dropped in silence
// SPDX-License-Identifier: Apache-2.0

import Logging
import NIOConcurrencyHelpers
import NIOCore
import NIOEmbedded
import SignalRWire
import Testing

@testable import SignalR

@Suite struct UnwritableMessageTests {
    private final class Lines: Sendable {
        let all = NIOLockedValueBox<[String]>([])
    }

    private struct Recorder: LogHandler {
        let lines: Lines
        var metadata: Logger.Metadata = [:]
        var logLevel = Logger.Level.info
        subscript(metadataKey key: String) -> Logger.Metadata.Value? {
            get { metadata[key] }
            set { metadata[key] = newValue }
        }
        func log(event: LogEvent) {
            lines.all.withLockedValue { $0.append(event.metadata?["signalr.protocol"]?.description ?? "") }
        }
    }

    private let lines = Lines()
    private var shard: ConnectionShard {
        ConnectionShard(
            eventLoop: EmbeddedEventLoop(), codecs: [JSONHubCodec(), MessagePackHubCodec()],
            logger: Logger(label: "test") { _ in Recorder(lines: lines) })
    }
    private let json = Format(codec: 0, packaging: .bare)
    private let binary = Format(codec: 1, packaging: .bare)

    @Test func `JSON has no NaN`() {
        let call = HubMessage.Invocation(id: nil, target: "m", arguments: .values([.double(.nan)]))
        let message = Outgoing(.invocation(call))
        #expect(shard.encoded(message, json) == nil)
        #expect(shard.encoded(message, binary) != nil)
        #expect(lines.all.withLockedValue { $0 } == ["json"])
    }

    @Test func `A protocol that the sender left out is no failure`() {
        #expect(shard.encoded(Outgoing(.encoded(["json": ByteBuffer(string: "x")])), binary) == nil)
        #expect(lines.all.withLockedValue { $0 } == [])
    }
}
