// SignalBox: how a server connection begins, is kept and comes back (service reference §5 to §8)
// SPDX-License-Identifier: Apache-2.0

import Crypto
import NIOCore
import SignalR
import SignalRAccess
import SignalRWire
import Testing
import _SignalRWebSocket

@testable import SignalRServiceLink

@Suite struct HandshakeTests {
    @Test func theUpgradeRequest() async throws {
        try await withLink { link, _ in
            link.applicationName = "App"
            link.hubName = "Chat"
        } _: { stage in
            let head = try await stage.service.arrival().head
            let line = head[0]
            #expect(line.hasPrefix("GET /server/?hub=app_chat&cid="))
            #expect(line.dropLast(9).dropFirst(30).count == 36)
            func field(_ name: String) -> String? {
                head.first { $0.lowercased().hasPrefix(name + ": ") }.map { String($0.dropFirst(name.count + 2)) }
            }
            #expect(field("host") == "127.0.0.1:\(stage.service.port)")
            #expect(field("x-requested-with") == "XMLHttpRequest")
            let name = try #require(field("x-asrs-server-id"))
            #expect(name.split(separator: "_").last?.count == 32)
            let bearer = try #require(field("authorization")?.dropFirst(7))
            let token = try AccessToken(String(bearer))
            #expect(token.isSigned(with: .init(data: Array(accessKey.utf8))))
            #expect(token.claims["nameid"] == .string(name))
            #expect(token.claims["aud"] == .string("http://127.0.0.1/server/?hub=app_chat"))
        }
    }

    @Test(arguments: [
        (ServiceLinkOptions.Shutdown.closeClients, false, "0897010100a00080c2"),
        (.waitForClients, false, "0897010100a00080c2"), (.migrateClients, false, "0897010100a00180c2"),
        (.closeClients, true, "0897010100a00080c3"),
    ])
    func theHandshake(_ shutdown: ServiceLinkOptions.Shutdown, isStateful: Bool, hex: String) async throws {
        try await withLink { link, hub in
            link.shutdown = shutdown
            hub.allowStatefulReconnects = isStateful
        } _: { stage in
            let hello = try await stage.service.arrival().next()
            #expect(hello.hex == hex)
        }
    }

    /// And another one is tried.
    @Test(arguments: ["029103", "079402a26e6f80c0", "0b9505a5636f6e6e31a08080", "00", "ffffffffff"])
    func whatIsNoWelcomeEndsTheConnection(_ hex: String) async throws {
        try await withLink { _, _ in
        } _: { stage in
            let first = try await stage.service.arrival()
            _ = try await first.next()
            #expect(!stage.link.isConnected)
            try await first.send(hex: hex)
            try await first.untilEnd()
            _ = try await stage.service.connection()
            try await eventually { stage.link.isConnected }
        }
    }

    @Test func noAnswerInTimeEndsTheAttempt() async throws {
        try await withLink { link, _ in
            link.handshakeTimeout = .milliseconds(200)
        } _: { stage in
            try await stage.service.arrival().untilEnd()
            _ = try await stage.service.arrival()
        }
    }

    @Test func asManyAsWanted() async throws {
        try await withLink { link, _ in
            link.connectionCount = 3
        } _: { stage in
            for _ in 0..<3 { _ = try await stage.service.connection() }
            try await eventually { stage.link.pool.all.count == 3 }
        }
    }

    @Test func pingsAreAnswered() async throws {
        try await withLink { _, _ in
        } _: { stage in
            let peer = try await stage.service.connection()
            try await peer.send(.ping(["echo", "abc"]), .ping([]), .ping(["odd"]), .ping(["echo", "x", "odd"]))
            #expect(try await peer.next().hex == "0b9303a46563686fa3616263")
            #expect(try await peer.message() == .ping(["echo", "x"]))
            try await peer.send(ByteBuffer(string: "hi"), opcode: .ping)
            #expect(try await peer.message() == .ping(["pong", "hi"]))
        }
    }

    @Test func theStatusIsAskedFor() async throws {
        try await withLink { link, _ in
            link.statusInterval = .milliseconds(50)
        } _: { stage in
            let peer = try await stage.service.connection()
            var frames: Set<String> = []
            while !frames.contains("0b9303a6737461747573a131") { frames.insert(try await peer.inbox.next()?.hex ?? "") }
        }
    }

    @Test func pingsAnswerWhatComesAfterAWhile() async throws {
        try await withLink { link, _ in
            link.pingInterval = .zero
        } _: { stage in
            let peer = try await stage.service.connection()
            try await peer.welcome("c1")
            try await peer.send(.ping([]))
            while try await peer.anyMessage() != .ping(["#clientInHub", "1", "#client", "1"]) {}
        }
    }

    @Test func aSilentServiceIsGone() async throws {
        try await withLink { link, _ in
            link.silence = .milliseconds(500)
        } _: { stage in
            try await stage.service.connection().untilEnd()
            _ = try await stage.service.connection()
        }
    }

    @Test func onDemand() async throws {
        try await withLink { link, _ in
            link.maximumConnectionCount = 2
        } _: { stage in
            let peer = try await stage.service.connection()
            try await peer.send(hex: welcome)  // what makes no sense is ignored
            try await peer.send(.ping(["target", "abc"]))
            let extra = try await stage.service.arrival()
            #expect(try await extra.head[0].contains("&target=abc "))
            #expect(try await extra.next().hex == "0b97010101a36162630080c2")
            // One more is too many; and a lost one is not made again by itself, but may be asked for again.
            try await peer.send(.ping(["target", "def"]), .ping(["echo", "1"]))
            #expect(try await peer.message() == .ping(["echo", "1"]))
            extra.drop()
            try await eventually {
                try await peer.send(.ping(["target", "ghi"]), .ping(["echo", "2"]))
                _ = try await peer.message()
                return !stage.service.isNobodyThere
            }
            let head = try await stage.service.arrival().head[0]
            #expect(head.contains("&target=ghi "))
        }
    }

    @Test func runsOnce() async throws {
        try await withLink { _, _ in
        } _: { stage in
            _ = try await stage.service.connection()
            await #expect(throws: ServiceLinkError.alreadyRunning) { try await stage.link.run() }
        }
    }

    @Test func backoff() {
        var backoff = Backoff()
        let waits = (0..<9).map { _ in backoff.next(chance: 0) }
        #expect(waits == [1, 2, 4, 8, 16, 32, 60, 60, 60].map { Duration.seconds($0) })
        backoff.succeeded()
        #expect(backoff.next(chance: 0.5) == .milliseconds(1500))
    }
}
