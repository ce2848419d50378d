// SignalBox: what a token is good for, compared as loosely as the SDKs and their documentation need it
// SPDX-License-Identifier: Apache-2.0

import SignalR

/// The place that a token must be meant for.
///
/// The audience of a token is a URL, and its authors write it differently: without the port of the endpoint (every SDK), with it
/// (most samples), with the host that the app server uses while clients come through another one. So scheme, host and port do not count:
/// the signature already says that the token is for this service. Path and hub do (service reference, "Tokens").
struct Audience: Equatable {
    /// Decoded segments; empty ones are left out, and with them a trailing slash.
    private let path: [String]
    /// Lower case; nil where the path says it all.
    private let hub: String?

    static func client(hub: String) -> Audience { Audience(path: ["client"], hub: hub.lowercased()) }
    static func server(hub: String) -> Audience { Audience(path: ["server"], hub: hub.lowercased()) }
    /// Of ASP.NET app servers (service reference, "Classic ASP.NET SignalR").
    static func classicServer(hub: String) -> Audience { Audience(path: ["aspnetserver"], hub: hub.lowercased()) }
    /// The classic endpoint, for whichever hubs.
    static let classicClient = Audience(path: ["aspnetclient"], hub: nil)
    /// The client endpoint, for whichever hub.
    static let anyClient = Audience(path: ["client"], hub: nil)
    static func rest(path: String) -> Audience { Audience(path: segments(path[...]), hub: nil) }

    func matches(_ audience: String) -> Bool {
        guard let scheme = audience.firstRange(of: "://") else { return false }
        let parts = audience[scheme.upperBound...].split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        guard let start = parts[0].firstIndex(of: "/"), Self.segments(parts[0][start...]) == path else { return false }
        guard let hub else { return true }
        return Self.hubs(in: audience).map { $0.lowercased() } == [hub]
    }

    /// The hubs that an audience names.
    static func hubs(in audience: String) -> [String] {
        let parts = audience.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        return Query.values(of: "hub", in: parts.count > 1 ? String(parts[1]) : "")
    }

    private static func segments(_ path: Substring) -> [String] {
        path.split(separator: "/").map { Query.percentDecode($0.utf8, plusIsSpace: false) }
    }
}
