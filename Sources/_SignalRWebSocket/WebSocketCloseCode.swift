// SignalBox: why a WebSocket ends, RFC 6455 §7.4
// SPDX-License-Identifier: Apache-2.0

/// The status code of a close frame.
package struct WebSocketCloseCode: RawRepresentable, Hashable, Sendable, ExpressibleByIntegerLiteral {
    package let rawValue: UInt16

    package init(rawValue: UInt16) { self.rawValue = rawValue }
    package init(integerLiteral value: UInt16) { self.rawValue = value }

    package static let normal: Self = 1000
    package static let goingAway: Self = 1001
    package static let protocolError: Self = 1002
    package static let unsupportedData: Self = 1003
    package static let invalidPayload: Self = 1007
    package static let policyViolation: Self = 1008
    package static let messageTooBig: Self = 1009
    package static let mandatoryExtension: Self = 1010
    package static let internalError: Self = 1011

    /// Whether an endpoint may put this code into a close frame: the registered codes, those for libraries (3000 to
    /// 3999) and those for applications (4000 to 4999). 1004, 1005, 1006 and 1015 never travel (RFC 6455 §7.4.1).
    package var isSendable: Bool {
        switch rawValue {
        case 1000...1003, 1007...1014, 3000...4999: true
        default: false
        }
    }
}

/// What a peer did wrong, or sent too much of, and the code to close the connection with.
package struct WebSocketError: Error, Hashable, Sendable, CustomStringConvertible {
    package let code: WebSocketCloseCode
    /// For the close frame's reason and for logs; never contains bytes of the peer.
    package let message: String

    package init(code: WebSocketCloseCode, message: String) {
        self.code = code
        self.message = message
    }

    package var description: String { "\(message) (\(code.rawValue))" }

    static func protocolError(_ message: String) -> Self { Self(code: .protocolError, message: message) }
    static func invalidPayload(_ message: String) -> Self { Self(code: .invalidPayload, message: message) }
    static let outOfMemory = Self(code: .internalError, message: "There is not enough memory for inflation.")
    static let cannotCompress = Self(code: .internalError, message: "The message cannot be compressed.")
    static func tooBig(_ message: String) -> Self { Self(code: .messageTooBig, message: message) }
}
