// SignalBox: who a classic client of the service is, and which hubs its token is good for
// SPDX-License-Identifier: Apache-2.0

import SignalR
import SignalRWire

/// Finds the user of a classic client's request by the service's access keys.
///
/// Tokens of app servers are for `/aspnetclient` and name no hub. Those of REST callers and of `signalbox token` are for `/client` and one
/// hub; they are good here, too.
struct ClassicIdentity: HubAuthenticator {
    let keys: AccessKeys
    /// In play mode a token that does not hold makes the client anonymous instead of refusing it.
    let isOpen: Bool

    func authenticate(_ request: HubRequest) async throws -> HubUser? {
        do {
            guard let token = request.bearerToken else { throw AuthenticationError("there is no token") }
            return HubUser(serviceClaims: try claims(of: token))
        } catch  where isOpen {
            return nil
        }
    }

    private func claims(of token: String) throws(AuthenticationError) -> HubValue {
        do {
            return try keys.claims(of: token, for: .classicClient)
        } catch {
            return try keys.claims(of: token, for: .anyClient)
        }
    }
}

/// What a token gives access to.
struct ClassicPass {
    /// The name that the app's hubs have in front (service reference, "Connections and hub names").
    let application: String?
    /// Effective names of the only hubs that the token is for; nil for all of the application's, and without one for all there are.
    private let hubs: Set<String>?

    /// - Parameter user: nil for those whom play mode lets in.
    init(_ user: HubUser?) {
        self.application = user?.claims["asrs.s.apn"]?.text
        let audiences = (user?.claims["aud"]?.texts ?? []).filter {
            Audience.classicClient.matches($0) || Audience.anyClient.matches($0)
        }
        let names = audiences.flatMap { Audience.hubs(in: $0) }
        let isForAll = audiences.contains { Audience.classicClient.matches($0) && Audience.hubs(in: $0).isEmpty }
        self.hubs = user == nil || isForAll ? nil : Set(names.map { $0.lowercased() })
    }

    /// The hub that the client calls `name`; nil when it may not enter it.
    func hub(named name: String) -> HubName? {
        let name = name.lowercased()
        let full = application.map { HubName(name, application: $0) } ?? HubName(effective: name)
        guard let hubs else { return full }
        if let full, hubs.contains(full.description) { return full }
        // A token for one hub says which one is meant, whether the client knows of the application or not.
        return hubs.sorted().first { $0 == name || $0.hasSuffix("_\(name)") }.flatMap { HubName(effective: $0) }
    }

    /// The hub of a client that lists none: the one that its query names, else the only one that its token is for.
    func hub(ofQuery name: String?) -> HubName? {
        if let name, !name.isEmpty { return hub(named: name) }
        guard let hubs, hubs.count == 1 else { return nil }
        return hubs.first.flatMap { HubName(effective: $0) }
    }

    /// Who owns the app's clients.
    var home: HubName? { application.flatMap { HubName($0, application: $0) } }
}
