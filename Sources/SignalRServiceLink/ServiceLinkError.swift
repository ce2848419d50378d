// SignalBox: why something that goes through the service failed
// SPDX-License-Identifier: Apache-2.0

/// Why a send, a group operation or a question through the service failed.
public struct ServiceLinkError: Error, Sendable, Equatable, CustomStringConvertible {
    public enum Code: Sendable {
        /// No server connection is there, or the one in use was lost.
        case notConnected
        /// The service did not answer in time, or said so.
        case timeout
        /// The service answered that it failed.
        case failed
        /// Too many operations wait for the service.
        case tooMany
        /// ``ServiceLink/run()`` was called a second time.
        case alreadyRunning
    }
    public let code: Code
    public let message: String
    public var description: String { message }

    static let notConnected = ServiceLinkError(
        code: .notConnected,
        message: "The service is not connected; add the link to the app's services and look at its log.")
    static let connectionLost = ServiceLinkError(
        code: .notConnected, message: "The connection to the service was lost before it answered.")
    static let timeout = ServiceLinkError(code: .timeout, message: "The service did not answer in time.")
    static let tooMany = ServiceLinkError(code: .tooMany, message: "Too many operations wait for the service.")
    static let unreadable = ServiceLinkError(code: .failed, message: "The service's answer cannot be read.")
    static let alreadyRunning = ServiceLinkError(code: .alreadyRunning, message: "The link runs already, or did.")
    static func status(_ status: Int32, _ message: String?) -> ServiceLinkError {
        status == 3
            ? .timeout : ServiceLinkError(code: .failed, message: "The service failed: \(message ?? "") (\(status)).")
    }
}
