// SignalBox: the playground's hubs at work
// SPDX-License-Identifier: Apache-2.0

import Hummingbird
import NIOCore
import SignalR
import SignalRClassic
import SignalRHummingbird
import SignalRService

/// A chat and a whiteboard, as any app would add them to its router: for clients of ASP.NET Core SignalR, and at `/signalr` for those of
/// ASP.NET SignalR 2.x.
struct Playground: Sendable {
    private let hubs: [HubServer]

    init(
        _ router: Router<BasicRequestContext>, options: HubOptions, classic: ClassicOptions, group: any EventLoopGroup,
        observation: Observation?
    ) throws {
        func serve(_ hub: some Hub, at path: String) throws -> HubServer {
            var options = options
            options.observer = observation?.observer(ofHub: path)
            let server = try router.signalR(RouterPath(path), hub: hub, options: options, eventLoopGroup: group)
            observation?.add(path, server)
            return server
        }
        self.hubs = [try serve(ChatHub(), at: "/hubs/chat"), try serve(BoardHub(), at: "/hubs/board")]
        try router.classicSignalR("/signalr", hubs: hubs, options: classic, eventLoopGroup: group)
    }

    func drain(timeout: Duration) async {
        await withTaskGroup(of: Void.self) { tasks in
            for hub in hubs { tasks.addTask { _ = await hub.registry.drain(timeout: timeout) } }
        }
    }
}

/// How many are here; each hub has its own.
actor Visitors {
    private(set) var count = 0

    func came() -> Int {
        count += 1
        return count
    }

    func left() -> Int {
        count -= 1
        return count
    }
}
