// SignalBox: where a URL leads: host, port, TLS, request target
// SPDX-License-Identifier: Apache-2.0

import NIOCore

/// An `http` or `https` URL in parts.
struct ServiceAddress: Equatable {
    let isSecure: Bool
    /// Without the brackets of an IPv6 address.
    let host: String
    let port: Int
    /// Path and query.
    let target: String
    /// The value of the header Host.
    let hostHeader: String

    struct Malformed: Error, CustomStringConvertible {
        let description: String
    }

    init(_ url: String) throws(Malformed) {
        let lower = url.lowercased()
        let isSecure = lower.hasPrefix("https://")
        guard isSecure || lower.hasPrefix("http://") else { throw Malformed(description: "\(url) is no http URL") }
        let rest = url.dropFirst(isSecure ? 8 : 7)
        let authority = rest.prefix { $0 != "/" && $0 != "?" }
        let target = rest[authority.endIndex...]
        // An IPv6 address has colons of its own, in brackets.
        let colon = authority.lastIndex(of: ":").flatMap { authority[$0...].contains("]") ? nil : $0 }
        let name = authority[..<(colon ?? authority.endIndex)]
        let number = colon.map { Int(authority[authority.index(after: $0)...]) ?? 0 }
        let port = number ?? (isSecure ? 443 : 80)
        guard !name.isEmpty, (1...65_535).contains(port) else {
            throw Malformed(description: "\(authority) is no host and port")
        }
        self.isSecure = isSecure
        self.host = String(name.hasPrefix("[") ? name.dropFirst().dropLast() : name)
        self.port = port
        self.target = target.hasPrefix("/") ? String(target) : "/\(target)"
        self.hostHeader = String(authority)
    }

    /// An address is no name that a certificate could be asked for.
    var isIPAddress: Bool { (try? SocketAddress(ipAddress: host, port: 0)) != nil }
}
