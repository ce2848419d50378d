// SignalBox: REST operations on who is there, and who is in which group
// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import NIOCore
import SignalR
import SignalRWire

extension RestAPI {
    private static let largestPage = 200

    func exists(_ target: HubTarget, in name: HubName) async throws(RestError) -> HubResponse {
        guard await service.existingHub(name)?.registry.count(of: target) ?? 0 > 0 else { throw .absent(target) }
        return HubResponse(.ok)
    }

    // MARK: Connections in groups

    func join(_ id: String, to group: String, of name: HubName) async throws(RestError) -> HubResponse {
        guard await service.existingHub(name)?.registry.setMembership(of: id, in: group, to: true) == true else {
            throw .noConnection
        }
        return HubResponse(.ok)
    }

    /// Never 404: the Management SDK does not expect one here.
    func leave(_ id: String, from group: String, of name: HubName) async -> HubResponse {
        _ = await service.existingHub(name)?.registry.setMembership(of: id, in: group, to: false)
        return HubResponse(.ok)
    }

    func leaveAll(_ id: String, of name: HubName) async -> HubResponse {
        _ = await service.existingHub(name)?.registry.leaveAllGroups(id)
        return HubResponse(.ok)
    }

    // MARK: Members by pages

    /// By id, so that the id of the last one is where the next page goes on.
    func members(of group: String, in name: HubName, _ call: Call) async throws(RestError) -> HubResponse {
        let top = try number("top", in: 0...Int(Int32.max), call)
        let size = try number("maxpagesize", in: 1...Self.largestPage, call) ?? Self.largestPage
        let wanted = min(size, top ?? size)
        let last = call.query("continuationToken")
        if let last, ConnectionID(last) == nil { throw .invalid("'continuationToken' is not one of ours.") }
        guard wanted > 0, let registry = service.existingHub(name)?.registry else { return page([], next: nil) }
        // One more than wanted tells whether there is a next page.
        var members = await registry.members(of: group, after: last, limit: wanted + 1)
        guard members.count > wanted, top != wanted else { return page(Array(members.prefix(wanted)), next: nil) }
        members.removeLast()
        return page(members, next: members.last.map { nextLink(after: $0.id, top: top.map { $0 - wanted }, call) })
    }

    private func page(_ members: [ConnectionRegistry.Member], next: String?) -> HubResponse {
        let values = members.map { member in
            HubValue.map(
                [.init(key: "connectionId", value: .string(member.id))]
                    + (member.userID.map { [.init(key: "userId", value: .string($0))] } ?? []))
        }
        let link = next.map { [HubValue.Member(key: "nextLink", value: .string($0))] } ?? []
        return .json(.ok, HubValue.map([.init(key: "value", value: .array(values))] + link).json)
    }

    /// The request's own URL with what goes on from `id`. A token in the query does not travel on.
    private func nextLink(after id: String, top: Int?, _ call: Call) -> String {
        let replaced: Set = ["top", "continuationtoken", "access_token"]
        var pairs = call.request.rawQuery.split(separator: "&").filter { pair in
            !replaced.contains(Query.decode(pair.prefix { $0 != "=" }.utf8).lowercased())
        }.map(String.init)
        if let top { pairs.append("top=\(top)") }
        pairs.append("continuationToken=\(id)")
        return "\(call.base)\(call.request.path)?\(pairs.joined(separator: "&"))"
    }

    // MARK: Users in groups

    func add(
        _ user: String, to group: String, of name: HubName, _ call: Call
    ) async throws(RestError) -> HubResponse {
        let lifetime = try number("ttl", in: 0...Int(Int32.max), call).map(Double.init)
        let hub: ServiceHub
        do {
            hub = try service.hub(name)
        } catch {
            throw .tooMany("\(error)")
        }
        // A time of 0 is for those only who are here now.
        if lifetime != 0 {
            guard hub.userGroups.add(user, to: group, lifetime: lifetime) else {
                throw .tooMany("Too many users are in groups.")
            }
            try await settle(hub)
        }
        _ = await hub.registry.collect { shard in
            for connection in shard.members(of: .users([user])) {
                shard.join(connection, group: group, withUser: lifetime != 0)
            }
        }
        return HubResponse(call.isDated ? .ok : .accepted)
    }

    func remove(
        _ user: String, from group: String, of name: HubName, _ call: Call
    ) async throws(RestError) -> HubResponse {
        if let hub = service.existingHub(name) {
            try await remove(user, from: [group], of: hub) { $0.remove(user, from: group) }
        }
        return HubResponse(call.isDated ? .noContent : .accepted)
    }

    func removeFromAll(_ user: String, of name: HubName, _ call: Call) async throws(RestError) -> HubResponse {
        if let hub = service.existingHub(name) {
            try await remove(user, from: hub.userGroups.groups(of: user), of: hub) { $0.remove(user, from: nil) }
        }
        return HubResponse(call.isDated ? .noContent : .ok)
    }

    /// The user's connections leave with it.
    private func remove(
        _ user: String, from groups: [String], of hub: ServiceHub, _ forget: (UserGroups) -> Void
    ) async throws(RestError) {
        forget(hub.userGroups)
        for connection in await hub.connections(of: user) {
            for group in groups { _ = await hub.registry.setMembership(of: connection, in: group, to: false) }
        }
        try await settle(hub)
    }

    func isMember(_ user: String, of group: String, in name: HubName) throws(RestError) -> HubResponse {
        guard service.existingHub(name)?.userGroups.groups(of: user).contains(group) == true else {
            throw .notInGroup
        }
        return HubResponse(.ok)
    }

    /// A change is acknowledged when it survives a restart.
    private func settle(_ hub: ServiceHub) async throws(RestError) {
        do {
            try await hub.userGroups.settle()
        } catch {
            throw .tooMany("The membership could not be stored.")
        }
    }

    // MARK: Tokens

    func makeToken(_ name: HubName, _ call: Call) throws(RestError) -> HubResponse {
        let minutes = try number("minutesToExpire", in: 1...525_600, call) ?? 60
        let token = service.options.keys.clientToken(
            hub: name.description, user: call.query("userId"), endpoint: call.base,
            lifetime: .seconds(minutes * 60))
        return .json(.ok, HubValue.map([.init(key: "token", value: .string(token))]).json)
    }
}
