// SignalBox: plays a scenario's steps against a real server
// SPDX-License-Identifier: Apache-2.0

import NIOConcurrencyHelpers
import NIOCore
import SignalR
import SignalRWire
import Testing

/// A scenario in progress.
struct Stage: Sendable {
    let server: TestServer
    let scenario: Scenario
    let hubProtocol: HubProtocol
    let client: any Conversation
    /// How many numbered messages the client has sent.
    private let sent = NIOLockedValueBox<Int64>(0)

    init(_ scenario: Scenario, _ wire: Wire, _ script: Script, on server: TestServer) async throws {
        self.server = server
        self.scenario = scenario
        self.hubProtocol = wire.hubProtocol
        if scenario.isStateful {
            let isByHand = scenario.steps.contains { $0["c2sText"] != nil }
            self.client = try await StatefulClient(
                server, wire.hubProtocol, version: isByHand ? nil : 2, query: script.query)
        } else {
            self.client = try await server.client(wire, query: script.query)
        }
    }

    var stateful: StatefulClient? { client as? StatefulClient }

    func play(_ script: Script) async throws {
        for (index, step) in scenario.steps.enumerated() {
            try await script.before[index]?(self)
            try await play(step, script)
        }
        try await script.after?(self)
    }

    private func play(_ step: [String: HubValue], _ script: Script) async throws {
        for (key, value) in step {
            switch key {
            case "c2s": try await send(value)
            case "s2c" where value == .null: try await expectNothing()
            case "s2c": try await expect(HubMessage(step: value))
            case "c2sText": try await client.now.send(text: value.asText ?? "")
            case "s2cText":
                #expect(try await client.now.transport.receive() == ByteBuffer(string: value.asText ?? ""))
            case "c2sBytes":
                guard case .int(let count) = value else { throw BadStep(step: value) }
                try await client.now.sendEcho(ofSize: Int(count))
            case "dropTransport": try await stateful?.drop()
            case "reconnect": try await stateful?.reconnect()
            case "server", "client", "negotiate", "handshake", "advance":
                guard let action = script.prose["\(key): \(value.asText ?? "")"] else { throw BadStep(step: value) }
                try await action(self)
            // Annotations: the number of a message, that it is kept, a note.
            case "seq", "buffered", "note": break
            default: throw BadStep(step: .string(key))
            }
        }
    }

    private func send(_ step: HubValue) async throws {
        if step["sequenceId"] == "totalSentByClient+1" {
            return try await client.send(.sequence(sent.withLockedValue { $0 + 1 }))
        }
        let message = try HubMessage(step: step)
        if message.isNumbered { sent.withLockedValue { $0 += 1 } }
        try await client.send(message)
    }

    private func expect(_ message: HubMessage) async throws {
        switch message {
        case .ping: #expect(try await client.now.anyMessage() == .ping)
        case .ack: #expect(try await client.now.next() == message)
        default: #expect(try await client.next() == message)
        }
    }

    /// Nothing but the answer to a later call comes.
    private func expectNothing() async throws {
        try await client.send(.call("AddTwo", [1, 2], id: "later"))
        #expect(try await client.next() == .result("later", 3))
    }
}

/// What a scenario needs of a client, stateful or not.
protocol Conversation: Sendable {
    var now: HubClient { get }
    func send(_ message: HubMessage) async throws
    func next() async throws -> HubMessage?
}

extension HubClient: Conversation {
    var now: HubClient { self }

    /// A call of Echo that takes so many bytes with its framing.
    func sendEcho(ofSize count: Int, id: String = "1") async throws {
        var length = count
        while true {
            var bytes = ByteBuffer()
            try codec.write(.call("Echo", [.string(String(repeating: "x", count: length))], id: id), into: &bytes)
            if bytes.readableBytes == count { return try await transport.send(bytes, isText: codec.name == "json") }
            length -= bytes.readableBytes - count
        }
    }
}

extension StatefulClient: Conversation {}
