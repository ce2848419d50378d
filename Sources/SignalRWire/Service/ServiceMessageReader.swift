// SignalBox: one array of the service protocol as a message
// SPDX-License-Identifier: Apache-2.0

import NIOCore

/// Reads the items of a message in their fixed order. Items that older peers leave out at the end have defaults; surplus ones are dropped.
struct ServiceMessageReader {
    private let frame: ByteBuffer
    private var reader: MessagePackReader
    /// Items of the message's array that were not read yet.
    private var left = 0

    /// Ids and names in one list.
    private static let maximumTexts = 1 << 20
    /// Claims, headers, payloads or extension members of one message.
    private static let maximumMembers = 1 << 12

    /// - Parameter bytes: Those of `frame`.
    init(frame: ByteBuffer, bytes: UnsafeRawBufferPointer) {
        self.frame = frame
        self.reader = MessagePackReader(bytes)
    }

    mutating func message() throws(HubProtocolError) -> ServiceMessage {
        guard let count = self.reader.arrayCount(), count > 0, let type = self.reader.integer() else {
            throw .service("type")
        }
        self.left = count - 1
        guard let known = ServiceMessageType(rawValue: type) else { return .unknown(type: Int(type)) }
        return try self.message(known)
    }

    private mutating func message(_ type: ServiceMessageType) throws(HubProtocolError) -> ServiceMessage {
        switch type {
        case .handshakeRequest: return .handshakeRequest(try self.handshakeRequest())
        case .handshakeResponse:
            let error = try self.optionalText("error")
            let members = try self.members()
            return .handshakeResponse(error: error, connectionID: try self.optionalText("connectionId"), members)
        case .ping: return .ping(try self.pairs())
        case .openConnection: return .openConnection(try self.openConnection())
        case .closeConnection:
            return .closeConnection(
                id: try self.text("connectionId"), error: try self.optionalText("error"),
                headers: try self.headers(), try self.members())
        case .connectionData:
            return .connectionData(id: try self.text("connectionId"), try self.bytes("payload"), try self.members())
        case .multiConnectionData, .userData, .multiUserData, .broadcastData, .groupBroadcastData,
            .multiGroupBroadcastData:
            return .multicast(try self.multicast(type))
        case .joinGroup, .leaveGroup, .userJoinGroup, .userLeaveGroup, .joinGroupWithAck, .leaveGroupWithAck,
            .userJoinGroupWithAck, .userLeaveGroupWithAck:
            return .membership(try self.membership(type))
        case .serviceError: return .serviceError(try self.optionalText("error"))
        case .ack:
            let (id, status) = (try self.int("ackId"), try self.int("status"))
            let message = try self.optionalText("message")
            let members = try self.members()
            return .ack(id: id, status: status, message: message, payload: try self.optionalBytes("payload"), members)
        case .checkUserInGroupWithAck, .checkGroupExistenceWithAck, .checkConnectionExistenceWithAck,
            .checkUserExistenceWithAck:
            return .check(try self.check(type))
        case .serviceEvent: return .serviceEvent(try self.serviceEvent())
        case .accessKeyRequest:
            return .accessKeyRequest(
                token: try self.text("token"), keyID: try self.optionalText("kid"), try self.members())
        case .accessKeyResponse: return .accessKeyResponse(try self.accessKeyResponse())
        case .closeConnectionWithAck, .closeConnectionsWithAck, .closeUserConnectionsWithAck,
            .closeGroupConnectionsWithAck:
            return .closing(try self.closing(type))
        default: return try self.clientMessage(type)
        }
    }

    /// Messages about one client, and what came late.
    private mutating func clientMessage(_ type: ServiceMessageType) throws(HubProtocolError) -> ServiceMessage {
        switch type {
        case .clientInvocation:
            var call = try self.clientCall()
            let payloads = try self.payloads()
            call.extension = try self.members()
            return .clientInvocation(call, payloads)
        case .clientCompletion:
            var call = try self.clientCall()
            let (name, bytes) = (try self.text("protocol"), try self.bytes("payload"))
            call.extension = try self.members()
            return .clientCompletion(call, protocol: name, bytes)
        case .errorCompletion:
            var call = try self.clientCall()
            let error = try self.optionalText("error")
            call.extension = try self.members()
            return .errorCompletion(call, error: error)
        case .serviceMapping:
            return .serviceMapping(
                invocationID: try self.text("invocationId"), connectionID: try self.text("connectionId"),
                instanceID: try self.text("instanceId"), try self.members())
        case .connectionReconnect:
            return .connectionReconnect(id: try self.text("connectionId"), try self.members())
        case .connectionFlowControl:
            return .flowControl(
                id: try self.text("connectionId"), kind: try self.int("connectionType"),
                operation: try self.int("operation"), try self.members())
        default:
            let members = try self.members()
            return .groupMemberQuery(
                .init(
                    group: try self.text("groupName"), ackID: try self.int("ackId"),
                    maximum: try self.optionalInt("max"), continuationToken: try self.optionalText("token"),
                    extension: members))
        }
    }
}

// MARK: Messages

extension ServiceMessageReader {
    private mutating func handshakeRequest() throws(HubProtocolError) -> ServiceMessage.HandshakeRequest {
        ServiceMessage.HandshakeRequest(
            version: try self.int("version"), connectionType: try self.optionalInt("connectionType") ?? 0,
            target: try self.optionalText("target"), migrationLevel: try self.optionalInt("migration") ?? 0,
            extension: try self.members(), allowsStatefulReconnects: try self.optionalFlag("allowStatefulReconnects"))
    }

    private mutating func openConnection() throws(HubProtocolError) -> ServiceMessage.OpenConnection {
        ServiceMessage.OpenConnection(
            id: try self.text("connectionId"), claims: try self.claims(), headers: try self.headers(),
            query: try self.optionalText("queryString") ?? "", extension: try self.members())
    }

    private mutating func multicast(_ type: ServiceMessageType) throws(HubProtocolError) -> ServiceMessage.Multicast {
        let target: ServiceMessage.Multicast.Target
        switch type {
        case .multiConnectionData: target = .connections(try self.texts("connectionIds"))
        case .userData: target = .user(try self.text("userId"))
        case .multiUserData: target = .users(try self.texts("userIds"))
        case .groupBroadcastData: target = .group(try self.text("groupName"))
        case .multiGroupBroadcastData: target = .groups(try self.texts("groupNames"))
        default: target = .all
        }
        var excluded: [String] = []
        if type == .broadcastData || type == .groupBroadcastData { excluded = try self.texts("excludedList") }
        let payloads = try self.payloads()
        var multicast = ServiceMessage.Multicast(to: target, payloads, excludedConnections: excluded)
        multicast.extension = try self.members()
        if type == .groupBroadcastData {
            multicast.excludedUsers = try self.texts("excludedUserList")
            multicast.callerUser = try self.optionalText("callerUserId")
        }
        return multicast
    }

    private mutating func membership(_ type: ServiceMessageType) throws(HubProtocolError) -> ServiceMessage.Membership {
        let name = try self.text("connectionId or userId")
        let group = try self.optionalText("groupName")
        let isJoin =
            switch type {
            case .joinGroup, .joinGroupWithAck, .userJoinGroup, .userJoinGroupWithAck: true
            default: false
            }
        let isUser =
            switch type {
            case .userJoinGroup, .userJoinGroupWithAck, .userLeaveGroup, .userLeaveGroupWithAck: true
            default: false
            }
        var ackID: Int32?
        switch type {
        case .joinGroupWithAck, .leaveGroupWithAck, .userJoinGroupWithAck, .userLeaveGroupWithAck:
            ackID = try self.int("ackId")
        default: break
        }
        if group == nil, isJoin || ackID == nil { throw .service("groupName") }
        return ServiceMessage.Membership(
            isUser ? .user(name) : .connection(name), group: group, isJoin: isJoin, ackID: ackID,
            extension: try self.members())
    }

    private mutating func check(_ type: ServiceMessageType) throws(HubProtocolError) -> ServiceMessage.Check {
        let subject: ServiceMessage.Check.Subject
        switch type {
        case .checkUserInGroupWithAck:
            subject = .userInGroup(user: try self.text("userId"), group: try self.text("groupName"))
        case .checkGroupExistenceWithAck: subject = .group(try self.text("groupName"))
        case .checkConnectionExistenceWithAck: subject = .connection(try self.text("connectionId"))
        default: subject = .user(try self.text("userId"))
        }
        return ServiceMessage.Check(subject, ackID: try self.int("ackId"), extension: try self.members())
    }

    private mutating func closing(_ type: ServiceMessageType) throws(HubProtocolError) -> ServiceMessage.Closing {
        let target: ServiceMessage.Closing.Target
        switch type {
        case .closeConnectionWithAck: target = .connection(try self.text("connectionId"))
        case .closeUserConnectionsWithAck: target = .user(try self.text("userId"))
        case .closeGroupConnectionsWithAck: target = .group(try self.text("groupName"))
        default: target = .all
        }
        let (reason, ackID) = (try self.optionalText("reason"), try self.int("ackId"))
        let excluded = type == .closeConnectionWithAck ? [] : try self.texts("excludedList")
        return ServiceMessage.Closing(
            target, reason: reason, ackID: ackID, excludedConnections: excluded, extension: try self.members())
    }

    private mutating func serviceEvent() throws(HubProtocolError) -> ServiceMessage.ServiceEvent {
        ServiceMessage.ServiceEvent(
            objectType: try self.int("objectType"), id: try self.optionalText("id"), kind: try self.int("kind"),
            message: try self.optionalText("message"), extension: try self.members())
    }

    private mutating func accessKeyResponse() throws(HubProtocolError) -> ServiceMessage.AccessKeyResponse {
        ServiceMessage.AccessKeyResponse(
            keyID: try self.optionalText("kid"), accessKey: try self.optionalText("accessKey"),
            errorType: try self.optionalText("errorType"), errorMessage: try self.optionalText("errorMessage"),
            extension: try self.members())
    }

    private mutating func clientCall() throws(HubProtocolError) -> ServiceMessage.ClientCall {
        ServiceMessage.ClientCall(
            invocationID: try self.text("invocationId"), connectionID: try self.text("connectionId"),
            callerServerID: try self.optionalText("callerServerId"))
    }
}

// MARK: Items

extension ServiceMessageReader {
    /// Whether there is one more item.
    private mutating func hasNext() -> Bool {
        guard self.left > 0 else { return false }
        self.left -= 1
        return true
    }

    /// The same, and it is not nil.
    private mutating func hasValue() -> Bool { self.hasNext() && !self.reader.passesNil() }

    private mutating func text(_ name: StaticString) throws(HubProtocolError) -> String {
        guard self.hasNext(), let text = self.reader.string() else { throw .service(name) }
        return text
    }

    private mutating func optionalText(_ name: StaticString) throws(HubProtocolError) -> String? {
        guard self.hasValue() else { return nil }
        guard let text = self.reader.string() else { throw .service(name) }
        return text
    }

    private mutating func int(_ name: StaticString) throws(HubProtocolError) -> Int32 {
        guard let number = try self.optionalInt(name) else { throw .service(name) }
        return number
    }

    private mutating func optionalInt(_ name: StaticString) throws(HubProtocolError) -> Int32? {
        guard self.hasValue() else { return nil }
        guard let number = self.reader.integer(), let number = Int32(exactly: number) else { throw .service(name) }
        return number
    }

    private mutating func optionalFlag(_ name: StaticString) throws(HubProtocolError) -> Bool? {
        guard self.hasValue() else { return nil }
        guard let flag = self.reader.bool() else { throw .service(name) }
        return flag
    }

    private mutating func bytes(_ name: StaticString) throws(HubProtocolError) -> ByteBuffer {
        try self.optionalBytes(name) ?? ByteBuffer()
    }

    private mutating func optionalBytes(_ name: StaticString) throws(HubProtocolError) -> ByteBuffer? {
        self.hasValue() ? try self.content(name) : nil
    }

    /// Old writers put bytes into strings.
    private mutating func content(_ name: StaticString) throws(HubProtocolError) -> ByteBuffer {
        switch self.reader.head() {
        case .binary(let length)?, .string(let length)?:
            let start = self.reader.position
            _ = self.reader.content(length)
            return self.frame.readableSlice(start..<start + length)
        default: throw .service(name)
        }
    }

    private mutating func texts(_ name: StaticString) throws(HubProtocolError) -> [String] {
        self.hasValue() ? try self.list(name, limit: Self.maximumTexts) : []
    }

    private mutating func list(_ name: StaticString, limit: Int) throws(HubProtocolError) -> [String] {
        guard let count = self.reader.arrayCount(), count <= limit else { throw .service(name) }
        var texts: [String] = []
        texts.reserveCapacity(min(count, 1024))
        for _ in 0..<count {
            // App code may put nil among names; the rest of the message holds.
            guard !self.reader.passesNil() else { continue }
            guard let text = self.reader.string() else { throw .service(name) }
            texts.append(text)
        }
        return texts
    }

    private mutating func pairs() throws(HubProtocolError) -> [String] {
        guard self.left <= Self.maximumMembers else { throw .service("pairs") }
        var texts: [String] = []
        while self.hasNext() {
            if self.reader.passesNil() {
                texts.append("")
            } else if let text = self.reader.string() {
                texts.append(text)
            } else {
                throw .service("pairs")
            }
        }
        return texts
    }

    private mutating func mapCount(_ name: StaticString) throws(HubProtocolError) -> Int {
        guard self.hasValue() else { return 0 }
        guard let count = self.reader.mapCount(), count <= Self.maximumMembers else { throw .service(name) }
        return count
    }

    private mutating func claims() throws(HubProtocolError) -> [ServiceMessage.Claim] {
        var claims: [ServiceMessage.Claim] = []
        for _ in 0..<(try self.mapCount("claims")) {
            guard let type = self.reader.string() else { throw .service("claims") }
            if self.reader.passesNil() {
                claims.append(.init(type, ""))
            } else if let value = self.reader.string() {
                claims.append(.init(type, value))
            } else {
                throw .service("claims")
            }
        }
        return claims
    }

    private mutating func headers() throws(HubProtocolError) -> [ServiceMessage.Header] {
        var headers: [ServiceMessage.Header] = []
        for _ in 0..<(try self.mapCount("headers")) {
            guard let name = self.reader.string() else { throw .service("headers") }
            let values = self.reader.passesNil() ? [] : try self.list("headers", limit: Self.maximumMembers)
            headers.append(.init(name, values))
        }
        return headers
    }

    private mutating func payloads() throws(HubProtocolError) -> [ServiceMessage.Payload] {
        var payloads: [ServiceMessage.Payload] = []
        for _ in 0..<(try self.mapCount("payloads")) {
            guard let name = self.reader.string() else { throw .service("payloads") }
            payloads.append(.init(name, try self.content("payloads")))
        }
        return payloads
    }

    /// Members of kinds that no key has are skipped.
    private mutating func members() throws(HubProtocolError) -> ServiceMessage.Extension {
        var members = ServiceMessage.Extension()
        for _ in 0..<(try self.mapCount("extension")) {
            guard let key = self.reader.integer() else { throw .service("extension") }
            let start = self.reader
            switch self.reader.head() {
            case .int(let number)?: members.append(key, .int(number))
            case .uint(let number)?: members.append(key, .int(Int64(bitPattern: number)))
            case .bool(let flag)?: members.append(key, .flag(flag))
            case .string(let length)?:
                guard let text = String(validating: self.reader.content(length), as: UTF8.self) else {
                    throw .service("extension")
                }
                members.append(key, .text(text))
            default:
                self.reader = start
                guard self.reader.skip() else { throw .service("extension") }
            }
        }
        return members
    }
}

extension HubProtocolError {
    fileprivate static func service(_ item: StaticString) -> HubProtocolError {
        HubProtocolError("Reading '\(item)' of a service message failed.")
    }
}
