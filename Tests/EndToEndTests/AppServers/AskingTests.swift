// SignalBox: app servers ask clients for results, through the service
// SPDX-License-Identifier: Apache-2.0

import NIOCore
import SignalR
import SignalRWire
import Testing

@testable import SignalRService

@Suite struct AskingTests {
    private static func question(_ id: String, _ connection: String, from server: String) -> ServiceMessage {
        .clientInvocation(
            .init(invocationID: id, connectionID: connection, callerServerID: server),
            ServiceMessage.payloads("Ask", id: id))
    }

    @Test func aServerAsksItsOwnClient() async throws {
        try await withService { world in
            let app = try await world.appServer("S1")
            let (client, id) = try await world.client(of: app)
            try await app.send(Self.question("q", id, from: "S1"))
            #expect(try await client.next() == .received("Ask", id: "q"))
            try await client.send(.result("q", 7))
            let answer = "{\"type\":3,\"invocationId\":\"q\",\"result\":7}\u{1E}"
            #expect(try await app.text(of: id, count: answer.utf8.count) == answer)
            try await app.send(
                .clientCompletion(
                    .init(invocationID: "q", connectionID: id, callerServerID: "S1", extension: .protocol("json")),
                    protocol: "json", ByteBuffer()))
            // The record is gone: nothing is said when the client goes.
            #expect(try await app.status(.check(.init(.connection(id), ackID: 1))) == 1)
            client.transport.drop()
            #expect(try await app.next() == .closeConnection(id: id, error: "", headers: [], []))
        }
    }

    @Test func aServerAsksTheClientOfAnother() async throws {
        try await withService { world in
            let owner = try await world.appServer("S2")
            let (client, id) = try await world.client(of: owner)
            let caller = try await world.appServer("S1")
            let question = Self.question("q", id, from: "S1")
            try await caller.send(question)
            #expect(
                try await caller.next()
                    == .serviceMapping(
                        invocationID: "q", connectionID: id, instanceID: world.service.instanceID, []))
            #expect(try await owner.next() == question)
            #expect(try await client.next() == .received("Ask", id: "q"))
            let answer = ServiceMessage.clientCompletion(
                .init(invocationID: "q", connectionID: id, callerServerID: "S1", extension: .protocol("json")),
                protocol: "json", ByteBuffer(string: "{\"type\":3,\"invocationId\":\"q\",\"result\":7}\u{1E}"))
            try await owner.send(answer)
            #expect(try await caller.next() == answer)
        }
    }

    @Test func callersHearOfClientsThatAreGone() async throws {
        try await withService { world in
            let app = try await world.appServer("S1")
            let (client, id) = try await world.client(of: app)
            try await app.send(Self.question("a", "none", from: "S1"))
            guard case .errorCompletion(let call, let text?)? = try await app.next() else {
                throw UnexpectedServiceMessage(message: nil)
            }
            #expect(call.invocationID == "a" && call.connectionID == "none" && call.callerServerID == "S1")
            #expect(!text.isEmpty)
            try await app.send(Self.question("b", id, from: "S1"))
            #expect(try await client.next() == .received("Ask", id: "b"))
            client.transport.drop()
            var ends: [String] = []
            for _ in 0..<2 {
                switch try await app.next() {
                case .closeConnection(id, _, _, _): ends.append("close")
                case .errorCompletion(let call, _): ends.append(call.invocationID)
                case let other: throw UnexpectedServiceMessage(message: other)
                }
            }
            #expect(ends.sorted() == ["b", "close"])
        }
    }

    @Test func questionsNeedTheClientsProtocol() async throws {
        try await withService { world in
            let app = try await world.appServer("S1")
            let (_, id) = try await world.client(of: app)
            try await app.send(
                .clientInvocation(
                    .init(invocationID: "a", connectionID: id, callerServerID: "S1"),
                    [.init("messagepack", ByteBuffer(bytes: [2, 0x91, 6]))]))
            guard case .errorCompletion? = try await app.next() else { throw UnexpectedServiceMessage(message: nil) }
        }
    }
}
