// SignalBox: how a client is introduced to its app server
// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import NIOCore
import SignalR
import SignalRAccess
import SignalRWire

/// The content of OpenConnection (service reference, "OpenConnection content").
enum Introduction {
    static let instanceID = "Asrs-Instance-Id"
    static let migrateFrom = "Asrs-Migrate-From"
    static let migrateTo = "Asrs-Migrate-To"

    static func message(
        of connection: Connection, protocol name: String, instance: String, from oldServer: String? = nil
    ) -> ServiceMessage {
        var headers = headers(of: connection, instance: instance)
        if let oldServer { headers.append(.init(migrateFrom, [oldServer])) }
        return .openConnection(
            .init(
                id: connection.id.description, claims: claims(of: connection.user), headers: headers,
                query: query(of: connection.request), extension: .protocol(name)))
    }

    /// Every claim of the token, in the order of their names; one pair for each value.
    static func claims(of user: HubUser?) -> [ServiceMessage.Claim] {
        (user?.claims ?? [:]).sorted { $0.key < $1.key }.flatMap { name, value -> [ServiceMessage.Claim] in
            let long = ClaimNames.long(name)
            guard case .array(let values) = value else { return [.init(long, text(of: value))] }
            return values.map { .init(long, text(of: $0)) }
        }
    }

    private static func text(of value: HubValue) -> String {
        switch value {
        case .string(let text): text
        case .bool(let flag): flag ? "true" : "false"
        default: String(buffer: value.json)
        }
    }

    /// As the client sent it, but for what gives access.
    static func query(of request: RequestFeatures) -> String {
        let secrets: Set = ["access_token", "id"]
        let kept = request.rawQuery.split(separator: "&").filter { pair in
            let key = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)[0]
            return !secrets.contains(Query.decode(key.utf8).lowercased())
        }
        return "?" + kept.joined(separator: "&")
    }

    /// What concerns one hop only is left out, and what only a service may say.
    private static func headers(of connection: Connection, instance: String) -> [ServiceMessage.Header] {
        var headers: [ServiceMessage.Header] = []
        for field in connection.request.headers {
            let name = field.name.canonicalName
            guard !hopByHop.contains(name), !name.hasPrefix("asrs-"), name != "x-forwarded-for" else { continue }
            if let index = headers.firstIndex(where: { $0.name.lowercased() == name }) {
                headers[index].values.append(field.value)
            } else {
                headers.append(.init(field.name.rawName, [field.value]))
            }
        }
        let trace = TraceContext.handedOn("SignalBox/connect", from: TraceContext(connection.request.headers))
        for (name, value) in trace?.headers ?? [] { headers.append(.init(name, [value])) }
        if let addresses = addresses(of: connection.request) { headers.append(.init("X-Forwarded-For", [addresses])) }
        headers.append(.init(instanceID, [instance]))
        if connection.user?.claims["asrs.s.dc"]?.isTrue == true {
            headers.append(.init("Asrs-Is-Diagnostic-Client", ["true"]))
        }
        return headers
    }

    /// The client's own address comes first, after those that proxies in front of the service have put there.
    private static func addresses(of request: RequestFeatures) -> String? {
        let forwarded = request.headers.filter { $0.name.canonicalName == "x-forwarded-for" }.map(\.value)
        let all = forwarded + [request.remoteAddress?.ipAddress].compactMap { $0 }
        return all.isEmpty ? nil : all.joined(separator: ", ")
    }

    private static let hopByHop: Set = [
        "connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "te", "trailer",
        "transfer-encoding", "upgrade", "authorization", "sec-websocket-protocol",
        // Added again if they are valid.
        TraceContext.parentHeader, TraceContext.stateHeader,
    ]
}

extension HubValue {
    /// A claim that switches something on; tokens say it in either form.
    var isTrue: Bool {
        switch self {
        case .bool(let flag): flag
        case .string(let text): text.lowercased() == "true"
        default: false
        }
    }
}
