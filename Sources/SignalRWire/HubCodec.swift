// SignalBox: what every encoding of hub messages offers
// SPDX-License-Identifier: Apache-2.0

public import NIOCore

/// What a transport has to carry.
public enum TransferFormat: Sendable {
    case text, binary
}

/// One encoding of hub messages, framing included.
public protocol HubCodec: Sendable {
    /// The name in the handshake, lower-case.
    var name: String { get }
    var transferFormat: TransferFormat { get }
    /// The highest protocol version it speaks.
    var maximumVersion: Int { get }

    /// Takes one whole message off the front of `buffer`.
    ///
    /// - Parameter maximumSize: The most bytes a message may have with its framing; nil for no limit.
    /// - Returns: nil when more bytes are needed; then `buffer` is untouched.
    /// - Throws: `HubProtocolError` when the bytes are no message or too many for one. The connection has to end.
    func read(from buffer: inout ByteBuffer, maximumSize: Int?) throws(HubProtocolError) -> HubMessage?

    /// Appends the framed message, byte for byte as .NET writes it.
    ///
    /// - Throws: `HubProtocolError` when the protocol cannot express the message; then `buffer` is as before.
    func write(_ message: HubMessage, into buffer: inout ByteBuffer) throws(HubProtocolError)
}

/// Bytes that break the protocol, or a message that cannot be put into bytes.
public struct HubProtocolError: Error, Sendable, Equatable, CustomStringConvertible {
    /// What is wrong, in .NET's words where it has some: peers and tests compare them.
    public let message: String

    public init(_ message: String) { self.message = message }

    public var description: String { self.message }
}

extension HubProtocolError {
    static let json = HubProtocolError("Error reading JSON.")
    static let messagePack = HubProtocolError("Error reading MessagePack.")

    static func tooLarge(_ limit: Int) -> HubProtocolError {
        HubProtocolError(
            "The maximum message size of \(limit)B was exceeded. "
                + "The message size can be configured in AddHubOptions."
        )
    }
}

extension ByteBuffer {
    /// Undoes what `body` wrote when it throws.
    mutating func writeOrRestore(
        _ body: (inout ByteBuffer) throws(HubProtocolError) -> Void
    ) throws(HubProtocolError) {
        let end = self.writerIndex
        do throws(HubProtocolError) {
            try body(&self)
        } catch {
            self.moveWriterIndex(to: end)
            throw error
        }
    }

    /// The readable bytes from `range.lowerBound` on, counted from the reader index. `range` must lie within them.
    func readableSlice(_ range: Range<Int>) -> ByteBuffer {
        var slice = self
        slice.moveWriterIndex(to: self.readerIndex + range.upperBound)
        slice.moveReaderIndex(forwardBy: range.lowerBound)
        return slice
    }
}
