// SignalBox: who is calling: the identity of a connection and the seam that finds it
// SPDX-License-Identifier: Apache-2.0

public import SignalRWire

/// An authenticated caller.
public struct HubUser: Sendable, Equatable {
    /// The user id (claim `nameidentifier` or `sub`); several connections may share it.
    public var id: String?
    /// Every claim of the token by name.
    public var claims: [String: HubValue]
    /// When the token stops being valid, in seconds since 1970; nil when it never does.
    public var expiration: Double?

    public init(id: String?, claims: [String: HubValue] = [:], expiration: Double? = nil) {
        self.id = id
        self.claims = claims
        self.expiration = expiration
    }

    /// The values of claim `role` or `roles`, written as a string or an array.
    public var roles: [String] {
        ["role", "roles"].compactMap { claims[$0] }.flatMap { claim -> [String] in
            switch claim {
            case .string(let role): [role]
            case .array(let roles): roles.compactMap { if case .string(let role) = $0 { role } else { nil } }
            default: []
            }
        }
    }
}

/// Turns the credentials of a request into a user. Runs for every HTTP request of an endpoint: negotiate, transports, sends.
public protocol HubAuthenticator: Sendable {
    /// - Returns: nil for a request without credentials.
    /// - Throws: ``AuthenticationError`` for credentials that are not valid; the request is answered with 401.
    func authenticate(_ request: HubRequest) async throws -> HubUser?
}

/// Credentials that were refused. The reason goes to the log, never to the client.
public struct AuthenticationError: Error, Sendable, CustomStringConvertible {
    public let reason: String
    public init(_ reason: String) { self.reason = reason }
    public var description: String { reason }
}
