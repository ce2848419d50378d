// SignalBox: the hub of the admin listener: the live trace as a stream, and figures every other second
// SPDX-License-Identifier: Apache-2.0

package import Logging
package import NIOCore
package import SignalR
import SignalRWire

/// `watch(filter)` streams events; `subscribe()` makes the server call `overview(figures)` every two seconds, until `unsubscribe()`.
package struct AdminHub: Hub {
    package static let methods: [HubMethodDefinition<AdminHub>] = [
        HubMethodDefinition("watch", parameters: 1, kind: .stream) { arguments in
            let filter = try arguments.next(HubValue.self)
            return { hub, _ in .stream(try hub.watch(filter)) }
        },
        HubMethodDefinition("subscribe") { _ in
            { hub, context in
                try await context.groups.add(context.connectionID, to: Self.subscribers)
                try await context.clients.caller.send("overview", await hub.api.pushedOverview())
                return .void
            }
        },
        HubMethodDefinition("unsubscribe") { _ in
            { _, context in
                try await context.groups.remove(context.connectionID, from: Self.subscribers)
                return .void
            }
        },
    ]

    private static let subscribers = "overview"
    let api: AdminAPI

    private func watch(_ wanted: HubValue) throws -> some AsyncSequence<HubValue, Never> & Sendable {
        let filter: WatchFilter
        do throws(AdminError) {
            filter = try WatchFilter(wanted)
        } catch {
            throw HubError(error.text)
        }
        guard let watch = api.observation.watches.begin(filter) else {
            throw HubError("As many follow the trace as may.")
        }
        return watch.filter { $0 != .null }
    }

    /// A server of the hub for those who have the key.
    package static func server(
        _ api: AdminAPI, key: AdminKey, eventLoopGroup: any EventLoopGroup, logger: Logger
    ) throws(HubDefinitionError) -> HubServer {
        var options = HubOptions()
        options.authenticator = AdminIdentity(key: key)
        options.requiresAuthentication = true
        return try HubServer(AdminHub(api: api), options: options, eventLoopGroup: eventLoopGroup, logger: logger)
    }

    /// Takes the points of the history, and tells subscribers, until the task is cancelled.
    package static func keepTime(_ api: AdminAPI, _ server: HubServer) async {
        var ticks = 0
        while (try? await Task.sleep(for: History.step)) != nil {
            await api.sample()
            ticks += 1
            if ticks % 8 == 0 { for watch in api.observation.watches.all { watch.breakSilence() } }
            let context = server.context
            guard await context.presence.isConnected(.groups([subscribers])) else { continue }
            try? await context.clients.group(subscribers).send("overview", await api.pushedOverview())
        }
    }
}
