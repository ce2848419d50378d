// SignalBox: what the fuzzer of the WebSocket reader runs
// SPDX-License-Identifier: Apache-2.0

import NIOCore

/// Not for use in programs. Public because the fuzz targets are a package of their own.
public enum WebSocketFuzzing {
    /// Reads the bytes as one WebSocket's input, whole and cut into pieces, and compares. The first byte chooses role,
    /// compression and the cuts.
    /// - Returns: false if the two ways differ, which is a bug of the reader.
    @discardableResult
    public static func run(_ bytes: UnsafeRawBufferPointer) -> Bool {
        guard let choice = bytes.first else { return true }
        let input = ByteBuffer(bytes: bytes.dropFirst())
        let step = Int(choice >> 2 & 0x0F) + 1
        return read(input, choice: choice, step: max(1, input.readableBytes)) == read(input, choice: choice, step: step)
    }

    private static func read(_ input: ByteBuffer, choice: UInt8, step: Int) -> Transcript {
        let inflater = choice & 2 == 0 ? nil : Inflater()
        var reader = WebSocketReader(
            role: choice & 1 == 0 ? .server : .client, maximumFrameSize: 1 << 16, inflater: inflater,
            maximumInflatedSize: 1 << 18)
        var transcript = Transcript()
        var input = input
        var buffer = ByteBuffer()
        do throws(WebSocketError) {
            while input.readableBytes > 0, let piece = input.readSlice(length: min(step, input.readableBytes)) {
                buffer.writeImmutableBuffer(piece)
                while let event = try reader.next(from: &buffer) { transcript.add(event) }
            }
        } catch {
            transcript.fail(error, isInflating: inflater != nil)
        }
        return transcript
    }
}

private struct Transcript: Equatable {
    private var events: [WebSocketEvent] = []
    private var error: WebSocketError?

    /// Joins the pieces of a message, since where they are cut depends on how they came.
    mutating func add(_ event: WebSocketEvent) {
        guard case .data(var piece, let kind, let endOfMessage) = event,
            case .data(var message, _, endOfMessage: false) = events.last
        else { return events.append(event) }
        events.removeLast()
        message.writeBuffer(&piece)
        events.append(.data(message, kind: kind, endOfMessage: endOfMessage))
    }

    /// How much of a bad frame's payload was told before the error depends on the cuts. So does, in a compressed
    /// message, which of its errors is seen first.
    mutating func fail(_ error: WebSocketError, isInflating: Bool) {
        self.error = isInflating ? .invalidPayload("") : error
        if case .data(_, _, endOfMessage: false) = events.last { events.removeLast() }
    }
}
