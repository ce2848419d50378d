// SignalBox: both ends of the service in one process, over real sockets: hubs do not notice
// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import NIOPosix
import NIOSSL
import SignalR
import SignalRService
import SignalRWire
import Testing

@testable import SignalRServiceLink

/// A service and an app that is attached to it.
private func withLinkedApp<R: Sendable>(
    _ change: @Sendable (inout ServiceLinkOptions, inout HubOptions) -> Void = { _, _ in },
    _ body: @Sendable (LinkedApp) async throws -> R
) async throws -> R {
    try await withService { world in try await world.withApp(change, body) }
}

private func user(_ name: String) -> [(String, String)] { [("From", name)] }

@Suite struct ServiceLinkTests {
    @Test(arguments: Wire.all)
    func callsAndStreams(_ wire: Wire) async throws {
        try await withLinkedApp { app in
            let client = try await app.client(wire)
            let long = HubValue.string(String(repeating: "x", count: 30_000))
            #expect(try await client.invoke("Echo", long) == .result("1", long))
            #expect(try await client.invoke("AddTwo", 1, 2) == .result("1", 3))
            try await client.send(.stream("Stream", id: "s"))
            for item in ["a", "b", "c"] { #expect(try await client.next() == .item("s", .string(item))) }
            #expect(try await client.next() == .end("s"))
            try await client.send(.call("StreamingConcat", id: "u", streams: ["up"]))
            for word in ["one", "two"] { try await client.send(.item("up", .string(word))) }
            try await client.send(.end("up"))
            #expect(try await client.next() == .result("u", "onetwo"))
            #expect(
                try await client.invoke("ThrowException", "x")
                    == .failure("1", "An unexpected error occurred invoking 'ThrowException' on the server."))
        }
    }

    @Test func aStreamThatIsCancelled() async throws {
        try await withLinkedApp { app in
            let client = try await app.client()
            try await client.send(.stream("InfiniteStream", id: "s"))
            try await app.bulletin.wait(for: "streaming")
            try await client.send(.cancel("s"))
            #expect(try await client.next() == .end("s"))
            try await app.bulletin.wait(for: "stream over")
        }
    }

    @Test(arguments: Wire.all)
    func sends(_ wire: Wire) async throws {
        try await withLinkedApp { app in
            let (a, b) = (try await app.client(wire, headers: user("ann")), try await app.client(headers: user("bob")))
            let (idA, idB) = (try await a.text("ConnectionID"), try await b.text("ConnectionID"))
            let message = HubMessage.call("Message", ["hi"])
            /// Who hears it, in what order so ever.
            func expect(
                _ method: String, _ arguments: HubValue..., a hearsA: Bool = false, b hearsB: Bool = false
            ) async throws {
                try await a.send(.call(method, arguments + ["hi"], id: "send"))
                if hearsA { #expect(try await a.next() == message) }
                #expect(try await a.next() == .result("send", .null))
                if hearsB { #expect(try await b.next() == message) }
            }
            try await expect("ToCaller", a: true)
            try await expect("ToAll", a: true, b: true)
            try await expect("ToOthers", b: true)
            try await expect("ToClient", .string(idB), b: true)
            try await expect("ToClients", .string(idA), .string(idB), a: true, b: true)
            try await expect("ToAllExcept", .string(idA), b: true)
            try await expect("ToUser", "bob", b: true)
            try await expect("ToUsers", "bob", "nobody", b: true)
            #expect(try await a.invoke("Join", "g") == .result("1", .null))
            #expect(try await b.invoke("Join", "g") == .result("1", .null))
            try await expect("ToGroup", "g", a: true, b: true)
            try await expect("ToGroups", "g", "h", a: true, b: true)
            try await expect("ToGroupExcept", "g", .string(idA), b: true)
            try await expect("ToOthersInGroup", "g", b: true)
            #expect(try await b.invoke("Leave", "g") == .result("1", .null))
            try await expect("ToGroup", "g", a: true)
            // Nothing else came.
            #expect(try await b.invoke("AddTwo", 1, 1) == .result("1", 2))
        }
    }

    @Test func whoTheCallerIs() async throws {
        try await withLinkedApp { app in
            let client = try await app.client(query: "colour=blue", headers: user("root") + [("User-Agent", "tests")])
            #expect(try await client.text("UserID") == "root")
            #expect(
                try await client.invoke("Features")
                    == .result("1", ["WebSockets", "json", "/desk", "blue", "tests"]))
            #expect(try await client.invoke("Admin") == .result("1", "welcome"))
            let other = try await app.client(headers: user("ann"))
            #expect(
                try await other.invoke("Admin")
                    == .failure("1", "Failed to invoke 'Admin' because user is unauthorized"))
            let nobody = try await app.client()
            #expect(try await nobody.invoke("UserID") == .result("1", .null))
        }
    }

    @Test func negotiating() async throws {
        try await withLinkedApp { _, hub in
            hub.requiresAuthentication = true
        } _: { app in
            #expect(try await app.negotiate().status == 401)
            let reply = try await app.negotiate(query: "negotiateVersion=1", headers: user("ann"))
            #expect(reply.status == 200)
            #expect(
                reply.text.hasPrefix(
                    #"{"url":"http://127.0.0.1:\#(app.world.server.port)/client/?hub=chat&asrs.op=%2Fdesk&"#))
            #expect(reply.text.hasSuffix(#"","availableTransports":[]}"#))
            // Everything else of the hub is at the service.
            let socket = try await Socket.connect(port: app.port)
            #expect(try await socket.request("GET", "/desk", headers: user("ann")).status == 404)
            #expect(try await socket.request("GET", "/desk/negotiate", headers: user("ann")).status == 405)
            socket.close()
        }
    }

    @Test func beforeTheServiceIsThere() async throws {
        try await withService { world in
            let router = ServiceLinkOptions()
            let link = try ServiceLink(
                TestHub(bulletin: Bulletin()), service: "Endpoint=http://127.0.0.1;AccessKey=\(ServiceWorld.key)",
                link: router,
                eventLoopGroup: TestServer.loops)
            let answer = link.redirect(HubRequest(method: .post, path: "/desk/negotiate"), nil)
            #expect(answer.status == .internalServerError)
        }
    }

    @Test func onlyTheRightKey() async throws {
        try await withService { world in
            let link = try ServiceLink(
                TestHub(bulletin: Bulletin()),
                service:
                    "Endpoint=http://127.0.0.1;Port=\(world.server.port);AccessKey=wrong-wrong-wrong-wrong-wrong-wrong",
                eventLoopGroup: TestServer.loops)
            let end = try await ServerConnection(link, kind: .default, target: "", on: TestServer.loops.next()).live()
            #expect(!end.wasRunning && end.reason.contains("401"))
        }
    }

    // MARK: Client results

    @Test(arguments: Wire.all)
    func aClientIsAsked(_ wire: Wire) async throws {
        try await withLinkedApp { app in
            let client = try await app.client(wire)
            try await client.send(.call("Ask", [.null], id: "1"))
            guard case .invocation(let question) = try await client.next(), let id = question.id else {
                throw UnexpectedMessage(message: nil)
            }
            try await client.send(.result(id, 42))
            #expect(try await client.next() == .result("1", 42))
            try await client.send(.call("Ask", ["nobody"], id: "2"))
            guard case .completion(let end) = try await client.next(), case .failure = end.outcome else {
                throw UnexpectedMessage(message: nil)
            }
        }
    }

    @Test func aClientOfAnotherAppIsAsked() async throws {
        try await withService { world in
            try await world.withApp { first in
                try await world.withApp { second in
                    let clients = try await oneOfEach(first, second)
                    let id = try await clients.second.text("ConnectionID")
                    try await clients.first.send(.call("Ask", [.string(id)], id: "1"))
                    guard case .invocation(let question) = try await clients.second.next(), let id = question.id else {
                        throw UnexpectedMessage(message: nil)
                    }
                    try await clients.second.send(.result(id, 7))
                    #expect(try await clients.first.next() == .result("1", 7))
                    // Groups and sends know no borders either.
                    #expect(try await clients.second.invoke("Join", "g") == .result("1", .null))
                    #expect(try await clients.first.invoke("ToGroup", "g", "hi") == .result("1", .null))
                    #expect(try await clients.second.next() == .call("Message", ["hi"]))
                }
            }
        }
    }

    /// The service spreads clients; this takes new ones until each app has one.
    private func oneOfEach(
        _ first: LinkedApp, _ second: LinkedApp
    ) async throws -> (first: HubClient, second: HubClient) {
        var (a, b): (HubClient?, HubClient?)
        for _ in 0..<100 {
            let client = try await first.client()
            let id = try await client.text("ConnectionID")
            let isFirst = await first.link.context.presence.isConnected(.connections([id]))
            if isFirst { a = client } else { b = client }
            if let a, let b { return (a, b) }
        }
        throw TimedOut()
    }

    // MARK: What only the service knows

    @Test func questionsToTheService() async throws {
        try await withLinkedApp { app in
            let client = try await app.client(headers: user("ann"))
            let id = try await client.text("ConnectionID")
            #expect(try await app.link.exists(.connection(id)))
            #expect(try await app.link.exists(.user("ann")))
            #expect(try await !app.link.exists(.group("g")))
            try await app.link.context.groups.add(id, to: "g")
            #expect(try await app.link.exists(.group("g")))
            try await app.link.removeFromAllGroups(id)
            #expect(try await !app.link.exists(.group("g")))
            try await app.link.addUser("ann", to: "vip")
            #expect(try await app.link.isUser("ann", in: "vip"))
            try await app.link.context.clients.group("vip").send("Message", "hello")
            #expect(try await client.next() == .call("Message", ["hello"]))
            try await app.link.removeUser("ann", from: "vip")
            #expect(try await !app.link.isUser("ann", in: "vip"))
            try await app.link.context.groups.add("nobody", to: "g")
            try await app.link.close(.user("ann"), reason: "late")
            #expect(try await client.next() == .close(error: "late", allowReconnect: true))
            try await app.bulletin.wait(for: "disconnected in order")
        }
    }

    // MARK: Ends

    @Test func clientsComeAndGo() async throws {
        try await withLinkedApp { app in
            let client = try await app.client()
            try await client.send(.close())
            try await app.bulletin.wait(for: "disconnected in order")
            let aborted = try await app.client()
            #expect(try await aborted.invoke("Abort") != nil)
            try await app.bulletin.wait(for: "disconnected in order", count: 2)
            let dropped = try await app.client()
            dropped.transport.drop()
            try await app.bulletin.wait(for: "disconnected in order", count: 3)
            try await eventually { app.link.clientCount == 0 }
        }
    }

    @Test func refusedByTheHub() async throws {
        try await withLinkedApp { app in
            let client = try await app.client(query: "refuse=full")
            #expect(
                try await client.next() == .close(error: "Connection closed with an error. HubException: full"))
            #expect(try await client.next() == nil)
        }
    }

    /// Clients of a connection that is lost are told to come back, and find another one.
    @Test func aServerConnectionIsLost() async throws {
        try await withLinkedApp { link, _ in
            link.connectionCount = 1
        } _: { app in
            let client = try await app.client()
            let connection = try #require(app.link.pool.all.first)
            connection.close()
            #expect(
                try await client.next() == .close(error: "Connection closed with an error.", allowReconnect: true))
            try await app.bulletin.wait(for: "disconnected service_lost")
            try await eventually { app.link.isConnected && app.link.pool.all.first !== connection }
            let again = try await app.client()
            #expect(try await again.invoke("AddTwo", 1, 2) == .result("1", 3))
        }
    }

    @Test(arguments: Wire.all)
    func aShutdownTellsClientsToComeBack(_ wire: Wire) async throws {
        try await withLinkedApp { app in
            let client = try await app.client(wire)
            try await app.bulletin.wait(for: "connected")
            await app.shutDown()
            #expect(try await client.next() == .close(allowReconnect: true))
            try await app.bulletin.wait(for: "disconnected in order")
        }
    }

    @Test func aShutdownMayWaitForClients() async throws {
        try await withLinkedApp { link, _ in
            link.shutdown = .waitForClients
        } _: { app in
            let client = try await app.client()
            await app.shutDown()
            try await eventually { app.link.isStopping }
            #expect(try await client.invoke("AddTwo", 1, 2) == .result("1", 3))
            try await client.send(.close())
            #expect(try await client.next() == .close())
            try await app.bulletin.wait(for: "disconnected in order")
        }
    }

    /// A client goes on with the next app, and its group with it.
    @Test func aShutdownMayMoveClients() async throws {
        let moves: @Sendable (inout ServiceLinkOptions, inout HubOptions) -> Void = { link, _ in
            link.shutdown = .migrateClients
        }
        try await withService { world in
            try await world.withApp(moves) { first in
                let client = try await first.client()
                #expect(try await client.invoke("Join", "g") == .result("1", .null))
                try await world.withApp(moves) { second in
                    await first.shutDown()
                    try await second.bulletin.wait(for: "connected")
                    try await first.bulletin.wait(for: "disconnected in order")
                    #expect(try await client.invoke("ToGroup", "g", "hi") == .call("Message", ["hi"]))
                    #expect(try await client.next() == .result("1", .null))
                    try await client.send(.close())
                    #expect(try await client.next() == .close())
                }
            }
        }
    }

    @Test func overTLS() async throws {
        let certificate = try TestCertificate()
        let tls = try certificate.configurations()
        try await withService { _ in
        } server: {
            $0.tls = tls
        } _: { world in
            try await world.withApp({ link, _ in link.tls = tls.client }, scheme: "https") { app in
                let client = try await app.client()
                #expect(try await client.invoke("AddTwo", 1, 2) == .result("1", 3))
            }
        }
    }
}
