// SignalBox: base64 both ways
// SPDX-License-Identifier: Apache-2.0

import Foundation
import NIOCore
import SignalRWire
import Testing

@Suite struct Base64Tests {
    /// RFC 4648 §10.
    @Test(arguments: [
        ("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("fooba", "Zm9vYmE="),
        ("foobar", "Zm9vYmFy"),
    ])
    func standardVectors(_ text: String, _ base64: String) {
        var buffer = ByteBuffer()
        Base64.encode(Array(text.utf8), into: &buffer)
        #expect(buffer.text == base64)
        #expect(Base64.decode(base64) == Array(text.utf8))
    }

    @Test func everyLengthAsFoundationDoes() {
        var random = SplitMix64(state: 7)
        for length in 0..<200 {
            let bytes = (0..<length).map { _ in UInt8(truncatingIfNeeded: random.next()) }
            var buffer = ByteBuffer()
            Base64.encode(bytes, into: &buffer)
            #expect(buffer.text == Data(bytes).base64EncodedString())
            #expect(Base64.decode(buffer.text) == bytes)
        }
    }

    @Test(arguments: [
        "Z", "Zg", "Zg=", "Zm8", "====", "=", "Z===", "Zg==Zg==", "Z=g=", "Zm9v\n", "Zm9-", "Zm9_", "Zmé=", "=Zm8",
    ])
    func refuses(_ text: String) {
        #expect(Base64.decode(text) == nil)
    }
}
