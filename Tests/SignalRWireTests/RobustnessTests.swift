// SignalBox: every parser with bytes nobody would send on purpose
// SPDX-License-Identifier: Apache-2.0

import Foundation
import NIOCore
import SignalRWire
import Testing

@Suite struct RobustnessTests {
    /// What fuzzing has found once. Each file's folder names its parser.
    @Test(arguments: WireProperty.allCases)
    func regressionsStayFixed(_ property: WireProperty) throws {
        let folder = Vector.file.deletingLastPathComponent()
            .appending(path: "../../Fuzz/Regressions/\(property.rawValue)")
        for file in try FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil) {
            #expect(throws: Never.self, "\(file.lastPathComponent)") {
                try property.check(Array(Data(contentsOf: file)))
            }
        }
    }

    /// Every vector, whatever it was made for, through every parser.
    @Test(arguments: WireProperty.allCases)
    func vectorsHold(_ property: WireProperty) throws {
        for vector in Vector.all {
            #expect(throws: Never.self, "\(vector.name)") { try property.check(Array(vector.wire.readableBytesView)) }
        }
    }

    /// Vectors with a few bytes changed, added, removed or repeated.
    @Test(arguments: WireProperty.allCases)
    func mutatedVectorsHold(_ property: WireProperty) throws {
        var random = SplitMix64(state: 0x5EED)
        for vector in Vector.all where vector.wire.readableBytes < 400 {
            for _ in 0..<20 {
                let bytes = Array(vector.wire.readableBytesView).mutated(by: &random)
                #expect(throws: Never.self, "\(vector.name) as \(ByteBuffer(bytes: bytes).hex)") {
                    try property.check(bytes)
                }
            }
        }
    }

    /// All messages of a protocol in one stream, cut at every byte and read byte by byte.
    @Test(arguments: ["json", "messagepack"])
    func messagesMayBeCutAnywhere(_ name: String) throws {
        let vectors = Vector.of(name, ["both"]).filter { $0.wire.readableBytes < 400 }
        let codec = try #require(vectors.first).codec
        let stream = vectors.reduce(into: ByteBuffer()) { $0.writeImmutableBuffer($1.wire) }
        let whole = try Self.messages(in: [stream], codec)
        #expect(whole.count == vectors.count)
        #expect(try Self.messages(in: stream.readableBytesView.map { ByteBuffer(bytes: [$0]) }, codec) == whole)
        for vector in vectors {
            let wire = vector.wire
            for cut in 0...wire.readableBytes {
                let pieces = [
                    wire.getSlice(at: 0, length: cut), wire.getSlice(at: cut, length: wire.readableBytes - cut),
                ]
                #expect(try Self.messages(in: pieces.compactMap(\.self), codec) == Self.messages(in: [wire], codec))
            }
        }
    }

    private static func messages(in pieces: [ByteBuffer], _ codec: any HubCodec) throws -> [HubMessage] {
        var buffer = ByteBuffer()
        var messages: [HubMessage] = []
        for piece in pieces {
            buffer.writeImmutableBuffer(piece)
            while let message = try codec.read(from: &buffer, maximumSize: 32768) { messages.append(message) }
        }
        #expect(buffer.readableBytes == 0)
        return messages
    }

    @Test func handshakesMayBeCutAnywhere() throws {
        for vector in Vector.of("handshake", ["both"]) {
            var buffer = ByteBuffer()
            let bytes = vector.wire.readableBytesView
            for byte in bytes.dropLast() {
                buffer.writeInteger(byte)
                #expect(try HandshakeRequest.read(from: &buffer, maximumSize: 100) == nil)
                #expect(try HandshakeResponse.read(from: &buffer, maximumSize: 100) == nil)
            }
            buffer.writeInteger(try #require(bytes.last))
            if vector.message["protocol"] == nil {
                #expect(try HandshakeResponse.read(from: &buffer, maximumSize: 100) != nil)
            } else {
                #expect(try HandshakeRequest.read(from: &buffer, maximumSize: 100) != nil)
            }
        }
    }
}

extension [UInt8] {
    fileprivate func mutated(by random: inout SplitMix64) -> [UInt8] {
        var bytes = self
        for _ in 0...Int.random(in: 0..<3, using: &random) {
            let index = Int.random(in: 0...bytes.count, using: &random)
            let byte = UInt8.random(in: 0...255, using: &random)
            switch Int.random(in: 0..<5, using: &random) {
            case 0 where index < bytes.count: bytes[index] = byte
            case 1 where index < bytes.count: bytes[index] ^= 1 << (byte & 7)
            case 2 where index < bytes.count: bytes.remove(at: index)
            case 3: bytes.insert(contentsOf: bytes[index...].prefix(Int(byte & 15)), at: index)
            default: bytes.insert(byte, at: index)
            }
        }
        return bytes
    }
}
