// SignalBox: connection strings, by which apps and tools find a service
// SPDX-License-Identifier: Apache-2.0

/// `Endpoint=https://host;Port=8888;AccessKey=…;Version=1.0;` (service reference, "Connection string and URL building").
public struct ConnectionString: Sendable, Equatable, CustomStringConvertible {
    /// Where the service is, without a trailing slash.
    public var endpoint: String
    /// nil when identities come from elsewhere (`AuthType`).
    public var accessKey: String?
    public var version: String?
    /// Where clients find the service, if it is another place.
    public var clientEndpoint: String
    /// Where app servers find the service, if it is another place.
    public var serverEndpoint: String

    public init(endpoint: String, accessKey: String) {
        self.endpoint = endpoint
        self.accessKey = accessKey
        self.version = "1.0"
        self.clientEndpoint = endpoint
        self.serverEndpoint = endpoint
    }

    /// Keys are compared without regard to case; values may hold `=`.
    /// - Throws: ``ConnectionStringError`` that names what is wrong.
    public init(_ text: String) throws(ConnectionStringError) {
        let properties = try Self.properties(text)
        guard let endpoint = properties["endpoint"], properties["accesskey"] != nil || properties["authtype"] != nil
        else {
            throw ConnectionStringError("A connection string needs Endpoint and AccessKey.")
        }
        let base = try Self.url(endpoint, "Endpoint")
        self.accessKey = properties["accesskey"]
        self.version = try Self.version(properties["version"])
        self.endpoint =
            try properties["port"].map { port throws(ConnectionStringError) in
                try Self.replacingPort(of: base, by: port)
            } ?? base
        self.clientEndpoint =
            try properties["clientendpoint"].map { url throws(ConnectionStringError) in
                try Self.url(url, "ClientEndpoint")
            } ?? self.endpoint
        self.serverEndpoint =
            try properties["serverendpoint"].map { url throws(ConnectionStringError) in
                try Self.url(url, "ServerEndpoint")
            } ?? self.endpoint
    }

    /// The whole string, key included: it is what people paste into their app's settings.
    public var connectionString: String { "Endpoint=\(endpoint);AccessKey=\(accessKey ?? "");Version=1.0;" }
    /// Without the key, so that it may be logged.
    public var description: String { "Endpoint=\(endpoint)" }

    private static func properties(_ text: String) throws(ConnectionStringError) -> [String: String] {
        var properties: [String: String] = [:]
        for property in text.split(separator: ";") where !property.allSatisfy(\.isWhitespace) {
            let parts = property.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard parts.count == 2 else {
                throw ConnectionStringError("A connection string consists of Key=Value; pairs.")
            }
            let key = parts[0].filter { !$0.isWhitespace }.lowercased()
            guard properties.updateValue(String(parts[1]), forKey: key) == nil else {
                throw ConnectionStringError("The connection string has \(parts[0]) twice.")
            }
        }
        return properties
    }

    private static func url(_ text: String, _ name: String) throws(ConnectionStringError) -> String {
        let lower = text.lowercased()
        let host =
            lower.hasPrefix("http://") ? lower.dropFirst(7) : lower.hasPrefix("https://") ? lower.dropFirst(8) : ""
        guard let first = host.first, first != "/", first != ":", !host.contains(where: \.isWhitespace) else {
            throw ConnectionStringError("\(name) must be a URL that starts with http:// or https://.")
        }
        return text.hasSuffix("/") ? String(text.dropLast()) : text
    }

    private static func replacingPort(of url: String, by text: String) throws(ConnectionStringError) -> String {
        guard let port = Int(text), (1...65_535).contains(port) else {
            throw ConnectionStringError("Port must be a number from 1 to 65535.")
        }
        return "\(ServiceURL.withoutPort(url)):\(port)"
    }

    /// Major version 1, a dot, digits, and maybe a suffix after a dash.
    private static func version(_ text: String?) throws(ConnectionStringError) -> String? {
        guard let text else { return nil }
        let number = text.prefix { $0 != "-" }
        guard number.hasPrefix("1."), number.count > 2, number.dropFirst(2).allSatisfy({ ("0"..."9").contains($0) })
        else {
            throw ConnectionStringError("Version \(text) is not supported; 1.0 is.")
        }
        return text
    }
}

/// A connection string that cannot be used. The text never holds the key.
public struct ConnectionStringError: Error, Sendable, Equatable, CustomStringConvertible {
    public let description: String
    package init(_ description: String) { self.description = description }
}
