// SignalBox: a message with its number on one event loop, as a frame for every kind of classic transport
// SPDX-License-Identifier: Apache-2.0

import NIOCore
import SignalR
import SignalRWire

/// One message as a frame of its own. The frame is the same for every receiver on the event loop, so it is made once for each packaging,
/// around bytes that were encoded once for all event loops.
final class NumberedCall: NumberedMessage {
    let original: Outgoing
    private let kept: KeptMessage
    /// The cursor up to its number.
    private let prefix: String
    /// What follows its number in the cursor.
    private let place: String
    private let hub: String?

    init(_ original: Outgoing, _ kept: KeptMessage, prefix: String, place: String, hub: String?) {
        self.original = original
        self.kept = kept
        self.prefix = prefix
        self.place = place
        self.hub = hub
    }

    /// Receivers that read the journal by themselves get no bytes, which only tells them that there is something to read.
    func encode(_ format: Format, _ codecs: [any HubCodec]) -> ByteBuffer? {
        guard codecs[Int(format.codec)] is ClassicHubCodec else {
            return self.original.batch(for: format, codecs: codecs)?.bytes()
        }
        guard format.packaging != .bare else { return ByteBuffer() }
        return self.frame().flatMap { format.packaging.wrap($0) }
    }

    func frame() -> ByteBuffer? {
        var frame = ByteBufferAllocator().buffer(capacity: self.kept.bytes.readableBytes + 96)
        frame.writeStaticString("{\"C\":\"")
        frame.writeString(self.prefix)
        frame.writeString(String(self.kept.sequence, radix: 16, uppercase: true))
        frame.writeString(self.place)
        frame.writeStaticString("\",\"M\":[")
        guard self.kept.write(hub: self.hub, into: &frame) else { return nil }
        frame.writeStaticString("]}")
        return frame
    }
}

extension KeptMessage {
    /// The value in a frame's list of messages; false when it has none.
    func write(hub: String?, into buffer: inout ByteBuffer) -> Bool {
        guard self.isCall, let hub else {
            buffer.writeImmutableBuffer(self.bytes)
            return true
        }
        return (try? ClassicCodec.write(call: self.bytes, of: hub, into: &buffer)) != nil
    }
}
