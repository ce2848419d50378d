// SignalBox: the service's hubs as classic clients find them at /aspnetclient
// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import NIOConcurrencyHelpers
import NIOCore
import SignalR
import SignalRClassic
import SignalRWire

/// Decides for each request of a classic client which hubs it may use, and whether an app server or the service itself serves it.
final class ClassicHubs: ClassicDirectory {
    private struct Reference { weak var service: SignalBoxService? }
    private let reference = NIOLockedValueBox(Reference())

    /// Must be called before the first request.
    func use(_ service: SignalBoxService) { reference.withLockedValue { $0.service = service } }

    func entry(of user: HubUser?, to names: [String]?, for request: HubRequest) async throws -> ClassicEntry {
        guard let service = reference.withLockedValue({ $0.service }) else {
            throw ClassicRefusal(.serviceUnavailable, "The service has ended.")
        }
        if let refusal = service.drainRefusal(request) { throw ClassicRefusal(refusal) }
        let visit = Visit(service: service, pass: ClassicPass(user), user: user, request: request)
        return try visit.entry(to: names)
    }
}

/// One request of a classic client.
private struct Visit {
    let service: SignalBoxService
    let pass: ClassicPass
    let user: HubUser?
    let request: HubRequest

    func entry(to names: [String]?) throws -> ClassicEntry {
        let listed = try names.map { try self.listed($0) } ?? [self.unlisted()]
        let places = try listed.map { (hub: $0.hub, admission: try admission($0.name, to: $0.hub)) }
        var entry = ClassicEntry(hubs: places.map(\.admission), isPersistent: names == nil)
        entry.transports = transports
        entry.pollPatience = pollPatience
        if let first = places.first {
            entry.gate = HubGate(admission: service.admission, hub: first.hub.description)
            entry.gateUser = first.admission.userID
        }
        entry.route = try route(places, isPersistent: names == nil)
        entry.mayResume =
            !service.isDraining && entry.route == nil
            && (pass.application == nil || places.allSatisfy { mode(of: $0.hub) == .serverless })
        return entry
    }

    // MARK: Hubs

    /// Those that the token does not allow are left out; nothing left of some is a refusal.
    private func listed(_ names: [String]) throws -> [(name: String, hub: HubName)] {
        var allowed: [(name: String, hub: HubName)] = []
        for name in names {
            // Two names may mean one hub.
            guard let hub = pass.hub(named: name), !allowed.contains(where: { $0.hub == hub }) else { continue }
            allowed.append((name.lowercased(), hub))
        }
        guard names.isEmpty || !allowed.isEmpty else { throw ClassicRefusal(user == nil ? .unauthorized : .forbidden) }
        return allowed
    }

    private func unlisted() throws -> (name: String, hub: HubName) {
        let names = Query.values(of: "hub", in: request.rawQuery)
        guard names.count <= 1, let hub = pass.hub(ofQuery: names.first) else {
            throw ClassicRefusal(
                .badRequest, "A client without hubs must name one by the query key 'hub' or its token.")
        }
        return (hub.description, hub)
    }

    private func hub(_ name: HubName) throws -> ServiceHub {
        guard service.allows(name) else { throw ClassicRefusal(.notFound, "The service has no hub of that name.") }
        do {
            return try service.hub(name)
        } catch {
            throw ClassicRefusal(.serviceUnavailable, "\(error)")
        }
    }

    private func admission(_ name: String, to hub: HubName, isListed: Bool = true) throws -> ClassicAdmission {
        let hub = try self.hub(hub)
        return ClassicAdmission(
            application: hub.classicApplication(named: name, isListed: isListed),
            userID: hub.server.options.userID(user, request))
    }

    // MARK: App servers

    private func mode(of hub: HubName) -> ServiceMode {
        service.options.hubs[hub.description]?.mode ?? service.options.mode
    }

    /// The application's own hub has the server connections that own clients; without an application, the first hub.
    private func route(
        _ places: [(hub: HubName, admission: ClassicAdmission)], isPersistent: Bool
    ) throws -> ClassicRoute? {
        guard let name = pass.home ?? places.first?.hub, mode(of: name) != .serverless else { return nil }
        let hub = try self.hub(name)
        guard mode(of: name) == .default || hub.relay.servers.serve(.classic) else { return nil }
        guard !isPersistent else {
            throw ClassicRefusal(
                .badRequest, "App servers have hubs only; connectionData must list those of the client.")
        }
        let listed = places.first { $0.hub == name }?.admission
        let home = try listed ?? admission(name.description, to: name, isListed: false)
        return ClassicRoute(home: home) { [relay = hub.relay] in ClassicRelay(relay) }
    }

    // MARK: What the token says of transports

    private var transports: [ClassicTransport]? {
        guard let mask = user?.claims["asrs.s.htt"]?.seconds else { return nil }
        let bits: [ClassicTransport: Int] = [
            .webSockets: 1, .serverSentEvents: 2, .foreverFrame: 2, .longPolling: 4,
        ]
        let allowed = Int(exactly: mask) ?? 0
        return ClassicTransport.allCases.filter { allowed & (bits[$0] ?? 0) != 0 }
    }

    private var pollPatience: Duration? {
        guard let seconds = user?.claims["asrs.s.ttl"]?.seconds, (1...300).contains(seconds) else { return nil }
        return .seconds(seconds)
    }
}

extension ServiceHub {
    /// The hub for classic clients that know it by `name`.
    func classicApplication(named name: String, isListed: Bool) -> ClassicApplication {
        let upstream = upstream
        return ClassicApplication(
            name: name, server: server,
            received: { client, text in
                guard let upstream else { throw HubError("Nobody takes messages.") }
                try await upstream.received(text, from: client)
            }, isListed: isListed
        ) { call, client in
            guard let upstream else { return .failure(Self.unserved(call.target)) }
            return await upstream.answer(call, from: client)
        }
    }
}

extension SignalBoxService.Options {
    /// The classic endpoint's options, with what the service decides.
    var classicEndpoint: ClassicOptions {
        var classic = classic
        classic.cors = CrossOrigin(allowedOrigins)
        classic.authenticator = ClassicIdentity(keys: keys, isOpen: !requiresAuthentication)
        // Only the keys' owner can compute these, and no connection has such an id.
        let secrets = keys.signatures(of: "SignalBox.Classic").split(separator: ",").map(String.init)
        if let lasting = try? ClassicKeys(secrets: secrets) { classic.keys = lasting }
        return classic
    }
}
