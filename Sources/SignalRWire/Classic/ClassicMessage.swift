// SignalBox: what ASP.NET SignalR 2.x clients and servers say to each other
// SPDX-License-Identifier: Apache-2.0

public import NIOCore

/// A call by a client (classic protocol reference, §11.2).
public struct ClassicInvocation: Sendable, Hashable {
    /// The hub's name in any case; nil when the client named none.
    public var hub: String?
    /// The method's name in any case; nil when the client named none.
    public var method: String?
    public var arguments: HubArguments
    /// The call's id as text, whether the client wrote a number or a string; nil when it wants no answer.
    public var id: String?
    /// The text of the JSON object with the client's state of this hub; nil when it sent none.
    public var state: ByteBuffer?

    public init(
        hub: String?, method: String?, arguments: HubArguments, id: String?, state: ByteBuffer? = nil
    ) {
        self.hub = hub
        self.method = method
        self.arguments = arguments
        self.id = id
        self.state = state
    }
}

/// The end of a call (§11.4).
public struct ClassicResult: Sendable, Hashable {
    public struct Failure: Sendable, Hashable {
        public var text: String
        /// Whether hub code threw an error that is meant for the client.
        public var isHubError: Bool
        public var data: HubValue?

        public init(_ text: String, isHubError: Bool = false, data: HubValue? = nil) {
            self.text = text
            self.isHubError = isHubError
            self.data = data
        }
    }

    public var id: String
    /// nil for a method without a result.
    public var value: HubPayload?
    /// The members of the state that the method changed.
    public var state: [HubValue.Member]
    public var failure: Failure?

    public init(id: String, value: HubPayload? = nil, state: [HubValue.Member] = [], failure: Failure? = nil) {
        self.id = id
        self.value = value
        self.state = state
        self.failure = failure
    }
}

/// A report of a running call (§11.5).
public struct ClassicProgress: Sendable, Hashable {
    public var id: String
    public var value: HubPayload
    public var state: [HubValue.Member]

    public init(id: String, value: HubPayload, state: [HubValue.Member] = []) {
        self.id = id
        self.value = value
        self.state = state
    }

    /// An id that no call has: clients that know no progress find nobody for it.
    public static func outerID(of id: String) -> String { "P|\(id)" }
}

/// What a receive request brings to the client (§6).
public struct ClassicFrame: Sendable, Hashable {
    /// Everything up to here has reached the client.
    public var cursor: MessageCursor
    /// The first frame of a transport, which proves that it works.
    public var isInitial = false
    /// Asks a polling client to reconnect at once.
    public var asksToReconnect = false
    /// The new groups token, when groups changed.
    public var groupsToken: String?
    /// Milliseconds to wait before the next poll; nil or 0 for none.
    public var pollDelay: Int64?
    /// JSON values.
    public var messages: [ByteBuffer] = []

    public init(_ cursor: MessageCursor) { self.cursor = cursor }
}
