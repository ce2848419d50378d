// SignalBox: the server under load: a hub with the methods that the load generator calls
// SPDX-License-Identifier: Apache-2.0

import Hummingbird
import Logging
import NIOPosix
import SignalR
import SignalRHummingbird

/// Arguments: port, number of event loops (default 1).
struct LoadHub: Hub {
    static let methods: [HubMethodDefinition<LoadHub>] = [
        HubMethodDefinition("Echo", parameters: 1) { arguments in
            let text = try arguments.next(String.self)
            return { _, _ in try .value(text) }
        },
        HubMethodDefinition("Broadcast", parameters: 1) { arguments in
            let text = try arguments.next(String.self)
            return { _, context in
                try await context.clients.all.send("message", text)
                return .void
            }
        },
        HubMethodDefinition("JoinGroup", parameters: 1) { arguments in
            let group = try arguments.next(String.self)
            return { _, context in
                try await context.groups.add(context.connectionID, to: group)
                return .void
            }
        },
        HubMethodDefinition("SendToGroup", parameters: 2) { arguments in
            let group = try arguments.next(String.self)
            let text = try arguments.next(String.self)
            return { _, context in
                try await context.clients.group(group).send("message", text)
                return .void
            }
        },
        HubMethodDefinition("SendToCaller", parameters: 1) { arguments in
            let text = try arguments.next(String.self)
            return { _, context in
                try await context.clients.caller.send("message", text)
                return .void
            }
        },
        HubMethodDefinition("SendToUser", parameters: 1) { arguments in
            let text = try arguments.next(String.self)
            return { _, context in
                try await context.clients.user(context.userID ?? "").send("message", text)
                return .void
            }
        },
    ]
}

let port = CommandLine.arguments.dropFirst().first.flatMap { Int($0) } ?? 5000
let loops = CommandLine.arguments.dropFirst(2).first.flatMap { Int($0) } ?? 1
let group = MultiThreadedEventLoopGroup(numberOfThreads: loops)
var logger = Logger(label: "load")
logger.logLevel = .warning
let router = Router()
var options = HubOptions()
options.userID = { _, request in request.query("user") }
let hub = try router.signalR("/chat", hub: LoadHub(), options: options, eventLoopGroup: group, logger: logger)
try router.classicSignalR("/signalr", hubs: [hub], eventLoopGroup: group, logger: logger)
let app = Application(
    router: router, server: .signalR(router),
    configuration: .init(address: .hostname("127.0.0.1", port: port), backlog: 4096),
    onServerRunning: { _ in print("ready") }, eventLoopGroupProvider: .shared(group), logger: logger)
try await app.runService()
