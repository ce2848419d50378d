// SignalBox: cuts an app server's bytes for a client where hub messages end
// SPDX-License-Identifier: Apache-2.0

import NIOCore
import SignalRWire

/// App servers send any slice of a client's byte stream, while clients expect every WebSocket message or event to hold whole hub messages
/// (service reference, "Sequence").
struct FrameCutter {
    /// The start of a message whose end has not come.
    private var partial: ByteBuffer?

    var heldBytes: Int { partial?.readableBytes ?? 0 }

    /// The whole messages that `bytes` complete; nil while there are none.
    /// - Throws: `HubProtocolError` for bytes that are no messages.
    mutating func whole(_ bytes: ByteBuffer, _ format: TransferFormat) throws(HubProtocolError) -> ByteBuffer? {
        guard var all = partial else { return cut(bytes, try format.wholeMessages(in: bytes)) }
        partial = nil
        let before = all.readableBytes
        all.writeImmutableBuffer(bytes)
        // Lengths have to be read from the start; a separator can only be in what is new.
        guard format == .text else { return cut(all, try format.wholeMessages(in: all)) }
        let new = try format.wholeMessages(in: bytes)
        return cut(all, new == 0 ? 0 : before + new)
    }

    /// What was held and `bytes`; nothing is held then.
    mutating func all(_ bytes: ByteBuffer) -> ByteBuffer {
        guard var all = partial else { return bytes }
        partial = nil
        all.writeImmutableBuffer(bytes)
        return all
    }

    mutating func hold(_ bytes: ByteBuffer) { partial = bytes }

    private mutating func cut(_ bytes: ByteBuffer, _ length: Int) -> ByteBuffer? {
        guard length > 0 else {
            partial = bytes.readableBytes > 0 ? bytes : nil
            return nil
        }
        guard length < bytes.readableBytes else { return bytes }
        var rest = bytes
        let whole = rest.readSlice(length: length)
        // A copy, so that what is left does not keep the whole read alive.
        partial = ByteBuffer(bytes: rest.readableBytesView)
        return whole
    }
}
