// SignalBox: the REST API's OpenAPI document, and the page that shows it
// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import NIOCore
import SignalR
import SignalRWire

/// Writes the document from ``RestCatalogEntry`` (OpenAPI 3.0.3).
enum OpenAPI {
    /// - Parameter version: nil for the newest.
    /// - Throws: ``RestError`` with 404.
    static func response(version: String?, base: String) throws(RestError) -> HubResponse {
        let version = version ?? RestCatalogEntry.versions[0]
        guard RestCatalogEntry.versions.contains(version) else { throw .unknownPath }
        return .json(.ok, document(version: version, base: base).json)
    }

    static let explorer = HubResponse(
        .ok,
        headers: [
            .contentType: "text/html; charset=utf-8", .xContentTypeOptions: "nosniff",
            // The page is one file, and talks to nobody but this service.
            .contentSecurityPolicy:
                "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; connect-src 'self'; frame-ancestors 'none'",
        ], body: ByteBuffer(bytes: PackageResources.explorer_html))

    static func document(version: String, base: String) -> HubValue {
        let entries = RestCatalogEntry.entries(of: version)
        var paths: [HubValue.Member] = []
        for entry in entries where !paths.contains(where: { $0.key == entry.path }) {
            let methods = entries.filter { $0.path == entry.path }.map {
                HubValue.Member(key: $0.method, value: operation($0))
            }
            paths.append(.init(key: entry.path, value: .map(methods)))
        }
        return [
            "openapi": "3.0.3",
            "info": ["title": "SignalBox REST API", "version": .string(version)],
            "servers": [["url": .string(base)]],
            "security": [["bearer": []]],
            "paths": .map(paths),
            "components": [
                "securitySchemes": [
                    "bearer": [
                        "type": "http", "scheme": "bearer", "bearerFormat": "JWT",
                        "description": "HS256, signed with an access key; the audience is the URL of the request.",
                    ]
                ],
                "schemas": schemas(isDated: version != "v1"),
            ],
        ]
    }

    // MARK: Operations

    private static func operation(_ entry: RestCatalogEntry) -> HubValue {
        var members: [HubValue.Member] = [
            .init(key: "operationId", value: .string(entry.id)), .init(key: "summary", value: .string(entry.summary)),
            .init(key: "parameters", value: .array(parameters(entry))),
        ]
        if let body = entry.body { members.append(.init(key: "requestBody", value: requestBody(body))) }
        members.append(.init(key: "responses", value: responses(entry)))
        if !entry.needsToken { members.append(.init(key: "security", value: .array([]))) }
        return .map(members)
    }

    private static func parameters(_ entry: RestCatalogEntry) -> [HubValue] {
        let names = entry.path.split(separator: "/").filter { $0.hasPrefix("{") }.map {
            String($0.dropFirst().dropLast())
        }
        var parameters = names.map { parameter($0, in: "path", isRequired: true, pathSchema($0)) }
        if names.contains("hub") {
            parameters.append(parameter("application", in: "query", querySchema("application")))
        }
        for name in entry.query { parameters.append(parameter(name, in: "query", querySchema(name))) }
        if names.contains("hub"), !entry.path.hasPrefix("/api/v1") {
            let version: HubValue = [
                "type": "string", "pattern": "^(20(2[2-9]|[3-9][0-9])-[0-9]{2}-[0-9]{2}(-preview)?)?$",
            ]
            parameters.append(parameter("api-version", in: "query", version))
        }
        return parameters
    }

    private static func parameter(
        _ name: String, in place: String, isRequired: Bool = false, _ schema: HubValue
    ) -> HubValue {
        ["name": .string(name), "in": .string(place), "required": .bool(isRequired), "schema": schema]
    }

    private static func pathSchema(_ name: String) -> HubValue {
        switch name {
        case "hub": ["type": "string", "pattern": "^[A-Za-z][A-Za-z0-9_`,.\\[\\]]{0,127}$"]
        case "group": ["type": "string", "minLength": 1, "maxLength": 1024, "pattern": "\\S"]
        case "streamId": ["type": "string", "minLength": 1, "maxLength": 100, "pattern": "\\S"]
        default: ["type": "string", "minLength": 1]
        }
    }

    private static func querySchema(_ name: String) -> HubValue {
        switch name {
        case "application": ["type": "string", "pattern": "^([A-Za-z][A-Za-z0-9_`,.\\[\\]]{0,127})?$"]
        case "excluded": ["type": "array", "items": ["type": "string"]]
        case "ttl", "top": ["type": "integer", "format": "int32", "minimum": 0]
        case "minutesToExpire": ["type": "integer", "minimum": 1, "maximum": 525_600, "default": 60]
        case "maxpagesize": ["type": "integer", "minimum": 1, "maximum": 200]
        case "completed": ["type": "boolean"]
        case "continuationToken": ["type": "string", "pattern": "^([A-Za-z0-9_-]{21}[AQgw])?$"]
        case "filter":
            ["type": "string", "format": "odata-filter", "example": "startswith(userId, 'a') and 'g' in groups"]
        default: ["type": "string"]
        }
    }

    private static func requestBody(_ body: RestCatalogEntry.Body) -> HubValue {
        var content: [HubValue.Member] = [
            .init(key: "application/json", value: ["schema": reference(body.rawValue)])
        ]
        if body != .commands {
            let frames: HubValue = [
                "type": "string", "format": "binary",
                "description": "A MessagePack map from hub protocol names to whole frames.",
            ]
            content.append(.init(key: "application/octet-stream", value: ["schema": frames]))
        }
        return ["required": true, "content": .map(content)]
    }

    private static func responses(_ entry: RestCatalogEntry) -> HubValue {
        var success: [HubValue.Member] = [.init(key: "description", value: "Done.")]
        if let answer = entry.answer {
            let content: HubValue = ["application/json": ["schema": reference(answer.rawValue)]]
            success.append(.init(key: "content", value: content))
        }
        var statuses = Set(entry.failures)
        if entry.needsToken { statuses.formUnion([401, 503]) }
        if entry.path.contains("{hub}") { statuses.insert(400) }
        if entry.body != nil { statuses.insert(413) }
        return .map(
            [.init(key: "\(entry.success)", value: .map(success))]
                + statuses.sorted().map { .init(key: "\($0)", value: failure($0, hasBody: entry.method != "head")) })
    }

    private static func failure(_ status: Int, hasBody: Bool) -> HubValue {
        let texts = [
            400: "The request breaks a rule.", 401: "The bearer token is missing or not valid.",
            404: "It is not there.", 408: "The client gave no result in time.",
            413: "The body is larger than 1 MB.", 503: "The service has as much as it can hold.",
        ]
        var members: [HubValue.Member] = [
            .init(key: "description", value: .string(texts[status] ?? "")),
            .init(key: "headers", value: ["x-ms-error-code": ["schema": ["type": "string"]]]),
        ]
        if hasBody {
            members.append(.init(key: "content", value: ["application/json": ["schema": reference("Error")]]))
        }
        return .map(members)
    }

    private static func reference(_ name: String) -> HubValue { ["$ref": .string("#/components/schemas/\(name)")] }
}
