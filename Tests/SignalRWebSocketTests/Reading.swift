// SignalBox: what the WebSocket tests share: bytes by hand, a transcript of what a reader tells, repeatable randomness
// SPDX-License-Identifier: Apache-2.0

import NIOCore

@testable import _SignalRWebSocket

/// Everything a reader told about some bytes, with the pieces of each message joined.
struct Transcript: Equatable {
    var events: [WebSocketEvent] = []
    var error: WebSocketError?
    /// Bytes the reader left in the buffer.
    var leftOver = 0

    /// - Parameter step: how many bytes the reader gets at a time; nil for all at once.
    init(
        _ bytes: [UInt8], role: WebSocketReader.Role = .server, inflater: Inflater? = nil, step: Int? = nil,
        maximumFrameSize: Int = 1 << 20, maximumInflatedSize: Int = 1 << 20
    ) {
        let step = step ?? max(1, bytes.count)
        let pieces = stride(from: 0, to: bytes.count, by: step).map { bytes[$0..<min($0 + step, bytes.count)] }
        self.init(
            pieces: pieces,
            reader: WebSocketReader(
                role: role, maximumFrameSize: maximumFrameSize, inflater: inflater,
                maximumInflatedSize: maximumInflatedSize))
    }

    init(pieces: [ArraySlice<UInt8>], reader: WebSocketReader) {
        var reader = reader
        var buffer = ByteBuffer()
        do throws(WebSocketError) {
            for piece in pieces {
                buffer.writeBytes(piece)
                while let event = try reader.next(from: &buffer) { add(event) }
            }
        } catch {
            self.error = error
        }
        leftOver = buffer.readableBytes
    }

    private mutating func add(_ event: WebSocketEvent) {
        guard case .data(var piece, let kind, let end) = event, case .data(var message, _, false) = events.last else {
            return events.append(event)
        }
        message.writeBuffer(&piece)
        events[events.count - 1] = .data(message, kind: kind, endOfMessage: end)
    }
}

extension WebSocketEvent {
    static func text(_ text: String) -> Self { .data(ByteBuffer(string: text), kind: .text, endOfMessage: true) }
    static func binary(_ bytes: [UInt8]) -> Self { .data(ByteBuffer(bytes: bytes), kind: .binary, endOfMessage: true) }
}

/// A frame written by the rules of RFC 6455 §5.2, bit by bit and byte by byte, so as not to trust the writer under
/// test.
func frame(
    _ opcode: UInt8, _ payload: [UInt8], final: Bool = true, reserved: UInt8 = 0,
    mask: [UInt8]? = [0x37, 0xFA, 0x21, 0x3D]
) -> [UInt8] {
    var bytes = [(final ? 0x80 : 0) | reserved << 4 | opcode]
    let masked: UInt8 = mask == nil ? 0 : 0x80
    let lengthBytes = payload.count <= 125 ? 0 : payload.count <= 0xFFFF ? 2 : 8
    bytes.append(masked | (lengthBytes == 0 ? UInt8(payload.count) : lengthBytes == 2 ? 126 : 127))
    for place in (0..<lengthBytes).reversed() { bytes.append(UInt8(truncatingIfNeeded: payload.count >> (8 * place))) }
    guard let mask else { return bytes + payload }
    return bytes + mask + payload.enumerated().map { $1 ^ mask[$0 % 4] }
}

func frame(_ opcode: UInt8, _ payload: String, final: Bool = true) -> [UInt8] {
    frame(opcode, Array(payload.utf8), final: final)
}

extension ByteBuffer {
    var bytes: [UInt8] { Array(readableBytesView) }
}

/// SplitMix64: the same numbers on every run.
struct Repeatable: RandomNumberGenerator {
    var state: UInt64

    init(seed: UInt64) { self.state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ mixed >> 30) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
        return mixed ^ mixed >> 31
    }

    mutating func bytes(_ count: Int) -> [UInt8] {
        (0..<count).map { _ in UInt8.random(in: .min ... .max, using: &self) }
    }
}
