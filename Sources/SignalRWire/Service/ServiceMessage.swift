// SignalBox: the messages between the service and app servers
// SPDX-License-Identifier: Apache-2.0

public import NIOCore

/// A message of the service protocol (service reference, "Messages"). Messages that differ only in whom they are about are one case.
///
/// Payloads are slices of what was read; nothing in them is decoded. A hub's name is never in a message: it is that of the connection.
public enum ServiceMessage: Sendable, Hashable {
    /// 1, the first message of an app server.
    case handshakeRequest(HandshakeRequest)
    /// 2, the first message of the service. An empty or missing error is success.
    case handshakeResponse(error: String?, connectionID: String?, Extension)
    /// 3, keys and values in turn; none at all keeps the connection alive.
    case ping([String])
    /// 4
    case openConnection(OpenConnection)
    /// 5, from the side where the client's connection ended.
    case closeConnection(id: String, error: String?, headers: [Header], Extension)
    /// 6, a piece of the bytes of one client, either way.
    case connectionData(id: String, ByteBuffer, Extension)
    /// 7 to 10, 13 and 14
    case multicast(Multicast)
    /// 11, 12, 16 to 19, 26 and 27
    case membership(Membership)
    /// 15; the service is about to close.
    case serviceError(String?)
    /// 20
    case ack(id: Int32, status: Int32, message: String?, payload: ByteBuffer?, Extension)
    /// 21 and 23 to 25
    case check(Check)
    /// 22
    case serviceEvent(ServiceEvent)
    /// 28
    case accessKeyRequest(token: String, keyID: String?, Extension)
    /// 29, with a key or an error.
    case accessKeyResponse(AccessKeyResponse)
    /// 30 to 33
    case closing(Closing)
    /// 34
    case clientInvocation(ClientCall, [Payload])
    /// 35; an empty payload says that the server which asked has its answer.
    case clientCompletion(ClientCall, protocol: String, ByteBuffer)
    /// 36
    case errorCompletion(ClientCall, error: String?)
    /// 37: which service instance a client that was asked is on.
    case serviceMapping(invocationID: String, connectionID: String, instanceID: String, Extension)
    /// 38: the client is back on a new transport.
    case connectionReconnect(id: String, Extension)
    /// 39; the kind is 1 for a client and 2 for a server, the operation 1 Pause, 2 PauseAck, 3 Resume, 4 Offline.
    case flowControl(id: String, kind: Int32, operation: Int32, Extension)
    /// 40
    case groupMemberQuery(GroupMemberQuery)
    /// A type that is not known; the message was skipped.
    case unknown(type: Int)
}

// MARK: - Parts

extension ServiceMessage {
    /// A name that clients' tokens gave to a value; names may repeat.
    public struct Claim: Sendable, Hashable {
        public var type: String
        public var value: String

        public init(_ type: String, _ value: String) {
            self.type = type
            self.value = value
        }
    }

    /// An HTTP header with its values; names are compared without regard to case.
    public struct Header: Sendable, Hashable {
        public var name: String
        public var values: [String]

        public init(_ name: String, _ values: [String]) {
            self.name = name
            self.values = values
        }
    }

    /// A complete frame of a hub protocol. The protocol's name is compared without regard to case.
    public struct Payload: Sendable, Hashable {
        public var `protocol`: String
        public var bytes: ByteBuffer

        public init(_ protocol: String, _ bytes: ByteBuffer) {
            self.protocol = `protocol`
            self.bytes = bytes
        }
    }

    public struct HandshakeRequest: Sendable, Hashable {
        /// 1 is the only one there is.
        public var version: Int32
        /// 0 Default, 1 OnDemand, 2 Weak.
        public var connectionType: Int32
        /// What the service asked to have an on-demand connection to; mostly empty.
        public var target: String?
        /// Whether clients may move to another server: 0 never, 1 at shutdown, 2 at any time.
        public var migrationLevel: Int32
        public var `extension`: Extension
        /// nil when the server is too old to say.
        public var allowsStatefulReconnects: Bool?

        public init(
            version: Int32 = 1, connectionType: Int32 = 0, target: String? = "", migrationLevel: Int32 = 0,
            extension: Extension = [], allowsStatefulReconnects: Bool? = nil
        ) {
            self.version = version
            self.connectionType = connectionType
            self.target = target
            self.migrationLevel = migrationLevel
            self.extension = `extension`
            self.allowsStatefulReconnects = allowsStatefulReconnects
        }
    }

    /// A client that came, as the app server is to see it.
    public struct OpenConnection: Sendable, Hashable {
        public var id: String
        public var claims: [Claim]
        public var headers: [Header]
        /// With its question mark.
        public var query: String
        public var `extension`: Extension

        public init(
            id: String, claims: [Claim] = [], headers: [Header] = [], query: String = "", extension: Extension = []
        ) {
            self.id = id
            self.claims = claims
            self.headers = headers
            self.query = query
            self.extension = `extension`
        }
    }

    /// A message for several clients, in every protocol that the server speaks.
    public struct Multicast: Sendable, Hashable {
        public enum Target: Sendable, Hashable {
            case connections([String])
            case user(String)
            case users([String])
            case all
            case group(String)
            case groups([String])
        }

        public var target: Target
        public var payloads: [Payload]
        /// Connection ids that get nothing; for everybody and one group only.
        public var excludedConnections: [String]
        /// For one group only.
        public var excludedUsers: [String]
        /// Who sends to the group, for information.
        public var callerUser: String?
        public var `extension`: Extension

        public init(
            to target: Target, _ payloads: [Payload], excludedConnections: [String] = [], excludedUsers: [String] = [],
            callerUser: String? = nil, extension: Extension = []
        ) {
            self.target = target
            self.payloads = payloads
            self.excludedConnections = excludedConnections
            self.excludedUsers = excludedUsers
            self.callerUser = callerUser
            self.extension = `extension`
        }
    }

    /// A connection or a user enters or leaves a group.
    public struct Membership: Sendable, Hashable {
        public enum Member: Sendable, Hashable { case connection(String), user(String) }

        public var member: Member
        /// nil stands for all groups, in leaving only.
        public var group: String?
        public var isJoin: Bool
        /// nil when nobody waits for an answer.
        public var ackID: Int32?
        public var `extension`: Extension

        public init(
            _ member: Member, group: String?, isJoin: Bool, ackID: Int32? = nil, extension: Extension = []
        ) {
            self.member = member
            self.group = group
            self.isJoin = isJoin
            self.ackID = ackID
            self.extension = `extension`
        }
    }

    /// A question that an Ack answers with 1 or 2.
    public struct Check: Sendable, Hashable {
        public enum Subject: Sendable, Hashable {
            case userInGroup(user: String, group: String)
            case group(String)
            case connection(String)
            case user(String)
        }

        public var subject: Subject
        public var ackID: Int32
        public var `extension`: Extension

        public init(_ subject: Subject, ackID: Int32, extension: Extension = []) {
            self.subject = subject
            self.ackID = ackID
            self.extension = `extension`
        }
    }

    /// Connections that the service is to close.
    public struct Closing: Sendable, Hashable {
        public enum Target: Sendable, Hashable { case connection(String), all, user(String), group(String) }

        public var target: Target
        public var reason: String?
        public var ackID: Int32
        public var excludedConnections: [String]
        public var `extension`: Extension

        public init(
            _ target: Target, reason: String?, ackID: Int32, excludedConnections: [String] = [],
            extension: Extension = []
        ) {
            self.target = target
            self.reason = reason
            self.ackID = ackID
            self.excludedConnections = excludedConnections
            self.extension = `extension`
        }
    }

    /// Something that happened in the service.
    public struct ServiceEvent: Sendable, Hashable {
        /// 0 the instance, 1 a connection, 2 a user, 3 a group, 4 a server connection.
        public var objectType: Int32
        public var id: String?
        /// 0 Reloading, 1 Invalid, 2 NotExisted, 3 BufferFull.
        public var kind: Int32
        public var message: String?
        public var `extension`: Extension

        public init(objectType: Int32, id: String?, kind: Int32, message: String?, extension: Extension = []) {
            self.objectType = objectType
            self.id = id
            self.kind = kind
            self.message = message
            self.extension = `extension`
        }
    }

    /// A key to sign tokens with, or why there is none. It holds a secret: do not log it.
    public struct AccessKeyResponse: Sendable, Hashable {
        public var keyID: String?
        public var accessKey: String?
        public var errorType: String?
        public var errorMessage: String?
        public var `extension`: Extension

        public init(
            keyID: String? = nil, accessKey: String? = nil, errorType: String? = nil, errorMessage: String? = nil,
            extension: Extension = []
        ) {
            self.keyID = keyID
            self.accessKey = accessKey
            self.errorType = errorType
            self.errorMessage = errorMessage
            self.extension = `extension`
        }
    }

    /// Which question to a client a message belongs to.
    public struct ClientCall: Sendable, Hashable {
        public var invocationID: String
        public var connectionID: String
        public var callerServerID: String?
        public var `extension`: Extension

        public init(
            invocationID: String, connectionID: String, callerServerID: String?, extension: Extension = []
        ) {
            self.invocationID = invocationID
            self.connectionID = connectionID
            self.callerServerID = callerServerID
            self.extension = `extension`
        }
    }

    /// Asks for the connections of a group, a page at a time.
    public struct GroupMemberQuery: Sendable, Hashable {
        public var group: String
        public var ackID: Int32
        /// nil leaves the size of a page to the service.
        public var maximum: Int32?
        public var continuationToken: String?
        public var `extension`: Extension

        public init(
            group: String, ackID: Int32, maximum: Int32? = nil, continuationToken: String? = nil,
            extension: Extension = []
        ) {
            self.group = group
            self.ackID = ackID
            self.maximum = maximum
            self.continuationToken = continuationToken
            self.extension = `extension`
        }
    }
}
