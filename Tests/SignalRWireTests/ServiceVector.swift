// SignalBox: the service protocol's test vectors
// SPDX-License-Identifier: Apache-2.0

import Foundation
import NIOCore
import SignalRWire
import Testing

/// One message of Tests/Vectors/service-vectors.json.
struct ServiceVector: Sendable, CustomTestStringConvertible {
    let fields: HubValue

    var testDescription: String { self.name }
    var name: String { self.fields["name"]?.text ?? "" }
    var frame: ByteBuffer { ByteBuffer(hex: self.fields["framedHex"]?.text ?? "") }
    var isWritten: Bool { self.fields["mode"]?.text == "write+parse" }
    /// What must be read, by name.
    var message: [String: HubValue] {
        Dictionary(
            (self.fields["message"]?.members ?? []).map { ($0.key, $0.value) }, uniquingKeysWith: { $1 }
        ).filter { $0.key != "$itemCount" && $0.key != "typeName" }
    }

    static let file: HubValue = {
        let url = URL(filePath: #filePath).deletingLastPathComponent().appending(
            path: "../Vectors/service-vectors.json")
        guard let bytes = try? Data(contentsOf: url), let value = try? JSON.value(from: ByteBuffer(bytes: bytes)) else {
            return .null
        }
        return value
    }()

    static let all = (Self.file["messages"]?.items ?? []).map(ServiceVector.init)
}

extension ServiceMessage {
    /// The message as the vectors describe it.
    var fields: [String: HubValue] {
        switch self {
        case .handshakeRequest(let request):
            return Self.fields(
                1, ("version", .int(Int64(request.version))), ("connectionType", .int(Int64(request.connectionType))),
                ("target", .optional(request.target)), ("migrationLevel", .int(Int64(request.migrationLevel))),
                ("allowStatefulReconnects", .bool(request.allowsStatefulReconnects ?? false)),
                ("ext", request.extension.value))
        case .handshakeResponse(let error, let id, let members):
            return Self.fields(
                2, ("errorMessage", .optional(error)), ("connectionId", .optional(id)), ("ext", members.value))
        case .ping(let pairs): return Self.fields(3, ("pairs", .strings(pairs)))
        case .openConnection(let open):
            return Self.fields(
                4, ("connectionId", .string(open.id)),
                ("claims", .map(open.claims.map { .init(key: $0.type, value: .string($0.value)) })),
                ("claimPairs", .array(open.claims.map { .strings([$0.type, $0.value]) })),
                ("headers", .headers(open.headers)), ("queryString", .string(open.query)),
                ("ext", open.extension.value))
        case .closeConnection(let id, let error, let headers, let members):
            return Self.fields(
                5, ("connectionId", .string(id)), ("errorMessage", .optional(error)), ("headers", .headers(headers)),
                ("ext", members.value))
        case .connectionData(let id, let bytes, let members):
            return Self.fields(
                6, ("connectionId", .string(id)), ("payload", .hex(bytes)), ("ext", members.value))
        case .multicast(let multicast): return multicast.fields
        case .membership(let membership): return membership.fields
        case .serviceError(let error): return Self.fields(15, ("errorMessage", .optional(error)))
        case .ack(let id, let status, let message, let payload, let members):
            return Self.fields(
                20, ("ackId", .int(Int64(id))), ("status", .int(Int64(status))), ("message", .optional(message)),
                ("payload", payload.map { .hex($0) } ?? .null), ("ext", members.value))
        case .check(let check): return check.fields
        case .serviceEvent(let event):
            return Self.fields(
                22, ("objectType", .int(Int64(event.objectType))), ("id", .optional(event.id)),
                ("kind", .int(Int64(event.kind))), ("message", .optional(event.message)),
                ("ext", event.extension.value))
        case .accessKeyRequest(let token, let keyID, let members):
            return Self.fields(28, ("token", .string(token)), ("kid", .optional(keyID)), ("ext", members.value))
        case .accessKeyResponse(let response):
            return Self.fields(
                29, ("kid", .optional(response.keyID)), ("accessKey", .optional(response.accessKey)),
                ("errorType", .optional(response.errorType)), ("errorMessage", .optional(response.errorMessage)),
                ("ext", response.extension.value))
        case .closing(let closing): return closing.fields
        case .clientInvocation(let call, let payloads):
            return call.fields(34, ("payloads", .payloads(payloads)))
        case .clientCompletion(let call, let name, let payload):
            return call.fields(35, ("protocol", .string(name)), ("payload", .hex(payload)))
        case .errorCompletion(let call, let error): return call.fields(36, ("error", .optional(error)))
        case .serviceMapping(let invocation, let connection, let instance, let members):
            return Self.fields(
                37, ("invocationId", .string(invocation)), ("connectionId", .string(connection)),
                ("instanceId", .string(instance)), ("ext", members.value))
        case .connectionReconnect(let id, let members):
            return Self.fields(38, ("connectionId", .string(id)), ("ext", members.value))
        case .flowControl(let id, let kind, let operation, let members):
            return Self.fields(
                39, ("connectionId", .string(id)), ("connectionType", .int(Int64(kind))),
                ("operation", .int(Int64(operation))), ("ext", members.value))
        case .groupMemberQuery(let query):
            return Self.fields(
                40, ("groupName", .string(query.group)), ("ackId", .int(Int64(query.ackID))),
                ("max", query.maximum.map { .int(Int64($0)) } ?? .null),
                ("continuationToken", .optional(query.continuationToken)), ("ext", query.extension.value))
        case .unknown(let type): return Self.fields(Int64(type))
        }
    }

    static func fields(_ type: Int64, _ fields: (String, HubValue)...) -> [String: HubValue] {
        Dictionary(uniqueKeysWithValues: fields + [("type", .int(type))])
    }
}

extension ServiceMessage.Multicast {
    fileprivate var fields: [String: HubValue] {
        var fields: [String: HubValue] = ["payloads": .payloads(self.payloads), "ext": self.extension.value]
        let type: Int64
        switch self.target {
        case .connections(let ids): (type, fields["connectionIds"]) = (7, .strings(ids))
        case .user(let id): (type, fields["userId"]) = (8, .string(id))
        case .users(let ids): (type, fields["userIds"]) = (9, .strings(ids))
        case .all: (type, fields["excludedConnectionIds"]) = (10, .strings(self.excludedConnections))
        case .group(let name):
            (type, fields["groupName"]) = (13, .string(name))
            fields["excludedConnectionIds"] = .strings(self.excludedConnections)
            fields["excludedUserIds"] = .strings(self.excludedUsers)
            fields["callerUserId"] = .optional(self.callerUser)
        case .groups(let names): (type, fields["groupNames"]) = (14, .strings(names))
        }
        fields["type"] = .int(type)
        return fields
    }
}

extension ServiceMessage.Membership {
    fileprivate var fields: [String: HubValue] {
        var fields: [String: HubValue] = ["groupName": .optional(self.group), "ext": self.extension.value]
        fields["ackId"] = self.ackID.map { .int(Int64($0)) }
        switch self.member {
        case .connection(let id): fields["connectionId"] = .string(id)
        case .user(let id): fields["userId"] = .string(id)
        }
        let isUser = if case .user = self.member { true } else { false }
        let types: (join: Int64, leave: Int64) =
            switch (isUser, self.ackID != nil) {
            case (false, false): (11, 12)
            case (false, true): (18, 19)
            case (true, false): (16, 17)
            case (true, true): (26, 27)
            }
        fields["type"] = .int(self.isJoin ? types.join : types.leave)
        return fields
    }
}

extension ServiceMessage.Check {
    fileprivate var fields: [String: HubValue] {
        let ack: (String, HubValue) = ("ackId", .int(Int64(self.ackID)))
        let ext: (String, HubValue) = ("ext", self.extension.value)
        switch self.subject {
        case .userInGroup(let user, let group):
            return ServiceMessage.fields(21, ("userId", .string(user)), ("groupName", .string(group)), ack, ext)
        case .group(let name): return ServiceMessage.fields(23, ("groupName", .string(name)), ack, ext)
        case .connection(let id): return ServiceMessage.fields(24, ("connectionId", .string(id)), ack, ext)
        case .user(let id): return ServiceMessage.fields(25, ("userId", .string(id)), ack, ext)
        }
    }
}

extension ServiceMessage.Closing {
    fileprivate var fields: [String: HubValue] {
        var fields: [String: HubValue] = [
            "reason": .optional(self.reason), "ackId": .int(Int64(self.ackID)), "ext": self.extension.value,
            "excludedConnectionIds": .strings(self.excludedConnections),
        ]
        switch self.target {
        case .connection(let id): (fields["type"], fields["connectionId"]) = (.int(30), .string(id))
        case .all: fields["type"] = .int(31)
        case .user(let id): (fields["type"], fields["userId"]) = (.int(32), .string(id))
        case .group(let name): (fields["type"], fields["groupName"]) = (.int(33), .string(name))
        }
        return fields
    }
}

extension ServiceMessage.ClientCall {
    fileprivate func fields(_ type: Int64, _ more: (String, HubValue)...) -> [String: HubValue] {
        Dictionary(
            uniqueKeysWithValues: more + [
                ("type", .int(type)), ("invocationId", .string(self.invocationID)),
                ("connectionId", .string(self.connectionID)), ("callerServerId", .optional(self.callerServerID)),
                ("ext", self.extension.value),
            ])
    }
}

extension ServiceMessage.Extension {
    fileprivate var value: HubValue {
        let names: [Int64: String] = [
            1: "tracingId", 2: "ttl", 3: "protocol", 4: "filter", 5: "dataMessageType", 6: "isPartial",
        ]
        return .map(
            self.members.map { member in
                let value: HubValue =
                    switch member.value {
                    case .int(let number): .int(number)
                    case .text(let text): .string(text)
                    case .flag(let flag): .bool(flag)
                    }
                return .init(key: names[member.key] ?? "\(member.key)", value: value)
            })
    }
}

extension HubValue {
    fileprivate static func optional(_ text: String?) -> HubValue { text.map { .string($0) } ?? .null }
    fileprivate static func strings(_ texts: [String]) -> HubValue { .array(texts.map { .string($0) }) }
    fileprivate static func hex(_ bytes: ByteBuffer) -> HubValue {
        .map([.init(key: "$hex", value: .string(bytes.hex))])
    }
    fileprivate static func headers(_ headers: [ServiceMessage.Header]) -> HubValue {
        .map(headers.map { .init(key: $0.name, value: .strings($0.values)) })
    }
    fileprivate static func payloads(_ payloads: [ServiceMessage.Payload]) -> HubValue {
        .map(payloads.map { .init(key: $0.protocol, value: .hex($0.bytes)) })
    }
}
