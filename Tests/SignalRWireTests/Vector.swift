// SignalBox: the protocol's test vectors
// SPDX-License-Identifier: Apache-2.0

import Foundation
import NIOCore
import SignalRWire
import Testing

/// One entry of Tests/Vectors/hub-vectors.json; the file's `meta` explains the fields.
struct Vector: Sendable, CustomTestStringConvertible {
    let fields: HubValue

    var testDescription: String { self.name }
    var name: String { self["name"]?.text ?? "" }
    var outcome: String { self["outcome"]?["kind"]?.text ?? "" }
    var message: HubValue { self["message"] ?? .null }
    /// Where a Swift peer is more lenient than .NET, its outcome and message count.
    var recommended: HubValue? { self["recommended"] }

    var wire: ByteBuffer {
        let text = self["wire"]?.text ?? ""
        return self["wireEncoding"]?.text == "hex" ? ByteBuffer(hex: text) : ByteBuffer(string: text)
    }

    subscript(key: String) -> HubValue? { self.fields[key] }

    static let all: [Vector] = {
        guard let bytes = try? Data(contentsOf: Self.file),
            case .array(let vectors)? = try? JSON.value(from: ByteBuffer(bytes: bytes))["vectors"]
        else { return [] }
        return vectors.map(Vector.init)
    }()

    static let file = URL(filePath: #filePath).deletingLastPathComponent()
        .appending(path: "../Vectors/hub-vectors.json")

    static func of(_ protocol: String, _ directions: Set<String> = ["both", "parse", "write", "exchange"]) -> [Vector] {
        self.all.filter { $0["protocol"]?.text == `protocol` && directions.contains($0["direction"]?.text ?? "") }
    }
}

@Suite struct VectorTests {
    /// The other suites would pass without a single vector.
    @Test func allAreThere() throws {
        let counts = Dictionary(grouping: Vector.all) { $0["protocol"]?.text ?? "" }.mapValues(\.count)
        #expect(
            counts == [
                "json": 122, "handshake": 32, "messagepack": 109, "framing-binary": 19, "sse": 12, "negotiate": 12,
                "redis": 17,
            ]
        )
    }
}

extension HubValue {
    var text: String? { if case .string(let text) = self { text } else { nil } }
    var number: Int? { if case .int(let number) = self { Int(number) } else { nil } }
    var items: [HubValue] { if case .array(let items) = self { items } else { [] } }
    var members: [Member] { if case .map(let members) = self { members } else { [] } }
}

extension ByteBuffer {
    init(hex: String) {
        let digits = Array(hex)
        self.init(
            bytes: stride(from: 0, to: digits.count - 1, by: 2).compactMap {
                UInt8(String(digits[$0...$0 + 1]), radix: 16)
            }
        )
    }

    var hex: String { self.readableBytesView.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined() }
    var text: String { String(buffer: self) }
}
