// SignalBox: a place to listen at, as people write it on a command line
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser

/// `http://HOST:PORT`, or `https://HOST:PORT;certificate=FILE;key=FILE`.
struct Listener: Hashable, ExpressibleByArgument, CustomStringConvertible {
    var host: String
    /// 0 for a free one.
    var port: Int
    var tls: TLSFiles?

    init(host: String, port: Int, tls: TLSFiles?) {
        self.host = host
        self.port = port
        self.tls = tls
    }

    init?(argument: String) {
        let parts = argument.split(separator: ";", omittingEmptySubsequences: false)
        guard let url = parts.first, let end = url.firstRange(of: "://") else { return nil }
        let place = url[end.upperBound...]
        guard let colon = place.lastIndex(of: ":"), let port = Int(place[place.index(after: colon)...]),
            (0...65_535).contains(port)
        else { return nil }
        let host = place[..<colon].trimmingPrefix("[")
        self.host = String(host.last == "]" ? host.dropLast() : host)
        self.port = port
        guard !self.host.isEmpty, !self.host.contains("/") else { return nil }
        switch url[..<end.lowerBound] {
        case "http" where parts.count == 1: self.tls = nil
        case "https" where parts.count == 3:
            let files = parts.dropFirst().map { $0.split(separator: "=", maxSplits: 1).map(String.init) }
            guard files.map(\.first) == ["certificate", "key"], files.allSatisfy({ $0.count == 2 }) else { return nil }
            self.tls = TLSFiles(certificate: files[0][1], key: files[1][1])
        default: return nil
        }
    }

    var scheme: String { tls == nil ? "http" : "https" }
    var place: String { (host.contains(":") ? "[\(host)]" : host) + ":\(port)" }

    var description: String {
        "\(scheme)://\(place)" + (tls.map { ";certificate=\($0.certificate);key=\($0.key)" } ?? "")
    }
}
