// SignalBox: the MessagePack hub protocol
// SPDX-License-Identifier: Apache-2.0

public import NIOCore

/// The hub protocol "messagepack" (HubProtocol.md, "MessagePack (MsgPack) encoding"): one array per message, each with
/// its length before it.
public struct MessagePackHubCodec: HubCodec {
    public init() {}

    public var name: String { "messagepack" }
    public var transferFormat: TransferFormat { .binary }
    public var maximumVersion: Int { 2 }

    public func read(
        from buffer: inout ByteBuffer,
        maximumSize: Int?
    ) throws(HubProtocolError) -> HubMessage? {
        guard let frame = try LengthPrefix.readFrame(from: &buffer, maximumSize: maximumSize) else { return nil }
        return try frame.withUnsafeReadableBytes { bytes throws(HubProtocolError) in
            var reader = MessagePackMessageReader(frame: frame, bytes: bytes)
            return try reader.message()
        }
    }

    public func write(_ message: HubMessage, into buffer: inout ByteBuffer) throws(HubProtocolError) {
        buffer.reserveCapacity(minimumWritableBytes: HubMessage.usualSize)
        try buffer.writeOrRestore { buffer throws(HubProtocolError) in
            try LengthPrefix.writeFrame(into: &buffer) { buffer throws(HubProtocolError) in
                try message.writeMessagePack(into: &buffer)
            }
        }
    }
}
