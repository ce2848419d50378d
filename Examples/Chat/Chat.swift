// SignalBox: the smallest useful hub: everybody hears everybody, and rooms
// SPDX-License-Identifier: Apache-2.0

import Hummingbird
import SignalR
import SignalRHummingbird

@Hub struct Chat {
    func send(user: String, message: String, context: HubCallerContext) async throws {
        try await context.clients.all.send("receive", user, message)
    }

    func join(room: String, context: HubCallerContext) async throws {
        try await context.groups.add(context.connectionID, to: room)
    }

    func sendToRoom(room: String, user: String, message: String, context: HubCallerContext) async throws {
        try await context.clients.group(room).send("receiveRoom", room, user, message)
    }
}

@main struct ChatApp {
    static func main() async throws {
        let router = Router()
        try router.signalR("/chat", hub: Chat())
        try await Application(router: router, server: .signalR(router)).runService()
    }
}
