// SignalBox: what a hub must not look like, and what its clients' results need
// SPDX-License-Identifier: Apache-2.0

import NIOPosix
import SignalRWire
import Testing

@testable import SignalR

private struct Twice: Hub {
    static let methods: [HubMethodDefinition<Twice>] = [
        HubMethodDefinition("Send") { _ in { _, _ in .void } },
        HubMethodDefinition("send") { _ in { _, _ in .void } },
    ]
}

private struct Once: Hub {
    static let methods: [HubMethodDefinition<Once>] = [
        HubMethodDefinition("Send", parameters: 1, streams: 2, kind: .stream, policies: ["p"]) { _ in { _, _ in .void }
        }
    ]
}

@Suite struct HubServerTests {
    private let group = MultiThreadedEventLoopGroup.singleton

    @Test func `Two methods of one name are no hub`() throws {
        let error = try #require(throws: HubDefinitionError.self) { try HubServer(Twice(), eventLoopGroup: group) }
        #expect(error.description == "Duplicate definitions of 'send'. Overloading is not supported.")
    }

    @Test(arguments: ["Send", "send", "SEND"])
    func `Names are found without regard to case`(name: String) throws {
        let method = try #require(try HubServer(Once(), eventLoopGroup: group).method(named: name))
        #expect(method.name == "Send")
        #expect(method.parameterCount == 1)
        #expect(method.streamCount == 2)
        #expect(method.isStreaming)
        #expect(method.policies == ["p"])
    }

    @Test func `Other names are not`() throws {
        #expect(try HubServer(Once(), eventLoopGroup: group).method(named: "Sen") == nil)
    }

    @Test func `Questions are numbered with a letter of their own`() {
        let results = ClientResults()
        #expect((1...3).map { _ in results.nextID() } == ["s1", "s2", "s3"])
    }

    @Test func `An answer that nobody waits for is unknown`() {
        let match = ClientResults().complete(.init(id: "s1", outcome: .void), from: ConnectionID())
        guard case .unknown = match else {
            Issue.record("\(match)")
            return
        }
    }

    @Test func `Nobody can be asked who is not here`() async throws {
        let server = try HubServer(Once(), eventLoopGroup: group)
        let id = ConnectionID().description
        let error = await #expect(throws: HubConnectionError.self) {
            try await server.context.clients.client(id).invoke("X", returning: Int.self)
        }
        #expect(error?.code == .notFound)
        #expect(error?.message == "Connection '\(id)' does not exist.")
        // Sends to nobody succeed, group changes of nobody do nothing.
        try await server.context.clients.client(id).send("X", 1)
        try await server.context.groups.add(id, to: "group")
        #expect(await server.context.presence.groups().isEmpty)
    }

    @Test func `A value that cannot be written is the sender's error`() async throws {
        let server = try HubServer(Once(), eventLoopGroup: group)
        await #expect(throws: (any Error).self) { try await server.context.clients.all.send("X", Unwritable()) }
    }

    private struct Unwritable: Encodable {
        func encode(to encoder: any Encoder) throws {
            throw EncodingError.invalidValue(self, .init(codingPath: [], debugDescription: "no"))
        }
    }
}
