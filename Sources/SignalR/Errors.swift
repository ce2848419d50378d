// SignalBox: errors hub code throws and catches, and the texts that clients see of them
// SPDX-License-Identifier: Apache-2.0

public import SignalRWire

/// An error whose message is meant for the client (.NET's HubException): it always reaches the caller,
/// while other errors are hidden unless ``HubOptions/detailedErrors`` is on.
public struct HubError: Error, Sendable, Equatable, CustomStringConvertible {
    public let message: String
    /// What else the client is told, where its protocol has room for it (ASP.NET SignalR 2.x); nil for nothing.
    public let data: HubValue?

    public init(_ message: String, data: HubValue? = nil) {
        self.message = message
        self.data = data
    }

    public var description: String { message }
}

/// Why a send, a client invocation or a group operation failed.
public struct HubConnectionError: Error, Sendable, Equatable, CustomStringConvertible {
    public enum Code: Sendable {
        /// No such connection is here.
        case notFound
        /// The connection ended while it was asked for a result.
        case disconnected
        /// The server is shutting down, or the call is not allowed where it was made.
        case notAllowed
    }
    public let code: Code
    public let message: String
    public var description: String { message }

    package init(code: Code, message: String) {
        self.code = code
        self.message = message
    }
}

/// The error texts of the hub protocol (core protocol reference, "Error texts"); clients and their tests compare them.
enum ErrorText {
    static func methodThrew(_ target: String) -> String {
        "An unexpected error occurred invoking '\(target)' on the server."
    }
    static func bindingFailed(_ target: String) -> String {
        "Failed to invoke '\(target)' due to an error on the server."
    }
    static func unknownMethod(_ target: String) -> String {
        bindingFailed(target) + " HubException: Method does not exist."
    }
    static func unauthorized(_ target: String) -> String { "Failed to invoke '\(target)' because user is unauthorized" }
    static func streamingByInvocation(_ target: String) -> String {
        "The client attempted to invoke the streaming '\(target)' method with a non-streaming invocation."
    }
    static func invocationByStreaming(_ target: String) -> String {
        "The client attempted to invoke the non-streaming '\(target)' method with a streaming invocation."
    }
    static func streamCount(_ target: String, sent: Int, expected: Int) -> String {
        methodThrew(target) + " HubException: Client sent \(sent) stream(s), Hub method expects \(expected)."
    }
    static func notAStream(_ name: String) -> String {
        "The value returned by the streaming method '\(name)' is not a ChannelReader<> or IAsyncEnumerable<>."
    }
    static let streamFailed = "An error occurred on the server while streaming results."
    static func tooManyCalls(_ target: String, _ count: Int) -> String {
        "Failed to invoke '\(target)' because \(count) calls of this client are running already."
    }
    static func inUse(_ id: String) -> String { "Invocation ID '\(id)' is already in use." }
    static let streamBinding = "Failed to bind Stream message."
    static func argumentCount(sent: Int, expected: Int) -> String {
        "InvalidDataException: Invocation provides \(sent) argument(s) but target expects \(expected)."
    }
    static let argumentTypes =
        "InvalidDataException: Error binding arguments. "
        + "Make sure that the types of the provided values match the types of the hub method being invoked."
    static let close = "Connection closed with an error."
    static let clientTimeout =
        "OperationCanceledException: "
        + "Client hasn't sent a message/ping within the configured ClientTimeoutInterval."
    static let rateLimit = "Connection closed: the rate limit of what a client may send was exceeded."
    static let underlyingClosed = "The underlying connection was closed."
    static let resultsInOnConnected = "Client results inside OnConnectedAsync Hub methods are not allowed."
    static let resultsFromMany = "InvokeAsync only works with Single clients."
    static let noResults = "This client's protocol has no results of client methods."
    static let emptyGroup = "Cannot send to an empty group name."
    static func noConnection(_ id: String) -> String { "Connection '\(id)' does not exist." }
    static func disconnected(_ id: String) -> String { "Connection '\(id)' disconnected." }

    enum Handshake {
        static let canceled = "Handshake was canceled."
        static func unsupported(_ name: String) -> String { "The protocol '\(name)' is not supported." }
        static func version(_ version: Int, _ name: String) -> String {
            "The server does not support version \(version) of the '\(name)' protocol."
        }
        static func needsBinary(_ name: String) -> String {
            "Cannot use the '\(name)' protocol on the current transport. The transport does not support 'Binary' transfer format."
        }
        static let unexpected = "An unexpected error occurred during connection handshake."
    }

    /// What follows a text when the error may be shown: a `HubError` always, others only with detailed errors.
    static func detail(of error: any Error, detailed: Bool) -> String {
        switch error {
        case let error as HubError: " HubException: \(error.message)"
        case let error as HubProtocolError where detailed: " InvalidDataException: \(error.message)"
        default: detailed ? " \(type(of: error)): \(error)" : ""
        }
    }
}
