// SignalBox: the bodies in the REST API's OpenAPI document
// SPDX-License-Identifier: Apache-2.0

import SignalRWire

extension OpenAPI {
    static func schemas(isDated: Bool) -> HubValue {
        .map([
            .init(key: "PayloadMessage", value: message),
            .init(key: "StreamItem", value: ["description": "Any value."]),
            .init(key: "Commands", value: commands), .init(key: "ClientToken", value: object(["token": text])),
            .init(
                key: "ClientResult",
                value: object(["result": ["description": "What the client returned."], "protocol": text])),
            .init(key: "GroupMembers", value: members),
            .init(key: "AccessKey", value: object(["KeyId": text, "AccessKey": text])),
            .init(key: "Error", value: isDated ? datedError : v1Error),
        ])
    }

    private static let text: HubValue = ["type": "string"]
    private static let group: HubValue = ["type": "string", "minLength": 1, "maxLength": 1024, "pattern": "\\S"]

    private static func object(_ properties: HubValue, required: [HubValue]? = nil) -> HubValue {
        guard case .map(let members) = properties else { return properties }
        let names = required ?? members.map { .string($0.key) }
        return ["type": "object", "properties": properties, "required": .array(names)]
    }

    private static let message = object(
        [
            "target": ["type": "string", "minLength": 1],
            "arguments": ["type": "array", "items": [:], "nullable": true],
        ],
        required: ["target"])

    private static func command(_ type: String, _ name: String, _ schema: HubValue, isRequired: Bool) -> HubValue {
        let kind: HubValue = ["type": "string", "enum": [.string(type)]]
        let properties = HubValue.map([.init(key: "type", value: kind), .init(key: name, value: schema)])
        return object(properties, required: isRequired ? ["type", .string(name)] : ["type"])
    }

    private static let commands: HubValue = [
        "type": "array", "maxItems": 100,
        "items": [
            "oneOf": [
                command(
                    "SendMessage", "message", ["$ref": "#/components/schemas/PayloadMessage"], isRequired: true),
                command("JoinGroup", "group", group, isRequired: true),
                command("LeaveGroup", "group", group, isRequired: true),
                command("CloseConnection", "reason", ["type": "string", "nullable": true], isRequired: false),
            ]
        ],
    ]

    private static let members = object(
        [
            "value": [
                "type": "array",
                "items": object(["connectionId": text, "userId": text], required: ["connectionId"]),
            ], "nextLink": ["type": "string", "format": "uri"],
        ], required: ["value"])

    private static let datedError = object(
        [
            "code": text, "message": text, "target": ["type": "string", "nullable": true],
            "details": ["type": "array", "items": [:]], "inner": ["type": "object", "nullable": true],
        ], required: ["code", "message"])

    private static let v1Error = object(
        [
            "statusCode": ["type": "integer"], "code": text,
            "level": ["type": "string", "enum": ["Info", "Warning", "Error"]],
            "scope": ["type": "string", "enum": ["Unknown", "Request", "Connection", "User", "Group"]],
            "errorKind": ["type": "string", "enum": ["Unknown", "NotExisted", "NotInGroup", "Invalid"]],
            "message": text, "jsonObject": ["nullable": true], "isSuccess": ["type": "boolean"],
        ], required: ["statusCode", "code", "isSuccess"])
}
