// SignalBox: every documented operation of the REST API, as its OpenAPI document lists them
// SPDX-License-Identifier: Apache-2.0

/// One method of one path in the document. What a request means is decided by ``RestRoute``; a test holds the two together.
struct RestCatalogEntry: Sendable {
    enum Body: String { case message = "PayloadMessage", item = "StreamItem", commands = "Commands" }
    enum Answer: String {
        case token = "ClientToken", result = "ClientResult", members = "GroupMembers", key = "AccessKey"
    }

    let method: String
    let path: String
    let id: String
    let summary: String
    /// Names in ``OpenAPI/queryParameters``.
    var query: [String] = []
    var body: Body?
    let success: Int
    var answer: Answer?
    /// Statuses beyond those that every operation has.
    var failures: [Int] = []
    var needsToken = true
    /// The first version that has it.
    var since = "2022-06-01"
}

extension RestCatalogEntry {
    static func entries(of version: String) -> [RestCatalogEntry] {
        version == "v1" ? v1 : dated.filter { $0.since <= version }
    }

    /// Newest first.
    static let versions = ["2024-12-01", "2022-06-01", "v1"]

    // MARK: Dated versions

    private static let hub = "/api/hubs/{hub}"
    private static let dated: [RestCatalogEntry] = general + sends + closing + presence + groups + newer

    private static let general: [RestCatalogEntry] = [
        .init(
            method: "head", path: "/api/health", id: "Health", summary: "Whether the service is alive.", success: 200,
            needsToken: false),
        .init(
            method: "get", path: "/api/auth/accessKey", id: "GetAccessKey",
            summary: "A signing key for identities of elsewhere; refused, since none are configured.", success: 200,
            answer: .key, since: "2024-12-01"),
    ]

    private static let sends: [RestCatalogEntry] = [
        .init(
            method: "post", path: hub + "/:send", id: "Broadcast", summary: "Sends to every client of the hub.",
            query: ["excluded"], body: .message, success: 202),
        .init(
            method: "post", path: hub + "/users/{user}/:send", id: "SendToUser",
            summary: "Sends to every connection of a user.", body: .message, success: 202),
        .init(
            method: "post", path: hub + "/connections/{connectionId}/:send", id: "SendToConnection",
            summary: "Sends to one connection.", body: .message, success: 202),
        .init(
            method: "post", path: hub + "/groups/{group}/:send", id: "SendToGroup",
            summary: "Sends to every member of a group.", query: ["excluded"], body: .message, success: 202),
    ]

    private static let closing: [RestCatalogEntry] = [
        .init(
            method: "post", path: hub + "/:closeConnections", id: "CloseConnections",
            summary: "Ends every connection of the hub.", query: ["excluded", "reason"], success: 204),
        .init(
            method: "post", path: hub + "/users/{user}/:closeConnections", id: "CloseUserConnections",
            summary: "Ends every connection of a user.", query: ["excluded", "reason"], success: 204),
        .init(
            method: "post", path: hub + "/groups/{group}/:closeConnections", id: "CloseGroupConnections",
            summary: "Ends every connection in a group.", query: ["excluded", "reason"], success: 204),
        .init(
            method: "delete", path: hub + "/connections/{connectionId}", id: "CloseConnection",
            summary: "Ends one connection.", query: ["reason"], success: 200),
    ]

    private static let presence: [RestCatalogEntry] = [
        .init(
            method: "head", path: hub + "/connections/{connectionId}", id: "ConnectionExists",
            summary: "Whether a connection is there.", success: 200, failures: [404]),
        .init(
            method: "head", path: hub + "/users/{user}", id: "UserExists", summary: "Whether a user has a connection.",
            success: 200, failures: [404]),
        .init(
            method: "head", path: hub + "/groups/{group}", id: "GroupExists",
            summary: "Whether a group has a connection.", success: 200, failures: [404]),
    ]

    private static let groups: [RestCatalogEntry] = [
        .init(
            method: "put", path: hub + "/groups/{group}/connections/{connectionId}", id: "AddConnectionToGroup",
            summary: "Puts a connection into a group.", success: 200, failures: [404]),
        .init(
            method: "delete", path: hub + "/groups/{group}/connections/{connectionId}",
            id: "RemoveConnectionFromGroup", summary: "Takes a connection out of a group.", success: 200),
        .init(
            method: "delete", path: hub + "/connections/{connectionId}/groups", id: "RemoveConnectionFromAllGroups",
            summary: "Takes a connection out of every group.", success: 200),
        .init(
            method: "put", path: hub + "/users/{user}/groups/{group}", id: "AddUserToGroup",
            summary: "Puts a user into a group, with the connections it has and those it will have.", query: ["ttl"],
            success: 200),
        .init(
            method: "delete", path: hub + "/users/{user}/groups/{group}", id: "RemoveUserFromGroup",
            summary: "Takes a user out of a group.", success: 204),
        .init(
            method: "head", path: hub + "/users/{user}/groups/{group}", id: "UserIsInGroup",
            summary: "Whether a user was put into a group.", success: 200, failures: [404]),
        .init(
            method: "delete", path: hub + "/users/{user}/groups", id: "RemoveUserFromAllGroups",
            summary: "Takes a user out of every group.", success: 204),
    ]

    private static let newer: [RestCatalogEntry] = [
        .init(
            method: "post", path: hub + "/:generateToken", id: "GenerateToken",
            summary: "A token that lets a client in.", query: ["userId", "minutesToExpire"], success: 200,
            answer: .token, since: "2022-11-01"),
        .init(
            method: "post", path: hub + "/:execute", id: "Execute",
            summary: "Commands for every connection that a filter picks.", query: ["filter"], body: .commands,
            success: 202, since: "2023-07-01"),
        .init(
            method: "post", path: hub + "/connections/{connectionId}/:invoke", id: "Invoke",
            summary: "Calls a client and waits for its result.", body: .message, success: 200, answer: .result,
            failures: [404, 408], since: "2024-12-01"),
        .init(
            method: "post", path: hub + "/connections/{connectionId}/streams/{streamId}/:send", id: "SendStreamItem",
            summary: "An item of a stream that a client reads.", query: ["completed"], body: .item, success: 202,
            since: "2024-12-01"),
        .init(
            method: "post", path: hub + "/connections/{connectionId}/streams/{streamId}/:complete",
            id: "CompleteStream", summary: "The end of a stream that a client reads.", query: ["reason"],
            success: 202, since: "2024-12-01"),
        .init(
            method: "get", path: hub + "/groups/{group}/connections", id: "ListGroupConnections",
            summary: "The connections in a group, by pages.", query: ["maxpagesize", "top", "continuationToken"],
            success: 200, answer: .members, since: "2024-12-01"),
    ]

    // MARK: v1

    private static let hub1 = "/api/v1/hubs/{hub}"
    private static let v1: [RestCatalogEntry] = [
        .init(
            method: "head", path: "/api/v1/health", id: "Health", summary: "Whether the service is alive.",
            success: 200, needsToken: false),
        .init(
            method: "post", path: hub1, id: "Broadcast", summary: "Sends to every client of the hub.",
            query: ["excluded"], body: .message, success: 202),
        .init(
            method: "post", path: hub1 + "/users/{user}", id: "SendToUser",
            summary: "Sends to every connection of a user.", body: .message, success: 202),
        .init(
            method: "post", path: hub1 + "/connections/{connectionId}", id: "SendToConnection",
            summary: "Sends to one connection.", body: .message, success: 202),
        .init(
            method: "post", path: hub1 + "/groups/{group}", id: "SendToGroup",
            summary: "Sends to every member of a group.", query: ["excluded"], body: .message, success: 202),
        .init(
            method: "get", path: hub1 + "/connections/{connectionId}", id: "ConnectionExists",
            summary: "Whether a connection is there.", success: 200, failures: [404]),
        .init(
            method: "get", path: hub1 + "/users/{user}", id: "UserExists",
            summary: "Whether a user has a connection.", success: 200, failures: [404]),
        .init(
            method: "get", path: hub1 + "/groups/{group}", id: "GroupExists",
            summary: "Whether a group has a connection.", success: 200, failures: [404]),
        .init(
            method: "delete", path: hub1 + "/connections/{connectionId}", id: "CloseConnection",
            summary: "Ends one connection.", query: ["reason"], success: 202),
        .init(
            method: "put", path: hub1 + "/groups/{group}/connections/{connectionId}", id: "AddConnectionToGroup",
            summary: "Puts a connection into a group.", success: 200, failures: [404]),
        .init(
            method: "delete", path: hub1 + "/groups/{group}/connections/{connectionId}",
            id: "RemoveConnectionFromGroup", summary: "Takes a connection out of a group.", success: 200),
        .init(
            method: "get", path: hub1 + "/groups/{group}/users/{user}", id: "UserIsInGroup",
            summary: "Whether a user was put into a group.", success: 200, failures: [404]),
        .init(
            method: "put", path: hub1 + "/groups/{group}/users/{user}", id: "AddUserToGroup",
            summary: "Puts a user into a group, with the connections it has and those it will have.", query: ["ttl"],
            success: 202),
        .init(
            method: "delete", path: hub1 + "/groups/{group}/users/{user}", id: "RemoveUserFromGroup",
            summary: "Takes a user out of a group.", success: 202),
        .init(
            method: "delete", path: hub1 + "/users/{user}/groups", id: "RemoveUserFromAllGroups",
            summary: "Takes a user out of every group.", success: 200),
    ]
}
