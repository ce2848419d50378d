// SignalBox: the nine messages of the hub protocol
// SPDX-License-Identifier: Apache-2.0

/// Headers of a message; empty means that the message has none.
public typealias HubHeaders = [String: String]

/// One message of the hub protocol (HubProtocol.md), the same for every encoding.
public enum HubMessage: Sendable, Hashable {
    case invocation(Invocation)
    case streamItem(StreamItem)
    case completion(Completion)
    /// Its `id` is never nil when it was read from the wire.
    case streamInvocation(Invocation)
    case cancelInvocation(CancelInvocation)
    case ping
    case close(Close)
    /// The peer has received all messages up to this number (stateful reconnect).
    case ack(Int64)
    /// The next numbered message will have this number (stateful reconnect).
    case sequence(Int64)
    /// A type this implementation does not know. Receivers ignore it; it cannot be written.
    case unknown(type: Int)

    public struct Invocation: Sendable, Hashable {
        /// nil when the caller wants no answer, not even for an error.
        public var id: String?
        public var target: String
        public var arguments: HubArguments
        /// The streams that the caller uploads, in the order of the method's stream parameters.
        public var streamIDs: [String]
        public var headers: HubHeaders

        public init(
            id: String?,
            target: String,
            arguments: HubArguments,
            streamIDs: [String] = [],
            headers: HubHeaders = [:]
        ) {
            self.id = id
            self.target = target
            self.arguments = arguments
            self.streamIDs = streamIDs
            self.headers = headers
        }
    }

    public struct StreamItem: Sendable, Hashable {
        /// The id of the streaming invocation or of the uploaded stream.
        public var id: String
        public var item: HubPayload
        public var headers: HubHeaders

        public init(id: String, item: HubPayload, headers: HubHeaders = [:]) {
            self.id = id
            self.item = item
            self.headers = headers
        }
    }

    public struct Completion: Sendable, Hashable {
        public var id: String
        public var outcome: Outcome
        public var headers: HubHeaders

        public enum Outcome: Sendable, Hashable {
            /// The end of a stream. A method without a result completes with a `null` result instead.
            case void
            case result(HubPayload)
            case failure(String)
        }

        public init(id: String, outcome: Outcome, headers: HubHeaders = [:]) {
            self.id = id
            self.outcome = outcome
            self.headers = headers
        }
    }

    public struct CancelInvocation: Sendable, Hashable {
        public var id: String
        public var headers: HubHeaders

        public init(id: String, headers: HubHeaders = [:]) {
            self.id = id
            self.headers = headers
        }
    }

    public struct Close: Sendable, Hashable {
        /// nil when the connection ends without an error.
        public var error: String?
        public var allowReconnect: Bool

        public init(error: String? = nil, allowReconnect: Bool = false) {
            self.error = error
            self.allowReconnect = allowReconnect
        }
    }

    /// Whether stateful reconnect counts and repeats this message (types 1 to 5).
    public var isNumbered: Bool {
        switch self {
        case .invocation, .streamItem, .completion, .streamInvocation, .cancelInvocation: true
        case .ping, .close, .ack, .sequence, .unknown: false
        }
    }
}

extension HubMessage {
    /// Bytes to reserve before writing one: growing a buffer from nothing costs more than writing a usual message.
    static let usualSize = 256
}

/// The `type` of each message on the wire, in both protocols (HubProtocol.md).
enum HubMessageType: Int {
    case invocation = 1
    case streamItem = 2
    case completion = 3
    case streamInvocation = 4
    case cancelInvocation = 5
    case ping = 6
    case close = 7
    case ack = 8
    case sequence = 9
}
