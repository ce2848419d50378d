// SignalBox: where a service is, and the URLs and tokens that it takes
// SPDX-License-Identifier: Apache-2.0

import Crypto
import SignalRAccess
import SignalRWire

/// A connection string at work, for one hub (service reference, "Connection string and URL building").
struct ServiceEndpoint: Sendable, CustomStringConvertible {
    /// As the service knows it.
    let hub: String
    private let connection: ConnectionString
    private let key: SymmetricKey

    /// Longer client tokens are not made; the app answers 413.
    static let maximumToken = 4096

    init(_ connectionString: String, hub: String, application: String?) throws(ConnectionStringError) {
        self.connection = try ConnectionString(connectionString)
        guard let key = connection.accessKey else { throw ConnectionStringError.withoutKey }
        self.key = SymmetricKey(data: Array(key.utf8))
        self.hub = (application.map { $0.isEmpty ? hub : "\($0)_\(hub)" } ?? hub).lowercased()
    }

    /// Without the key.
    var description: String { "\(connection)" }

    private var audience: String { ServiceURL.withoutPort(connection.endpoint) }
    private var hubQuery: String { "?hub=\(ServiceURL.escaped(hub))" }

    // MARK: App servers

    /// Where server connections go.
    /// - Parameter target: what the service asked for a connection to.
    func serverURL(connectionID: String, target: String) -> String {
        let url = "\(connection.serverEndpoint)/server/\(hubQuery)&cid=\(connectionID)"
        return target.isEmpty ? url : "\(url)&target=\(ServiceURL.escaped(target))"
    }

    func serverToken(_ server: String) -> String {
        AccessToken.issue(
            [.init(key: "nameid", value: .string(server))], audience: "\(audience)/server/\(hubQuery)",
            lifetime: .seconds(3600), with: key)
    }

    // MARK: Clients

    /// Where a client goes that negotiated at `path`, which is without `/negotiate`.
    func clientURL(path: String, query: String, requestID: String) -> String {
        var url = "\(connection.clientEndpoint)/client/\(hubQuery)"
        if !path.isEmpty { url += "&asrs.op=\(ServiceURL.escaped(path))" }
        // A credential for the app is none of the service's business, and in the way of the client's token for the service.
        let kept = query.split(separator: "&").filter { !$0.lowercased().hasPrefix("access_token=") }
        if !kept.isEmpty { url += "&\(kept.joined(separator: "&"))" }
        return "\(url)&asrs_request_id=\(ServiceURL.escaped(requestID))"
    }

    /// nil when it would be too long.
    func clientToken(_ claims: [HubValue.Member], lifetime: Duration) -> String? {
        let token = AccessToken.issue(
            claims, audience: "\(audience)/client/\(hubQuery)", lifetime: lifetime, with: key)
        return token.utf8.count <= Self.maximumToken ? token : nil
    }
}

extension ConnectionStringError {
    fileprivate static let withoutKey = ConnectionStringError(
        "A link needs a connection string with AccessKey; identity providers (AuthType) are not supported.")
}
