// SignalBox: how a link ends (service reference §14)
// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import NIOCore
import SignalR
import SignalRWire
import Testing

@testable import SignalRServiceLink

@Suite struct ShutdownTests {
    /// `fin`, and once that is acknowledged the clients are told to come back.
    @Test func clientsAreClosed() async throws {
        try await withLink { link, _ in
            link.finInterval = .milliseconds(50)
        } _: { stage in
            let peer = try await stage.service.connection()
            try await peer.welcome("c1")
            try await stage.news.expect("connected c1")
            await stage.shutDown()
            #expect(try await peer.next().hex == "119303a873687574646f776ea566696e3a30")
            // It is said again until it was heard.
            #expect(try await peer.next().hex == "119303a873687574646f776ea566696e3a30")
            try await peer.send(hex: "129303a873687574646f776ea666696e61636b")
            while case let next = try await peer.next(), next.message != .ping(["shutdown", "fin:0"]) {
                #expect(
                    next.message
                        == .connectionData(
                            id: "c1", ByteBuffer(string: #"{"type":7,"allowReconnect":true}"# + "\u{1E}"), []))
                break
            }
            try await stage.news.expect("disconnected c1 in order")
            try await peer.untilEnd()
        }
    }

    @Test func clientsMayStayUntilTheyLeave() async throws {
        try await withLink { link, _ in
            link.shutdown = .waitForClients
        } _: { stage in
            let peer = try await stage.service.connection()
            try await peer.welcome("c1")
            try await stage.news.expect("connected c1")
            await stage.shutDown()
            #expect(try await peer.message() == .ping(["shutdown", "fin:2"]))
            try await peer.send(.ping(["shutdown", "finack"]))
            // Served as ever.
            try await peer.call("c1", "Length", "\"ab\"")
            try await peer.expect("c1", #"{"type":3,"invocationId":"0","result":2}"# + "\u{1E}")
            // New ones negotiate elsewhere.
            #expect(
                stage.link.redirect(HubRequest(method: .post, path: "/desk/negotiate"), nil).status
                    == .internalServerError)
            try await peer.send(.closeConnection(id: "c1", error: "", headers: [], []))
            try await peer.untilEnd()
        }
    }

    @Test func theTimeIsBounded() async throws {
        try await withLink { link, _ in
            link.shutdown = .migrateClients
            link.shutdownTimeout = .milliseconds(200)
        } _: { stage in
            let peer = try await stage.service.connection()
            try await peer.welcome("c1")
            await stage.shutDown()
            #expect(try await peer.message() == .ping(["shutdown", "fin:1"]))
            try await peer.send(.ping(["shutdown", "finack"]))
            try await peer.expect("c1", #"{"type":7,"allowReconnect":true}"# + "\u{1E}")
            #expect(try await peer.message() == .closeConnection(id: "c1", error: "", headers: [], []))
            try await peer.untilEnd()
        }
    }

    /// A service that is gone holds nobody up.
    @Test func withoutAService() async throws {
        try await withLink { _, _ in
        } _: { stage in
            stage.service.close()
            await stage.shutDown()
        }
    }
}
