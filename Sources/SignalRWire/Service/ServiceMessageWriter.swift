// SignalBox: a message of the service protocol as an array
// SPDX-License-Identifier: Apache-2.0

import NIOCore

/// Writes messages in their full current form. Lists and maps are never nil: the SDKs fail at that.
struct ServiceMessageWriter {
    var buffer: ByteBuffer

    mutating func write(_ message: ServiceMessage) throws(HubProtocolError) {
        switch message {
        case .handshakeRequest(let request): try self.write(request)
        case .handshakeResponse(let error, let connectionID, let members):
            try self.begin(.handshakeResponse, 4)
            try self.write(error ?? "")
            try self.write(members)
            try self.write(connectionID)
        case .ping(let pairs):
            try self.begin(.ping, pairs.count + 1)
            for text in pairs { try self.write(text) }
        case .openConnection(let open):
            try self.begin(.openConnection, 6)
            try self.write(open.id)
            try self.write(open.claims)
            try self.write(open.headers)
            try self.write(open.query)
            try self.write(open.extension)
        case .closeConnection(let id, let error, let headers, let members):
            try self.begin(.closeConnection, 5)
            try self.write(id)
            try self.write(error)
            try self.write(headers)
            try self.write(members)
        case .connectionData(let id, let payload, let members):
            try self.begin(.connectionData, 4)
            try self.write(id)
            try self.write(payload)
            try self.write(members)
        case .multicast(let multicast): try self.write(multicast)
        case .membership(let membership): try self.write(membership)
        case .serviceError(let error):
            try self.begin(.serviceError, 2)
            try self.write(error)
        case .ack(let id, let status, let text, let payload, let members):
            try self.begin(.ack, payload == nil ? 5 : 6)
            self.write(id)
            self.write(status)
            try self.write(text ?? "")
            try self.write(members)
            if let payload { try self.write(payload) }
        case .check(let check): try self.write(check)
        case .serviceEvent(let event):
            try self.begin(.serviceEvent, 6)
            self.write(event.objectType)
            try self.write(event.id)
            self.write(event.kind)
            try self.write(event.message)
            try self.write(event.extension)
        case .accessKeyRequest(let token, let keyID, let members):
            try self.begin(.accessKeyRequest, 4)
            try self.write(token)
            try self.write(keyID)
            try self.write(members)
        case .accessKeyResponse(let response):
            try self.begin(.accessKeyResponse, 6)
            for text in [response.keyID, response.accessKey, response.errorType, response.errorMessage] {
                try self.write(text)
            }
            try self.write(response.extension)
        case .closing(let closing): try self.write(closing)
        case .clientInvocation, .clientCompletion, .errorCompletion, .serviceMapping, .connectionReconnect,
            .flowControl, .groupMemberQuery:
            try self.writeLater(message)
        case .unknown: throw HubProtocolError("A service message of an unknown type cannot be written.")
        }
    }

    /// Messages about one client, and what came late.
    private mutating func writeLater(_ message: ServiceMessage) throws(HubProtocolError) {
        switch message {
        case .clientInvocation(let call, let payloads):
            try self.begin(.clientInvocation, call, 6)
            try self.write(payloads)
            try self.write(call.extension)
        case .clientCompletion(let call, let name, let payload):
            try self.begin(.clientCompletion, call, 7)
            try self.write(name)
            try self.write(payload)
            try self.write(call.extension)
        case .errorCompletion(let call, let error):
            try self.begin(.errorCompletion, call, 6)
            try self.write(error)
            try self.write(call.extension)
        case .serviceMapping(let invocationID, let connectionID, let instanceID, let members):
            try self.begin(.serviceMapping, 5)
            for text in [invocationID, connectionID, instanceID] { try self.write(text) }
            try self.write(members)
        case .connectionReconnect(let id, let members):
            try self.begin(.connectionReconnect, 3)
            try self.write(id)
            try self.write(members)
        case .flowControl(let id, let kind, let operation, let members):
            try self.begin(.connectionFlowControl, 5)
            try self.write(id)
            // The SDK writes these two at full width, always.
            for number in [kind, operation] { self.buffer.writeMultipleIntegers(0xD2 as UInt8, number) }
            try self.write(members)
        case .groupMemberQuery(let query):
            try self.begin(.groupMemberQuery, 6)
            try self.write(query.extension)
            try self.write(query.group)
            self.write(query.ackID)
            if let maximum = query.maximum { self.write(maximum) } else { self.writeNil() }
            try self.write(query.continuationToken)
        default: break
        }
    }
}

// MARK: Messages

extension ServiceMessageWriter {
    private mutating func begin(_ type: ServiceMessageType, _ count: Int) throws(HubProtocolError) {
        try MessagePack.writeArrayHead(count: count, into: &self.buffer)
        MessagePack.write(integer: type.rawValue, into: &self.buffer)
    }

    private mutating func begin(
        _ type: ServiceMessageType, _ call: ServiceMessage.ClientCall, _ count: Int
    ) throws(HubProtocolError) {
        try self.begin(type, count)
        try self.write(call.invocationID)
        try self.write(call.connectionID)
        try self.write(call.callerServerID)
    }

    private mutating func write(_ request: ServiceMessage.HandshakeRequest) throws(HubProtocolError) {
        try self.begin(.handshakeRequest, request.allowsStatefulReconnects == nil ? 6 : 7)
        self.write(request.version)
        self.write(request.connectionType)
        try self.write(request.target ?? "")
        self.write(request.migrationLevel)
        try self.write(request.extension)
        if let flag = request.allowsStatefulReconnects { self.buffer.writeInteger(flag ? 0xC3 : 0xC2 as UInt8) }
    }

    private mutating func write(_ multicast: ServiceMessage.Multicast) throws(HubProtocolError) {
        var isGroup = false
        switch multicast.target {
        case .connections(let ids):
            try self.begin(.multiConnectionData, 4)
            try self.write(ids)
        case .user(let id):
            try self.begin(.userData, 4)
            try self.write(id)
        case .users(let ids):
            try self.begin(.multiUserData, 4)
            try self.write(ids)
        case .all:
            try self.begin(.broadcastData, 4)
            try self.write(multicast.excludedConnections)
        case .group(let name):
            isGroup = true
            try self.begin(.groupBroadcastData, 7)
            try self.write(name)
            try self.write(multicast.excludedConnections)
        case .groups(let names):
            try self.begin(.multiGroupBroadcastData, 4)
            try self.write(names)
        }
        try self.write(multicast.payloads)
        try self.write(multicast.extension)
        guard isGroup else { return }
        try self.write(multicast.excludedUsers)
        try self.write(multicast.callerUser)
    }

    private mutating func write(_ membership: ServiceMessage.Membership) throws(HubProtocolError) {
        let (type, name): (ServiceMessageType, String) =
            switch (membership.member, membership.isJoin, membership.ackID == nil) {
            case (.connection(let id), true, true): (.joinGroup, id)
            case (.connection(let id), true, false): (.joinGroupWithAck, id)
            case (.connection(let id), false, true): (.leaveGroup, id)
            case (.connection(let id), false, false): (.leaveGroupWithAck, id)
            case (.user(let id), true, true): (.userJoinGroup, id)
            case (.user(let id), true, false): (.userJoinGroupWithAck, id)
            case (.user(let id), false, true): (.userLeaveGroup, id)
            case (.user(let id), false, false): (.userLeaveGroupWithAck, id)
            }
        try self.begin(type, membership.ackID == nil ? 4 : 5)
        try self.write(name)
        try self.write(membership.group)
        if let ackID = membership.ackID { self.write(ackID) }
        try self.write(membership.extension)
    }

    private mutating func write(_ check: ServiceMessage.Check) throws(HubProtocolError) {
        switch check.subject {
        case .userInGroup(let user, let group):
            try self.begin(.checkUserInGroupWithAck, 5)
            try self.write(user)
            try self.write(group)
        case .group(let name):
            try self.begin(.checkGroupExistenceWithAck, 4)
            try self.write(name)
        case .connection(let id):
            try self.begin(.checkConnectionExistenceWithAck, 4)
            try self.write(id)
        case .user(let id):
            try self.begin(.checkUserExistenceWithAck, 4)
            try self.write(id)
        }
        self.write(check.ackID)
        try self.write(check.extension)
    }

    private mutating func write(_ closing: ServiceMessage.Closing) throws(HubProtocolError) {
        var excludes = true
        switch closing.target {
        case .connection(let id):
            excludes = false
            try self.begin(.closeConnectionWithAck, 5)
            try self.write(id)
        case .all: try self.begin(.closeConnectionsWithAck, 5)
        case .user(let id):
            try self.begin(.closeUserConnectionsWithAck, 6)
            try self.write(id)
        case .group(let name):
            try self.begin(.closeGroupConnectionsWithAck, 6)
            try self.write(name)
        }
        try self.write(closing.reason)
        self.write(closing.ackID)
        if excludes { try self.write(closing.excludedConnections) }
        try self.write(closing.extension)
    }
}

// MARK: Items

extension ServiceMessageWriter {
    private mutating func writeNil() { self.buffer.writeInteger(MessagePack.Format.nil) }

    private mutating func write(_ number: Int32) { MessagePack.write(integer: Int64(number), into: &self.buffer) }

    private mutating func write(_ text: String) throws(HubProtocolError) {
        try MessagePack.write(string: text, into: &self.buffer)
    }

    private mutating func write(_ text: String?) throws(HubProtocolError) {
        if let text { try self.write(text) } else { self.writeNil() }
    }

    private mutating func write(_ bytes: ByteBuffer) throws(HubProtocolError) {
        try MessagePack.write(binary: bytes, into: &self.buffer)
    }

    private mutating func write(_ texts: [String]) throws(HubProtocolError) {
        try MessagePack.writeArrayHead(count: texts.count, into: &self.buffer)
        for text in texts { try self.write(text) }
    }

    private mutating func write(_ claims: [ServiceMessage.Claim]) throws(HubProtocolError) {
        try MessagePack.writeMapHead(count: claims.count, into: &self.buffer)
        for claim in claims {
            try self.write(claim.type)
            try self.write(claim.value)
        }
    }

    private mutating func write(_ headers: [ServiceMessage.Header]) throws(HubProtocolError) {
        try MessagePack.writeMapHead(count: headers.count, into: &self.buffer)
        for header in headers {
            try self.write(header.name)
            try self.write(header.values)
        }
    }

    private mutating func write(_ payloads: [ServiceMessage.Payload]) throws(HubProtocolError) {
        try MessagePack.writeMapHead(count: payloads.count, into: &self.buffer)
        for payload in payloads {
            try self.write(payload.protocol)
            try self.write(payload.bytes)
        }
    }

    private mutating func write(_ members: ServiceMessage.Extension) throws(HubProtocolError) {
        try MessagePack.writeMapHead(count: members.members.count, into: &self.buffer)
        for member in members.members {
            MessagePack.write(integer: member.key, into: &self.buffer)
            switch member.value {
            case .int(let number) where member.key == ServiceMessage.Extension.Key.tracingID:
                MessagePack.write(unsigned: UInt64(bitPattern: number), into: &self.buffer)
            case .int(let number): MessagePack.write(integer: number, into: &self.buffer)
            case .text(let text): try self.write(text)
            case .flag(let flag): self.buffer.writeInteger(flag ? 0xC3 : 0xC2 as UInt8)
            }
        }
    }
}
