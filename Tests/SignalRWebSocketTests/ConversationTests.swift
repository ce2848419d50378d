// SignalBox: long conversations cut anywhere read the same
// SPDX-License-Identifier: Apache-2.0

import NIOCore
import Testing

@testable import _SignalRWebSocket

@Suite struct ConversationTests {
    /// Some of everything that is allowed.
    private static let mixed: [UInt8] =
        frame(1, "Hello ✓ 👋") + frame(9, "ping") + frame(2, [UInt8](0...255)) + frame(1, "in ", final: false)
        + frame(10, "")
        + frame(0, "three ", final: false) + frame(9, "") + frame(0, "pieces é") + frame(2, "")
        + frame(1, "", final: false)
        + frame(0, "") + frame(8, [0x0F, 0xA1] + Array("läuft".utf8))

    @Test func cutAtEveryByte() {
        let whole = Transcript(Self.mixed)
        #expect(whole.error == nil)
        #expect(whole.events.count == 11)
        for cut in 1..<Self.mixed.count {
            let reader = WebSocketReader(role: .server, maximumFrameSize: 1000, maximumInflatedSize: 0)
            #expect(Transcript(pieces: [Self.mixed[..<cut], Self.mixed[cut...]], reader: reader) == whole)
        }
    }

    @Test(arguments: 1...20) func cutIntoEqualPieces(step: Int) {
        #expect(Transcript(Self.mixed, step: step) == Transcript(Self.mixed))
    }

    /// Random messages, fragments, masks, pings and cuts; the generator knows what must come out.
    @Test(arguments: 0..<40) func random(seed: UInt64) {
        var random = Repeatable(seed: seed)
        let role: WebSocketReader.Role = seed.isMultiple(of: 2) ? .server : .client
        var bytes: [UInt8] = []
        var messages: [WebSocketEvent] = []
        var pings = 0
        for _ in 0..<Int.random(in: 1...20, using: &random) {
            let isText = Bool.random(using: &random)
            let payload = isText ? randomText(&random) : random.bytes(.random(in: 0...400, using: &random))
            messages.append(.data(ByteBuffer(bytes: payload), kind: isText ? .text : .binary, endOfMessage: true))
            var rest = payload[...]
            var opcode: UInt8 = isText ? 1 : 2
            repeat {
                let part = rest.prefix(.random(in: 0...(rest.count + 1), using: &random))
                rest = rest.dropFirst(part.count)
                let mask = role == .server ? random.bytes(4) : nil
                bytes += frame(opcode, Array(part), final: rest.isEmpty, mask: mask)
                opcode = 0
                guard Bool.random(using: &random) else { continue }
                bytes += frame(9, [UInt8(truncatingIfNeeded: pings)], mask: role == .server ? random.bytes(4) : nil)
                pings += 1
            } while !rest.isEmpty
        }
        let step = Int.random(in: 1...50, using: &random)
        let read = Transcript(bytes, role: role, step: step)
        #expect(read.error == nil)
        #expect(read.messages == messages)
        #expect(read.pings == (0..<pings).map { .ping(ByteBuffer(bytes: [UInt8(truncatingIfNeeded: $0)])) })
    }

    private func randomText(_ random: inout Repeatable) -> [UInt8] {
        let characters = Array("abcdefgh {}\":,0é✓👋\u{1F1E9}\u{10FFFF}\u{800}\u{D7FF}\u{E000}".unicodeScalars)
        var text = ""
        for _ in 0..<Int.random(in: 0...200, using: &random) {
            text.unicodeScalars.append(characters[.random(in: 0..<characters.count, using: &random)])
        }
        return Array(text.utf8)
    }

    @Test(arguments: 0..<20) func noBytesCrash(seed: UInt64) {
        var random = Repeatable(seed: seed)
        for _ in 0..<500 {
            var bytes = random.bytes(.random(in: 0...80, using: &random))
            // A good start now and then, or nearly everything ends at the first byte.
            if Bool.random(using: &random), bytes.count > 3 {
                bytes[1] = [0x01, 0x02, 0x81, 0x82, 0xC1, 0xC2, 0x88, 0x89][Int.random(in: 0..<8, using: &random)]
                bytes[2] = bytes[2] & 0x1F | (bytes[0] & 1 == 0 ? 0x80 : 0)
            }
            let agrees = bytes.withUnsafeBytes { WebSocketFuzzing.run($0) }
            #expect(agrees, "\(bytes)")
        }
    }
}

extension Transcript {
    /// Messages alone, with pieces joined over the control frames between them.
    fileprivate var messages: [WebSocketEvent] {
        var joined: [WebSocketEvent] = []
        for case .data(var piece, let kind, let end) in events {
            if case .data(var message, _, false) = joined.last {
                message.writeBuffer(&piece)
                joined[joined.count - 1] = .data(message, kind: kind, endOfMessage: end)
            } else {
                joined.append(.data(piece, kind: kind, endOfMessage: end))
            }
        }
        return joined
    }

    fileprivate var pings: [WebSocketEvent] {
        events.filter { if case .ping = $0 { true } else { false } }
    }
}
