// SignalBox: the parts of URLs that audiences and requests are made of
// SPDX-License-Identifier: Apache-2.0

package enum ServiceURL {
    /// Scheme and host: what the SDKs put into audiences.
    package static func withoutPort(_ endpoint: String) -> String {
        guard let scheme = endpoint.firstRange(of: "://") else { return endpoint }
        let host = endpoint[scheme.upperBound...].prefix { $0 != "/" }
        // An IPv6 address has colons of its own, in brackets.
        let end = host.lastIndex(of: ":").flatMap { host[$0...].contains("]") ? nil : $0 } ?? host.endIndex
        return String(endpoint[..<end])
    }

    /// Everything but RFC 3986's unreserved characters escaped.
    package static func escaped(_ text: String) -> String {
        let hex = Array("0123456789ABCDEF")
        return text.utf8.reduce(into: "") { escaped, byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
                UInt8(ascii: "~"):
                escaped.unicodeScalars.append(Unicode.Scalar(byte))
            default: escaped += "%\(hex[Int(byte >> 4)])\(hex[Int(byte & 15)])"
            }
        }
    }
}
