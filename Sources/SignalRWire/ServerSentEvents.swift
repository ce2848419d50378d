// SignalBox: the event stream of the server-sent events transport
// SPDX-License-Identifier: Apache-2.0

public import NIOCore

/// Events of the server-sent events transport (TransportProtocols.md; WHATWG HTML, "Server-sent events").
public enum ServerSentEvent {
    /// Appends the comment a response starts with, so that clients see the stream open.
    public static func writeOpening(into buffer: inout ByteBuffer) {
        buffer.writeStaticString(":\r\n")
    }

    /// Appends `payload` as one event, a `data` line for each of its lines. How its lines end is lost: the reader sees
    /// LF. A carriage return that ends no line stays as it is, and so it does when it is all there is on a line.
    public static func write(_ payload: ByteBuffer, into buffer: inout ByteBuffer) {
        payload.withUnsafeReadableBytes { bytes in
            var start = 0
            while start < bytes.count || start > 0 {
                let rest = UnsafeRawBufferPointer(rebasing: bytes[start...])
                let end = rest.offset(of: .lineFeed)
                var line = rest[..<(end ?? rest.count)]
                if end != nil, line.count > 1, line.last == .carriageReturn { line.removeLast() }
                buffer.writeStaticString("data: ")
                buffer.writeBytes(UnsafeRawBufferPointer(rebasing: line))
                buffer.writeStaticString("\r\n")
                guard let end else { break }
                start += end + 1
            }
        }
        buffer.writeStaticString("\r\n")
    }

    /// Takes events out of a response body that arrives in pieces.
    ///
    /// Lines end with LF or CRLF. An event that has no end yet when the stream ends is dropped.
    public struct Parser: Sendable {
        /// The most bytes of one event: its data, and a line that has not ended.
        public let maximumEventSize: Int

        private var pending = ByteBuffer()
        /// How many of the pending bytes are known to contain no LF.
        private var scanned = 0
        /// The data lines of the current event; nil before the first.
        private var data: ByteBuffer?

        public init(maximumEventSize: Int = 1 << 20) {
            self.maximumEventSize = maximumEventSize
        }

        public mutating func feed(_ bytes: ByteBuffer) {
            if self.pending.readableBytes == 0 {
                self.pending = bytes
            } else {
                self.pending.discardReadBytes()
                self.pending.writeImmutableBuffer(bytes)
            }
        }

        /// The data of the next whole event; nil when more bytes are needed.
        ///
        /// - Throws: `HubProtocolError` when an event is larger than `maximumEventSize`.
        public mutating func next() throws(HubProtocolError) -> ByteBuffer? {
            while var line = self.nextLine() {
                if line.readableBytes == 0 {
                    guard let event = self.data else { continue }
                    self.data = nil
                    return event
                }
                guard line.readData() else { continue }
                if self.data == nil {
                    self.data = line
                } else {
                    self.data?.writeInteger(UInt8.lineFeed)
                    self.data?.writeImmutableBuffer(line)
                }
                try self.checkSize()
            }
            try self.checkSize()
            return nil
        }

        private func checkSize() throws(HubProtocolError) {
            let size = self.scanned + (self.data?.readableBytes ?? 0)
            if size > self.maximumEventSize {
                throw HubProtocolError("A server-sent event exceeds \(self.maximumEventSize) bytes.")
            }
        }

        /// Takes a line without its end off the pending bytes.
        private mutating func nextLine() -> ByteBuffer? {
            let end = self.pending.withUnsafeReadableBytes { bytes in
                UnsafeRawBufferPointer(rebasing: bytes[self.scanned...]).offset(of: .lineFeed)
            }
            guard let end, var line = self.pending.readSlice(length: self.scanned + end) else {
                self.scanned = self.pending.readableBytes
                return nil
            }
            self.pending.moveReaderIndex(forwardBy: 1)
            self.scanned = 0
            if line.readableBytesView.last == .carriageReturn { line.moveWriterIndex(to: line.writerIndex - 1) }
            return line
        }
    }
}

extension ByteBuffer {
    /// Moves past the field name if this is a `data` line.
    fileprivate mutating func readData() -> Bool {
        let view = self.readableBytesView
        guard view.starts(with: "data".utf8) else { return false }
        let afterName = view.dropFirst(4)
        guard afterName.isEmpty || afterName.first == UInt8(ascii: ":") else { return false }
        let hasSpace = afterName.dropFirst().first == UInt8(ascii: " ")
        self.moveReaderIndex(forwardBy: min(view.count, hasSpace ? 6 : 5))
        return true
    }
}

extension UInt8 {
    fileprivate static let lineFeed = UInt8(ascii: "\n")
    fileprivate static let carriageReturn = UInt8(ascii: "\r")
}
