// SignalBox: what a REST caller is told when its request fails
// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import NIOCore
import SignalR
import SignalRWire

/// A failure with its status, its code in `x-ms-error-code` (which the Management SDK compares) and a text for people.
struct RestError: Error, Equatable {
    enum Level: String { case info = "Info", warning = "Warning", error = "Error" }
    enum Scope: String { case request = "Request", connection = "Connection", user = "User", group = "Group" }
    enum Kind: String {
        case unknown = "Unknown", notExisted = "NotExisted", notInGroup = "NotInGroup", invalid = "Invalid"
    }

    let status: HTTPResponse.Status
    let level: Level
    let scope: Scope
    let kind: Kind
    let message: String
    var headers: HTTPFields = [:]

    var code: String { "\(level.rawValue).\(scope.rawValue).\(kind.rawValue)" }

    static let unknownPath = RestError(.notFound, .error, .request, .notExisted, "There is no such operation.")
    static let noHub = RestError(
        .notFound, .error, .request, .notExisted, "The service has no hub of that name.")
    static let unauthorized: RestError = {
        var error = RestError(.unauthorized, .error, .request, .invalid, "The request has no valid bearer token.")
        error.headers[.wwwAuthenticate] = "Bearer"
        return error
    }()
    static let tooLarge = RestError(.contentTooLarge, .error, .request, .invalid, "The body is larger than 1 MB.")
    static let noConnection = RestError(.notFound, .error, .connection, .notExisted, "The connection does not exist.")
    static let clientTimeout = RestError(
        .requestTimeout, .error, .connection, .unknown, "The client gave no result in time.")
    static let notInGroup = RestError(.notFound, .info, .user, .notInGroup, "The user is not in the group.")

    static func wrongMethod(allowed: [String]) -> RestError {
        var error = RestError(.methodNotAllowed, .error, .request, .invalid, "The operation has another method.")
        error.headers[.allow] = allowed.joined(separator: ", ")
        return error
    }

    static func invalid(_ message: String) -> RestError { RestError(.badRequest, .error, .request, .invalid, message) }

    static func tooMany(_ message: String) -> RestError {
        RestError(.serviceUnavailable, .error, .request, .unknown, message)
    }

    static func refused(_ refusal: GateRefusal) -> RestError {
        var error = RestError(.tooManyRequests, .warning, .request, .unknown, refusal.text)
        error.headers[.retryAfter] = "\(refusal.retryAfter)"
        return error
    }

    /// A client answered a call with an error.
    static func clientFailed(_ message: String) -> RestError {
        RestError(.badRequest, .error, .connection, .unknown, message)
    }

    /// What the existence operations answer for nobody.
    static func absent(_ target: HubTarget) -> RestError {
        switch target {
        case .users: RestError(.notFound, .warning, .user, .notExisted, "The user has no connection.")
        case .groups: RestError(.notFound, .warning, .group, .notExisted, "The group has no connection.")
        case .connections, .all:
            RestError(.notFound, .warning, .connection, .notExisted, "The connection does not exist.")
        }
    }

    private init(_ status: HTTPResponse.Status, _ level: Level, _ scope: Scope, _ kind: Kind, _ message: String) {
        self.status = status
        self.level = level
        self.scope = scope
        self.kind = kind
        self.message = message
    }

    func response(in dialect: RestDialect) -> HubResponse {
        var response = HubResponse.json(status, (dialect == .dated ? datedBody : v1Body).json)
        response.headers.append(contentsOf: headers)
        response.headers[.xMSErrorCode] = code
        return response
    }

    private var datedBody: HubValue {
        .map([
            .init(key: "code", value: .string(code)), .init(key: "message", value: .string(message)),
            .init(key: "target", value: .null), .init(key: "details", value: .array([])),
            .init(key: "inner", value: .null),
        ])
    }

    private var v1Body: HubValue {
        .map([
            .init(key: "statusCode", value: .int(Int64(status.code))), .init(key: "code", value: .string(code)),
            .init(key: "level", value: .string(level.rawValue)), .init(key: "scope", value: .string(scope.rawValue)),
            .init(key: "errorKind", value: .string(kind.rawValue)), .init(key: "message", value: .string(message)),
            .init(key: "jsonObject", value: .null), .init(key: "isSuccess", value: .bool(false)),
        ])
    }
}

extension HTTPField.Name {
    // `init(parsed:)` fails for names that are no token only.
    static let xMSErrorCode = Self(parsed: "x-ms-error-code") ?? .warning
    static let contentSecurityPolicy = Self("Content-Security-Policy") ?? .warning
    static let warning = Self(parsed: "Warning") ?? .server
}
