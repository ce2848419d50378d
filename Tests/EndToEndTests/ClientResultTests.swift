// SignalBox: the server asks clients and waits for their answers
// SPDX-License-Identifier: Apache-2.0

import SignalR
import SignalRWire
import Testing

@Suite struct ClientResultTests {
    private static let failed = "An unexpected error occurred invoking 'Ask' on the server."

    /// The id of the question that came.
    private func question(_ client: HubClient) async throws -> String {
        let message = try await client.next()
        guard case .invocation(let call) = message, let id = call.id, call.target == "Result" else {
            throw UnexpectedMessage(message: message)
        }
        #expect(call.arguments == .values([]))
        return id
    }

    @Test(arguments: Wire.all)
    func `A client's answer is the result of the call`(wire: Wire) async throws {
        try await withServer { server in
            let client = try await server.client(wire)
            try await client.send(.call("Ask", [.null], id: "1"))
            try await client.send(.result(try await question(client), 10))
            #expect(try await client.next() == .result("1", 10))
        }
    }

    @Test(arguments: Wire.all)
    func `A client that cannot answer fails the call with its text`(wire: Wire) async throws {
        try await withServer { server in
            let client = try await server.client(wire)
            try await client.send(.call("Ask", [.null], id: "1"))
            try await client.send(.failure(try await question(client), "Client didn't provide a result."))
            #expect(
                try await client.next()
                    == .failure("1", Self.failed + " HubException: Client didn't provide a result."))
        }
    }

    @Test(arguments: Wire.all)
    func `An answer without a value is nil`(wire: Wire) async throws {
        try await withServer { server in
            let client = try await server.client(wire)
            try await client.send(.call("Ask", [.null], id: "1"))
            try await client.send(.end(try await question(client)))
            #expect(try await client.next() == .result("1", .null))
        }
    }

    @Test func `An answer of another type fails the call, not the connection`() async throws {
        try await withServer { server in
            let client = try await server.client()
            try await client.send(.call("Ask", [.null], id: "1"))
            try await client.send(.result(try await question(client), "ten"))
            guard case .completion(let end) = try await client.next(), case .failure(let text) = end.outcome else {
                Issue.record("no error")
                return
            }
            #expect(text.hasPrefix(Self.failed + " HubException: Error trying to deserialize result to "))
            #expect(try await client.invoke("AddTwo", 1, 2) == .result("1", 3))
        }
    }

    @Test(arguments: Wire.all)
    func `While a call waits for its client, the client's next call runs`(wire: Wire) async throws {
        try await withServer { server in
            let client = try await server.client(wire)
            try await client.send(.call("Ask", [.null], id: "1"))
            let id = try await question(client)
            #expect(try await client.invoke("Echo", "meanwhile", id: "2") == .result("2", "meanwhile"))
            try await client.send(.result(id, 10))
            #expect(try await client.next() == .result("1", 10))
        }
    }

    @Test func `Any connection can be asked`() async throws {
        try await withServer { server in
            let asking = try await server.client()
            for wire in Wire.all {
                let asked = try await server.client(wire)
                try await asking.send(.call("Ask", [.string(try await asked.text("ConnectionID"))], id: "1"))
                try await asked.send(.result(try await question(asked), 7))
                #expect(try await asking.next() == .result("1", 7))
            }
        }
    }

    @Test func `An answer from the wrong connection closes that connection`() async throws {
        try await withServer { server in
            let (asked, intruder) = (try await server.client(), try await server.client())
            try await asked.send(.call("Ask", [.null], id: "1"))
            let id = try await question(asked)
            try await intruder.send(.result(id, 666))
            #expect(
                try await intruder.next() == .close(error: "Connection closed with an error.", allowReconnect: true))
            #expect(try await intruder.next() == nil)
            try await asked.send(.result(id, 10))
            #expect(try await asked.next() == .result("1", 10))
        }
    }

    @Test func `Asking one who is not there, or leaves, fails`() async throws {
        try await withServer {
            $0.detailedErrors = true
        } _: { server in
            let (asking, asked) = (try await server.client(), try await server.client())
            let id = try await asked.text("ConnectionID")
            try await asking.send(.call("Ask", [.string(id)], id: "1"))
            _ = try await question(asked)
            asked.transport.drop()
            #expect(
                try await asking.next()
                    == .failure("1", Self.failed + " HubConnectionError: Connection '\(id)' disconnected."))
            #expect(
                try await asking.invoke("Ask", .string(id), id: "2")
                    == .failure("2", Self.failed + " HubConnectionError: Connection '\(id)' does not exist."))
        }
    }

    @Test func `Only one client can be asked, and not while it connects`() async throws {
        try await withServer {
            $0.detailedErrors = true
        } _: { server in
            let client = try await server.client(query: "asks=yes")
            try await server.bulletin.wait(for: "Client results inside OnConnectedAsync Hub methods are not allowed.")
            #expect(
                try await client.invoke("AskAll")
                    == .failure(
                        "1",
                        "An unexpected error occurred invoking 'AskAll' on the server. "
                            + "HubConnectionError: InvokeAsync only works with Single clients."))
        }
    }

    @Test func `Code outside of hubs can ask, and give up`() async throws {
        try await withServer { server in
            let client = try await server.client()
            let id = try await client.text("ConnectionID")
            let target = server.hub.context.clients.client(id)
            async let answer = target.invoke("Result", returning: Int.self)
            try await client.send(.result(try await question(client), 5))
            #expect(try await answer == 5)

            let given = Task { try await target.invoke("Result", returning: Int.self) }
            let late = try await question(client)
            given.cancel()
            await #expect(throws: CancellationError.self) { try await given.value }
            // The late answer means nothing any more.
            try await client.send(.result(late, 5))
            #expect(try await client.invoke("AddTwo", 1, 2) == .result("1", 3))
        }
    }
}
