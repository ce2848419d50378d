// SignalBox: the request of a client, as the service tells of it
// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import NIOCore
import SignalR
import SignalRWire

extension HubRequest {
    /// As if the client had asked the app itself: at the path that it negotiated at, from its own address
    /// (service reference, "OpenConnection content").
    init(_ introduction: ServiceMessage.OpenConnection) {
        let query = introduction.query.hasPrefix("?") ? String(introduction.query.dropFirst()) : introduction.query
        var fields = HTTPFields()
        for header in introduction.headers where !Self.isOfService(header.name) {
            guard let name = HTTPField.Name(header.name) else { continue }
            for value in header.values { fields.append(HTTPField(name: name, value: value)) }
        }
        self.init(
            method: .get, path: Query.value(of: "asrs.op", in: query) ?? "", rawQuery: query, headers: fields,
            remoteAddress: Self.address(introduction.headers))
    }

    /// Where a client that moved came from is for the hub to know; the rest is between services and servers.
    private static func isOfService(_ name: String) -> Bool {
        let name = name.lowercased()
        return name.hasPrefix("asrs-") && name != ServiceHeader.migrateFrom
    }

    /// The first one that was forwarded for, with a port that is not known.
    private static func address(_ headers: [ServiceMessage.Header]) -> SocketAddress? {
        let forwarded = headers.first { $0.name.lowercased() == "x-forwarded-for" }?.values.first
        let first = forwarded?.split(separator: ",").first?.filter { $0 != " " }
        return first.flatMap { try? SocketAddress(ipAddress: $0, port: 0) }
    }
}
