// SignalBox: a hub whose clients are at the service: hub code as ever, one more argument, one more service of the app
// SPDX-License-Identifier: Apache-2.0

import Foundation
import Hummingbird
import SignalR
import SignalRHummingbird
import SignalRServiceLink

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

    func countdown(from start: Int) -> AsyncStream<Int> {
        AsyncStream { continuation in
            for number in stride(from: start, through: 1, by: -1) { continuation.yield(number) }
            continuation.finish()
        }
    }

    func sum(numbers: HubStream<Int>) async throws -> Int {
        var sum = 0
        for try await number in numbers { sum += number }
        return sum
    }

    func askMe(context: HubCallerContext) async throws -> String {
        try await context.clients.caller.invoke("answer", returning: String.self)
    }
}

/// Without a connection string the hub serves its clients itself.
@main struct ServiceLinkApp {
    static func main() async throws {
        let environment = ProcessInfo.processInfo.environment
        let router = Router()
        router.get("/ready") { _, _ in HTTPResponse.Status.ok }
        let port = environment["PORT"].flatMap { Int($0) } ?? 8080
        let configuration = ApplicationConfiguration(address: .hostname("127.0.0.1", port: port))
        guard let service = environment["SIGNALBOX_CONNECTION_STRING"] else {
            try router.signalR("/chat", hub: Chat())
            return try await Application(router: router, server: .signalR(router), configuration: configuration)
                .runService()
        }
        let chat = try router.signalR("/chat", hub: Chat(), service: service)
        var app = Application(router: router, server: .signalR(router), configuration: configuration)
        app.addServices(chat)
        try await app.runService()
    }
}
