// SignalBox: where messages end, and how large they may be
// SPDX-License-Identifier: Apache-2.0

import NIOCore
import Testing

@testable import SignalRWire

@Suite struct FramingTests {
    @Test(arguments: Vector.of("framing-binary", ["parse"]).filter { $0.outcome == "ok" })
    func readsFrames(_ vector: Vector) throws {
        var wire = vector.wire
        var frames: [String] = []
        while let frame = try LengthPrefix.readFrame(from: &wire, maximumSize: nil) { frames.append(frame.hex) }
        #expect(frames == (vector["outcome"]?["payloads"]?.items ?? []).compactMap(\.text))
        #expect(wire.readableBytes == 0)
    }

    @Test(arguments: Vector.of("framing-binary", ["parse"]).filter { $0.outcome == "incomplete" })
    func waitsForMore(_ vector: Vector) throws {
        var wire = vector.wire
        #expect(try LengthPrefix.readFrame(from: &wire, maximumSize: nil) == nil)
        #expect(wire == vector.wire)
    }

    @Test(arguments: Vector.of("framing-binary", ["parse"]).filter { $0.outcome == "protocolError" })
    func refusesLengths(_ vector: Vector) throws {
        var wire = vector.wire
        let text = try #require(vector["outcome"]?["text"]?.text)
        #expect(throws: HubProtocolError(text)) { try LengthPrefix.readFrame(from: &wire, maximumSize: nil) }
    }

    @Test(arguments: Vector.of("framing-binary", ["both"]))
    func lengths(_ vector: Vector) throws {
        let number = try #require(vector.message.number)
        var written = ByteBuffer(repeating: 0, count: VarInt.length(of: number))
        VarInt.set(number, at: 0, in: &written)
        #expect(written == vector.wire)
        let read = try vector.wire.withUnsafeReadableBytes { try VarInt.read($0) }
        #expect(read?.value == number)
        #expect(read?.length == vector.wire.readableBytes)
    }

    /// Around every change of the prefix's length, behind bytes that must stay as they are.
    @Test(arguments: [0, 1, 127, 128, 16383, 16384, 2_097_151, 2_097_152])
    func writesFrames(_ length: Int) throws {
        let body = ByteBuffer(bytes: (0..<length).map { UInt8(truncatingIfNeeded: $0 &* 31) })
        var buffer = ByteBuffer(string: "before")
        try LengthPrefix.writeFrame(into: &buffer) { buffer in _ = buffer.writeImmutableBuffer(body) }
        #expect(buffer.readString(length: 6) == "before")
        #expect(try LengthPrefix.readFrame(from: &buffer, maximumSize: nil) == body)
        #expect(buffer.readableBytes == 0)
    }

    // MARK: Size limit

    static let tooLarge = HubProtocolError(
        "The maximum message size of 32768B was exceeded. The message size can be configured in AddHubOptions."
    )

    @Test func aTextMessageMayFillTheLimit() throws {
        var exact = Self.textMessage(32768)
        #expect(try JSONHubCodec().read(from: &exact, maximumSize: 32768) != nil)
        var larger = Self.textMessage(32769)
        #expect(throws: Self.tooLarge) { try JSONHubCodec().read(from: &larger, maximumSize: 32768) }
    }

    @Test func aTextMessageIsTooLargeAsSoonAsItsBytesAre() throws {
        var bytes = ByteBuffer(repeating: UInt8(ascii: " "), count: 32768)
        #expect(try JSONHubCodec().read(from: &bytes, maximumSize: 32768) == nil)
        bytes.writeInteger(UInt8(ascii: " "))
        #expect(throws: Self.tooLarge) { try JSONHubCodec().read(from: &bytes, maximumSize: 32768) }
        #expect(bytes.readableBytes == 32769)
    }

    @Test func smallMessagesMayComeTogether() throws {
        var bytes = ByteBuffer()
        for _ in 0..<10_000 { bytes.writeString("{\"type\":6}\u{1E}") }
        var count = 0
        while let message = try JSONHubCodec().read(from: &bytes, maximumSize: 32768) {
            #expect(message == .ping)
            count += 1
        }
        #expect(count == 10_000)
    }

    @Test func aBinaryMessageMayFillTheLimit() throws {
        var exact = try Self.binaryMessage(32768)
        #expect(try MessagePackHubCodec().read(from: &exact, maximumSize: 32768) != nil)
        var larger = try Self.binaryMessage(32769)
        #expect(throws: Self.tooLarge) { try MessagePackHubCodec().read(from: &larger, maximumSize: 32768) }
    }

    @Test func aBinaryMessageIsTooLargeAsSoonAsItsLengthIs() throws {
        var bytes = ByteBuffer(hex: "ffffffff07")
        #expect(throws: Self.tooLarge) { try MessagePackHubCodec().read(from: &bytes, maximumSize: 32768) }
    }

    private static func textMessage(_ size: Int) -> ByteBuffer {
        let message = "{\"type\":6}\u{1E}"
        return ByteBuffer(string: String(repeating: " ", count: size - message.utf8.count) + message)
    }

    private static func binaryMessage(_ size: Int) throws -> ByteBuffer {
        var buffer = ByteBuffer()
        try LengthPrefix.writeFrame(into: &buffer) { buffer in
            buffer.writeBytes([0x91, 0x06])
            buffer.writeRepeatingByte(0, count: size - 3 - 2)
        }
        #expect(buffer.readableBytes == size)
        return buffer
    }
}
