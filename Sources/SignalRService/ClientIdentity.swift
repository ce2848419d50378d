// SignalBox: who a client of the service is, by its token
// SPDX-License-Identifier: Apache-2.0

import SignalR
import SignalRWire

/// Finds the user of a client request by the service's access keys.
struct ClientIdentity: HubAuthenticator {
    let keys: AccessKeys
    let hub: String
    /// In play mode a token that does not hold makes the client anonymous instead of refusing it.
    let isOpen: Bool

    func authenticate(_ request: HubRequest) async throws -> HubUser? {
        guard let token = request.bearerToken else { return nil }
        do {
            return HubUser(serviceClaims: try keys.claims(of: token, for: .client(hub: hub)))
        } catch  where isOpen {
            return nil
        }
    }
}

/// Finds the name of an app server by the service's access keys.
struct ServerIdentity: HubAuthenticator {
    let keys: AccessKeys
    /// In play mode app servers need no token.
    let isOpen: Bool

    func authenticate(_ request: HubRequest) async throws -> HubUser? {
        guard let token = request.bearerToken, let hub = request.query("hub") else { return nil }
        do {
            let audience: Audience =
                switch Generation(serverPath: request.path) {
                case .core: .server(hub: hub)
                case .classic: .classicServer(hub: hub)
                }
            return HubUser(id: try keys.claims(of: token, for: audience)["nameid"]?.text)
        } catch  where isOpen {
            return nil
        }
    }
}

/// Refuses everybody: the identity of hubs that do not exist for requests that may not create them.
struct NoIdentity: HubAuthenticator {
    func authenticate(_ request: HubRequest) async throws -> HubUser? {
        guard request.bearerToken == nil else { throw AuthenticationError("the token is not valid for this hub") }
        return nil
    }
}

extension HubUser {
    private static let idClaims = [
        "nameid", "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/nameidentifier", "sub",
    ]

    /// The user id is `asrs.s.uid` (empty means anonymous), else the first usual claim. The time of `asrs.s.aeo` ends the connection
    /// if `asrs.s.coae` asks for that; the token's own expiration matters at the door only (service reference, "Claims").
    init(serviceClaims claims: HubValue) {
        let id =
            if let uid = claims["asrs.s.uid"] { uid.text } else {
                Self.idClaims.lazy.compactMap { claims[$0]?.text }.first
            }
        let endsWithSession =
            switch claims["asrs.s.coae"] {
            case .bool(let flag): flag
            case .string(let text): text.lowercased() == "true"
            default: false
            }
        var byName: [String: HubValue] = [:]
        if case .map(let members) = claims { for member in members { byName[member.key] = member.value } }
        self.init(id: id, claims: byName, expiration: endsWithSession ? claims["asrs.s.aeo"]?.seconds : nil)
    }
}
