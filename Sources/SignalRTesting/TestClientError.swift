// SignalBox: what goes wrong for the client of a test
// SPDX-License-Identifier: Apache-2.0

/// Why something that a test expected of a hub did not happen.
public struct TestClientError: Error, Sendable, Equatable, CustomStringConvertible {
    /// The kind of failure. There may be more in later versions.
    public struct Code: Sendable, Hashable, CustomStringConvertible {
        private enum Value: String { case refused, callFailed, closed, nothingCame, unreadable, tooMuch }
        private let value: Value

        /// The hub did not accept the connection.
        public static let refused = Code(value: .refused)
        /// The hub answered a call with an error; the message is its text, as clients see it.
        public static let callFailed = Code(value: .callFailed)
        /// The connection is over; the message is the error of the hub's Close, if there was one.
        public static let closed = Code(value: .closed)
        /// The expected call did not come in time; the message lists what came instead.
        public static let nothingCame = Code(value: .nothingCame)
        /// The hub sent bytes that are no message.
        public static let unreadable = Code(value: .unreadable)
        /// The hub sent more calls than the client keeps for a test to ask for.
        public static let tooMuch = Code(value: .tooMuch)

        public var description: String { value.rawValue }
    }

    public let code: Code
    public let message: String

    init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    public var description: String { message.isEmpty ? "\(code)" : "\(code): \(message)" }
}
