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

    // MARK: REST callers (as if another server had asked)

    private static func invoke(_ world: ServiceWorld, _ id: String) async throws -> Reply {
        let path = "/api/hubs/chat/connections/\(id)/:invoke"
        let token = world.service.options.keys.restToken(path: path, endpoint: "http://localhost")
        return try await world.server.request(
            "POST", path + "?api-version=2024-12-01",
            headers: [("Authorization", "Bearer \(token)"), ("Content-Type", "application/json")],
            body: #"{"target":"Ask","arguments":[1]}"#)
    }

    /// The question as the owner gets it, and what the client is asked.
    private static func asked(
        _ owner: AppServer, _ client: HubClient
    ) async throws -> (call: ServiceMessage.ClientCall, question: HubMessage.Invocation) {
        let told = try await owner.next()
        guard case .clientInvocation(let call, let payloads) = told else {
            throw UnexpectedServiceMessage(message: told)
        }
        #expect(Set(payloads.map(\.protocol)).isSuperset(of: ["json", "messagepack"]))
        let question = try await client.next()
        guard case .invocation(let invocation) = question else { throw UnexpectedMessage(message: question) }
        #expect(invocation.id == call.invocationID && invocation.target == "Ask")
        return (call, invocation)
    }

    @Test(arguments: HubProtocol.allCases)
    func aRestCallerAsksTheClientOfAServer(_ hubProtocol: HubProtocol) async throws {
        try await withService { world in
            let owner = try await world.appServer()
            let (client, id) = try await world.client(of: owner, Wire(transport: .webSockets, hubProtocol: hubProtocol))
            async let reply = Self.invoke(world, id)
            var (call, question) = try await Self.asked(owner, client)
            #expect(call.connectionID == id && call.callerServerID == world.service.instanceID)
            var answer = ByteBuffer()
            try hubProtocol.codec.write(HubMessage.result(question.id ?? "", 7), into: &answer)
            call.extension = .protocol(hubProtocol.rawValue)
            try await owner.send(.clientCompletion(call, protocol: hubProtocol.rawValue, answer))
            #expect(try await reply.status == 200)
            #expect(try await reply.text == #"{"result":7,"protocol":"json"}"#)
        }
    }

    @Test func aRestCallerHearsOfErrorsAndLosses() async throws {
        try await withService {
            $0.clientResultTimeout = .seconds(20)
        } _: { world in
            let owner = try await world.appServer()
            let (client, id) = try await world.client(of: owner)
            async let failed = Self.invoke(world, id)
            let (call, question) = try await Self.asked(owner, client)
            var answer = ByteBuffer()
            try JSONHubCodec().write(
                .completion(.init(id: question.id ?? "", outcome: .failure("no"))), into: &answer)
            try await owner.send(.clientCompletion(call, protocol: "json", answer))
            #expect(try await failed.status == 400)
            #expect(try await failed.text.contains("no"))
            async let unreadable = Self.invoke(world, id)
            let (next, _) = try await Self.asked(owner, client)
            try await owner.send(.clientCompletion(next, protocol: "json", ByteBuffer(string: "{}\u{1E}")))
            #expect(try await unreadable.status == 400)
            async let lost = Self.invoke(world, id)
            _ = try await Self.asked(owner, client)
            client.transport.drop()
            #expect(try await lost.status == 404)
            #expect(try await Self.invoke(world, id).status == 404)
        }
    }

    @Test func aRestCallerDoesNotWaitForEver() async throws {
        try await withService {
            $0.clientResultTimeout = .milliseconds(100)
        } _: { world in
            let owner = try await world.appServer()
            let (client, id) = try await world.client(of: owner)
            async let reply = Self.invoke(world, id)
            let (call, question) = try await Self.asked(owner, client)
            #expect(try await reply.status == 408)
            // Too late, and nobody minds.
            var answer = ByteBuffer()
            try JSONHubCodec().write(HubMessage.result(question.id ?? "", 7), into: &answer)
            try await owner.send(.clientCompletion(call, protocol: "json", answer))
            #expect(try await owner.status(.check(.init(.connection(id), ackID: 1))) == 1)
        }
    }
}
