// SignalBox: which operation of the REST data plane a method and a raw path name
// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import SignalR

/// The spellings of the API; they differ in paths, success codes and the shape of errors (service reference, "REST data plane").
enum RestDialect: Sendable {
    /// `/api/hubs/…?api-version=…`
    case dated
    /// `/api/v1/hubs/…`
    case v1
    /// `/api/v1-preview/hub/…`: sends only.
    case preview
}

/// What a REST caller asks for.
enum RestOperation: Hashable, Sendable {
    case health
    case send(HubTarget)
    case close(HubTarget)
    case closeConnection(String)
    case exists(HubTarget)
    case join(connection: String, group: String)
    case leave(connection: String, group: String)
    case leaveAll(connection: String)
    case addUser(String, group: String)
    case removeUser(String, group: String)
    case removeUserFromAll(String)
    case isMember(user: String, group: String)
    case makeToken
    /// Calls a client and waits for its result.
    case invoke(connection: String)
    /// An item of a stream that the client reads.
    case sendItem(connection: String, stream: String)
    case completeStream(connection: String, stream: String)
    /// The members of a group, by pages.
    case members(group: String)
    /// Commands for all connections that a filter picks.
    case execute
    /// A signing key for callers with an identity of elsewhere.
    case accessKey
    /// The OpenAPI document of a version; nil for the newest.
    case document(version: String?)
    /// The page that shows the document.
    case explorer
}

/// A request's place in the API.
struct RestRoute: Equatable, Sendable {
    var dialect: RestDialect
    /// Decoded, as written; empty for ``RestOperation/health``.
    var hub: String
    var operation: RestOperation

    /// - Parameter path: the raw path. It is split first and decoded then, since every id may hold an escaped slash.
    /// - Throws: ``RestError`` with 404, 405 or 400.
    init(_ method: HTTPRequest.Method, path: String) throws(RestError) {
        let segments = path.split(separator: "/", omittingEmptySubsequences: false).dropFirst()
            .map { Query.percentDecode($0.utf8, plusIsSpace: false) }
        guard let (dialect, rest) = Self.dialect(segments[...]) else { throw .unknownPath }
        self.dialect = dialect
        let operations: [HTTPRequest.Method: RestOperation]
        if let found = Self.operationsWithoutHub(rest, of: dialect) {
            self.hub = ""
            operations = found
        } else {
            guard rest.count >= 2, rest.first == (dialect == .preview ? "hub" : "hubs") else { throw .unknownPath }
            self.hub = rest[rest.startIndex + 1]
            var resource = Array(rest.dropFirst(2))
            if resource.last == "" { resource.removeLast() }
            guard let found = dialect == .preview ? Self.previewOperations(resource) : Self.operations(resource) else {
                throw .unknownPath
            }
            operations = found
        }
        guard let operation = operations[method == .head ? .get : method] else {
            let head: [HTTPRequest.Method] = operations[.get] == nil ? [] : [.head]
            throw .wrongMethod(allowed: (operations.keys + head).map(\.rawValue).sorted())
        }
        self.operation = operation
        try operation.check()
    }

    private static func dialect(_ segments: ArraySlice<String>) -> (RestDialect, ArraySlice<String>)? {
        guard segments.first == "api" else { return nil }
        let rest = segments.dropFirst()
        switch rest.first {
        case "v1": return (.v1, rest.dropFirst())
        case "v1-preview": return (.preview, rest.dropFirst())
        default: return (.dated, rest)
        }
    }

    /// What is not below a hub.
    private static func operationsWithoutHub(
        _ rest: ArraySlice<String>, of dialect: RestDialect
    ) -> [HTTPRequest.Method: RestOperation]? {
        func part(_ index: Int) -> String? { index < rest.count ? rest[rest.startIndex + index] : nil }
        switch (part(0), part(1), part(2), rest.count) {
        case ("health", _, _, 1): return [.get: .health]
        case ("auth", "accessKey", _, 2) where dialect != .preview: return [.get: .accessKey]
        case ("swagger", _, _, 1) where dialect == .dated, ("swagger", "", _, 2) where dialect == .dated:
            return [.get: .explorer]
        case ("swagger", "swagger.json", _, 2) where dialect == .dated: return [.get: .document(version: nil)]
        case ("swagger", let version?, "swagger.json", 3) where dialect == .dated:
            return [.get: .document(version: version)]
        default: return nil
        }
    }

    /// The operations of a resource by method; HEAD goes with GET. Both dialects get every spelling, as the local emulator has it.
    private static func operations(_ resource: [String]) -> [HTTPRequest.Method: RestOperation]? {
        if resource.count == 5 { return streamOperations(resource) }
        guard resource.count <= 4 else { return nil }
        func part(_ index: Int) -> String? { index < resource.count ? resource[index] : nil }
        switch (part(0), part(1), part(2), part(3)) {
        case (nil, nil, nil, nil), (":send", nil, nil, nil): return [.post: .send(.all)]
        case (":closeConnections", nil, nil, nil): return [.post: .close(.all)]
        case (":generateToken", nil, nil, nil): return [.post: .makeToken]
        case (":execute", nil, nil, nil): return [.post: .execute]
        case ("connections", let id?, ":invoke", nil): return [.post: .invoke(connection: id)]
        case ("groups", let group?, "connections", nil): return [.get: .members(group: group)]
        case ("connections", let id?, nil, nil):
            return [.post: .send(.connections([id])), .get: .exists(.connections([id])), .delete: .closeConnection(id)]
        case (let kind?, let id?, nil, nil):
            return target(kind, id).map { [.post: .send($0), .get: .exists($0)] }
        case (let kind?, let id?, ":send", nil): return target(kind, id).map { [.post: .send($0)] }
        case (let kind?, let id?, ":closeConnections", nil): return target(kind, id).map { [.post: .close($0)] }
        case ("connections", let id?, "groups", nil): return [.delete: .leaveAll(connection: id)]
        case ("users", let id?, "groups", nil): return [.delete: .removeUserFromAll(id)]
        case ("groups", let group?, "connections", let id?), ("connections", let id?, "groups", let group?):
            return [.put: .join(connection: id, group: group), .delete: .leave(connection: id, group: group)]
        case ("users", let user?, "groups", let group?), ("groups", let group?, "users", let user?):
            return [
                .put: .addUser(user, group: group), .delete: .removeUser(user, group: group),
                .get: .isMember(user: user, group: group),
            ]
        default: return nil
        }
    }

    private static func streamOperations(_ resource: [String]) -> [HTTPRequest.Method: RestOperation]? {
        guard resource[0] == "connections", resource[2] == "streams" else { return nil }
        switch resource[4] {
        case ":send": return [.post: .sendItem(connection: resource[1], stream: resource[3])]
        case ":complete": return [.post: .completeStream(connection: resource[1], stream: resource[3])]
        default: return nil
        }
    }

    private static func target(_ kind: String, _ id: String) -> HubTarget? {
        switch kind {
        case "users": .users([id])
        case "groups": .groups([id])
        case "connections": .connections([id])
        default: nil
        }
    }

    private static func previewOperations(_ resource: [String]) -> [HTTPRequest.Method: RestOperation]? {
        guard resource.count == 2 else { return resource.isEmpty ? [.post: .send(.all)] : nil }
        let several = resource[1].split(separator: ",", omittingEmptySubsequences: false).map(String.init)
        switch resource[0] {
        case "user": return [.post: .send(.users([resource[1]]))]
        case "users": return [.post: .send(.users(several))]
        case "group": return [.post: .send(.groups([resource[1]]))]
        case "groups": return [.post: .send(.groups(several))]
        default: return nil
        }
    }
}

extension RestOperation {
    private static let longestGroup = 1024
    private static let longestStream = 100

    fileprivate func check() throws(RestError) {
        for group in groups { try Self.check(group: group) }
        if let stream, stream.isEmpty || stream.count > Self.longestStream || stream.allSatisfy(\.isWhitespace) {
            throw .invalid("A stream id has 1 to \(Self.longestStream) characters that are not all blank.")
        }
        if ids.contains("") { throw .invalid("A user or connection id must not be empty.") }
    }

    static func check(group: String) throws(RestError) {
        guard !group.isEmpty, group.count <= longestGroup, !group.allSatisfy(\.isWhitespace) else {
            throw .invalid("A group name has 1 to \(longestGroup) characters that are not all blank.")
        }
    }

    private var groups: [String] {
        switch self {
        case .send(.groups(let names)), .close(.groups(let names)), .exists(.groups(let names)): names
        case .join(_, let group), .leave(_, let group), .addUser(_, let group), .removeUser(_, let group),
            .isMember(_, let group), .members(let group):
            [group]
        default: []
        }
    }

    /// Users and connections.
    private var ids: [String] {
        switch self {
        case .send(.users(let ids)), .close(.users(let ids)), .exists(.users(let ids)), .send(.connections(let ids)),
            .close(.connections(let ids)), .exists(.connections(let ids)):
            ids
        case .closeConnection(let id), .join(let id, _), .leave(let id, _), .leaveAll(let id), .addUser(let id, _),
            .removeUser(let id, _), .removeUserFromAll(let id), .isMember(let id, _), .invoke(let id),
            .sendItem(let id, _), .completeStream(let id, _):
            [id]
        default: []
        }
    }

    private var stream: String? {
        switch self {
        case .sendItem(_, let stream), .completeStream(_, let stream): stream
        default: nil
        }
    }
}
