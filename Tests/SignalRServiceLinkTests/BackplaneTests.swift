// SignalBox: sends, groups and questions as the service gets them (service reference §6, §10, §11)
// SPDX-License-Identifier: Apache-2.0

import NIOCore
import SignalR
import SignalRWire
import Testing

@testable import SignalRServiceLink

/// A call as JSON clients get it.
private func payload(_ target: String, id: String = "") -> [ServiceMessage.Payload] {
    [.init("json", ByteBuffer(string: #"{"type":1,\#(id)"target":"\#(target)","arguments":["a",1]}"# + "\u{1E}"))]
}

@Suite struct BackplaneTests {
    @Test func sends() async throws {
        try await withLink { _, _ in
        } _: { stage in
            let peer = try await stage.service.connection()
            try await eventually { stage.link.isConnected }
            let clients = stage.link.context.clients
            func expect(_ target: ClientTarget, _ multicast: ServiceMessage.Multicast) async throws {
                try await target.send("m", "a", 1)
                #expect(try await peer.message() == .multicast(multicast))
            }
            try await expect(clients.all, .init(to: .all, payload("m")))
            try await expect(
                clients.allExcept(["x", "y"]), .init(to: .all, payload("m"), excludedConnections: ["x", "y"]))
            try await expect(clients.client("x"), .init(to: .connections(["x"]), payload("m")))
            try await expect(clients.clients(["x", "y"]), .init(to: .connections(["x", "y"]), payload("m")))
            try await expect(clients.group("g"), .init(to: .group("g"), payload("m")))
            try await expect(
                clients.groupExcept("g", ["x"]), .init(to: .group("g"), payload("m"), excludedConnections: ["x"]))
            try await expect(clients.groups(["g", "h"]), .init(to: .groups(["g", "h"]), payload("m")))
            try await expect(clients.user("u"), .init(to: .user("u"), payload("m")))
            try await expect(clients.users(["u", "v"]), .init(to: .users(["u", "v"]), payload("m")))
        }
    }

    /// The vectors' frame.
    @Test func everyProtocolOnce() async throws {
        try await withLink { _, hub in
            hub.codecs = HubOptions().codecs
        } _: { stage in
            let peer = try await stage.service.connection()
            try await eventually { stage.link.isConnected }
            try await stage.link.context.clients.group("g").send("echo", "a", 1)
            guard case .multicast(let multicast) = try await peer.message() else { throw Unexpected(what: "no send") }
            #expect(multicast.payloads.map(\.protocol) == ["json", "messagepack"])
            #expect(hex(multicast.payloads[1].bytes) == "0e960180c0a46563686f92a1610190")
            // JSON has no such number, MessagePack has.
            try await stage.link.context.clients.all.send("m", Double.nan)
            guard case .multicast(let other) = try await peer.message() else { throw Unexpected(what: "no send") }
            #expect(other.payloads.map(\.protocol) == ["messagepack"])
        }
    }

    @Test func nobodyIsThere() async throws {
        try await withLink { _, _ in
        } _: { stage in
            await #expect(throws: ServiceLinkError.notConnected) { try await stage.link.context.clients.all.send("m") }
            await #expect(throws: ServiceLinkError.notConnected) { try await stage.link.exists(.user("u")) }
        }
    }

    @Test func tracing() async throws {
        try await withLink { _, _ in
        } _: { stage in
            let peer = try await stage.service.connection()
            try await peer.send(.ping(["d-m", "1"]), .ping(["echo", "1"]))
            _ = try await peer.message()
            try await stage.link.context.clients.all.send("m", "a", 1)
            guard case .multicast(let marked) = try await peer.message() else { throw Unexpected(what: "no send") }
            #expect(marked.extension.tracingID != nil)
            try await peer.send(.ping(["d-m", "0"]), .ping(["echo", "1"]))
            _ = try await peer.message()
            try await stage.link.context.clients.all.send("m", "a", 1)
            #expect(try await peer.message() == .multicast(.init(to: .all, payload("m"))))
        }
    }

    /// What a call sends goes by its client's own connection, in order with the client's own data.
    @Test func callsStayOnTheirConnection() async throws {
        try await withLink { link, _ in
            link.connectionCount = 4
        } _: { stage in
            var peers: [Peer] = []
            for _ in 0..<4 { peers.append(try await stage.service.connection()) }
            let peer = peers[2]
            try await peer.welcome("c1")
            for number in 0..<20 {
                try await peer.call("c1", "Echo", "\"\(number)\"")
                guard case .multicast = try await peer.message() else { throw Unexpected(what: "no send") }
                try await peer.expect("c1", #"{"type":3,"invocationId":"0","result":null}"# + "\u{1E}")
            }
        }
    }

    // MARK: Groups

    /// The vectors' second scenario; the hub goes on once the service has acknowledged.
    @Test func joining() async throws {
        try await withLink { _, _ in
        } _: { stage in
            let peer = try await stage.service.connection()
            try await peer.welcome("conn1")
            try await peer.call("conn1", "Join", "\"g\"")
            guard case .membership(let join) = try await peer.message(), let ack = join.ackID else {
                throw Unexpected(what: "no join")
            }
            #expect(join == .init(.connection("conn1"), group: "g", isJoin: true, ackID: ack))
            try await peer.send(.ping(["echo", "1"]))
            #expect(try await peer.message() == .ping(["echo", "1"]))
            try await peer.send(.ack(id: ack, status: 1, message: "", payload: nil, []))
            guard case .multicast(let send) = try await peer.message() else { throw Unexpected(what: "no send") }
            #expect(send.target == .group("g") && send.excludedConnections == ["conn1"])
        }
    }

    @Test func acknowledgements() async throws {
        try await withLink { link, _ in
            link.ackTimeout = .seconds(60)
        } _: { stage in
            let peer = try await stage.service.connection()
            try await eventually { stage.link.isConnected }
            func status(_ status: Int32) async throws -> Task<Void, any Error> {
                let task = stage.task { try await $0.context.groups.remove("x", from: "g") }
                guard case .membership(let leave) = try await peer.message(), let ack = leave.ackID, !leave.isJoin
                else {
                    throw Unexpected(what: "no leave")
                }
                try await peer.send(.ack(id: ack, status: status, message: "why", payload: nil, []))
                return task
            }
            try await status(1).value
            // A connection that is not there is no error.
            try await status(2).value
            await #expect(throws: ServiceLinkError.timeout) { try await status(3).value }
            await #expect(throws: ServiceLinkError.status(4, "why")) { try await status(4).value }
            // Acks of nothing are nothing.
            try await peer.send(.ack(id: 123_456_789, status: 1, message: "", payload: nil, []))
            let lost = stage.task { try await $0.exists(.user("u")) }
            _ = try await peer.message()
            peer.drop()
            await #expect(throws: ServiceLinkError.connectionLost) { try await lost.value }
        }
    }

    @Test func anAcknowledgementThatDoesNotCome() async throws {
        try await withLink { link, _ in
            link.ackTimeout = .milliseconds(100)
        } _: { stage in
            _ = try await stage.service.connection()
            try await eventually { stage.link.isConnected }
            await #expect(throws: ServiceLinkError.timeout) { try await stage.link.exists(.user("u")) }
        }
    }

    @Test func cancelled() async throws {
        try await withLink { _, _ in
        } _: { stage in
            let peer = try await stage.service.connection()
            try await eventually { stage.link.isConnected }
            let task = stage.task { try await $0.exists(.user("u")) }
            _ = try await peer.message()
            task.cancel()
            await #expect(throws: CancellationError.self) { try await task.value }
        }
    }

    @Test func whatOnlyTheServiceKnows() async throws {
        try await withLink { _, _ in
        } _: { stage in
            let peer = try await stage.service.connection()
            try await eventually { stage.link.isConnected }
            func answer<T: Sendable>(
                _ status: Int32, _ operation: @escaping @Sendable (ServiceLink) async throws -> T
            ) async throws -> (T, ServiceMessage) {
                let task = stage.task(operation)
                let message = try await peer.message()
                let id: Int32? =
                    switch message {
                    case .check(let check): check.ackID
                    case .membership(let membership): membership.ackID
                    case .closing(let closing): closing.ackID
                    default: nil
                    }
                try await peer.send(.ack(id: try #require(id), status: status, message: "", payload: nil, []))
                return (try await task.value, message)
            }
            func subject(_ message: ServiceMessage) -> ServiceMessage.Check.Subject? {
                if case .check(let check) = message { check.subject } else { nil }
            }
            var (isThere, message) = try await answer(1) { try await $0.exists(.connection("c")) }
            #expect(isThere && subject(message) == .connection("c"))
            (isThere, message) = try await answer(2) { try await $0.exists(.group("g")) }
            #expect(!isThere && subject(message) == .group("g"))
            (isThere, message) = try await answer(1) { try await $0.isUser("u", in: "g") }
            #expect(isThere && subject(message) == .userInGroup(user: "u", group: "g"))
            guard
                case .membership(let add) = try await answer(
                    1, { try await $0.addUser("u", to: "g", lifetime: .seconds(5)) }
                ).1,
                case .membership(let remove) = try await answer(1, { try await $0.removeUser("u", from: nil) }).1,
                case .membership(let leave) = try await answer(1, { try await $0.removeFromAllGroups("c") }).1,
                case .closing(let closing) = try await answer(
                    1, { try await $0.close(.group("g"), reason: "late", excluding: ["c"]) }
                ).1
            else { throw Unexpected(what: "other messages") }
            #expect(add.member == .user("u") && add.isJoin && add.extension.lifetime == 5)
            #expect(remove.member == .user("u") && !remove.isJoin && remove.group == nil)
            #expect(leave.member == .connection("c") && !leave.isJoin && leave.group == nil)
            #expect(closing.target == .group("g") && closing.reason == "late" && closing.excludedConnections == ["c"])
        }
    }

    /// Two pages as SignalBox writes them, a group that is not known, and an answer that is none.
    @Test func membersOfGroups() async throws {
        try await withLink { _, _ in
        } _: { stage in
            let peer = try await stage.service.connection()
            try await eventually { stage.link.isConnected }
            func page(
                _ status: Int32, _ payload: String?, after token: String? = nil
            ) async throws -> (page: ServiceLink.GroupPage, query: ServiceMessage.GroupMemberQuery) {
                let task = stage.task { try await $0.members(of: "g", maximum: 2, continuationToken: token) }
                guard case .groupMemberQuery(let query) = try await peer.message() else {
                    throw Unexpected(what: "no query")
                }
                let answer = payload.map { ByteBuffer(bytes: bytes($0)) }
                try await peer.send(.ack(id: query.ackID, status: status, message: "", payload: answer, []))
                return (try await task.value, query)
            }
            // [[["a", "ann"], ["b", nil]], "b"]
            let first = try await page(1, "929292a161a3616e6e92a162c0a162")
            #expect(first.query.group == "g" && first.query.maximum == 2 && first.query.continuationToken == nil)
            #expect(
                first.page.members
                    == [.init(connectionID: "a", userID: "ann"), .init(connectionID: "b", userID: nil)])
            #expect(first.page.continuationToken == "b")
            // [[["c", nil]], nil]
            let second = try await page(1, "929192a163c0c0", after: "b")
            #expect(second.query.continuationToken == "b")
            #expect(second.page.members.map(\.connectionID) == ["c"] && second.page.continuationToken == nil)
            #expect(try await page(2, nil).page.members.isEmpty)
            await #expect(throws: ServiceLinkError.unreadable) { _ = try await page(1, "91c3") }
            await #expect(throws: ServiceLinkError.unreadable) { _ = try await page(1, nil) }
        }
    }

    // MARK: Client results

    private func question(_ peer: Peer) async throws -> (call: ServiceMessage.ClientCall, text: String) {
        guard case .clientInvocation(let call, let payloads) = try await peer.message() else {
            throw Unexpected(what: "no question")
        }
        return (call, String(buffer: payloads[0].bytes))
    }

    @Test func theCallerIsAsked() async throws {
        try await withLink { _, _ in
        } _: { stage in
            let peer = try await stage.service.connection()
            try await peer.welcome("c1")
            try await peer.call("c1", "AskMe")
            let (call, text) = try await question(peer)
            #expect(call.connectionID == "c1" && call.invocationID.hasPrefix("c1-"))
            #expect(call.callerServerID == stage.link.options.serverName)
            #expect(text.contains(#""invocationId":"\#(call.invocationID)","target":"Ask""#))
            try await peer.say("c1", #"{"type":3,"invocationId":"\#(call.invocationID)","result":7}"#)
            // The service need not remember the question.
            guard case .clientCompletion(let notice, "json", let empty) = try await peer.message() else {
                throw Unexpected(what: "no notice")
            }
            #expect(notice.invocationID == call.invocationID && empty.readableBytes == 0)
            try await peer.expect("c1", #"{"type":3,"invocationId":"0","result":7}"# + "\u{1E}")
        }
    }

    /// The vectors' third scenario, from the side that asks, then from the side that has the client.
    @Test func aClientOfAnotherServer() async throws {
        try await withLink { _, _ in
        } _: { stage in
            let peer = try await stage.service.connection()
            try await eventually { stage.link.isConnected }
            let task = stage.task { try await $0.context.clients.client("conn1").invoke("Ask", returning: Int.self) }
            let (call, _) = try await question(peer)
            let completion = ByteBuffer(
                string: #"{"type":3,"invocationId":"\#(call.invocationID)","result":7}"# + "\u{1E}")
            try await peer.send(
                .serviceMapping(invocationID: call.invocationID, connectionID: "conn1", instanceID: "inst-1", []),
                .clientCompletion(call, protocol: "JSON", completion))
            #expect(try await task.value == 7)

            try await peer.welcome("conn1")
            try await peer.send(
                hex:
                    "629622a9636f6e6e312d302d31a5636f6e6e31a2533181a46a736f6ec4447b2274797065223a312c22696e766f63617469"
                    + "6f6e4964223a22636f6e6e312d302d31222c22746172676574223a2241736b222c22617267756d656e7473223a5b5d7d1e80"
            )
            try await peer.send(
                hex: "3c9406a5636f6e6e31c4317b2274797065223a332c22696e766f636174696f6e4964223a22636f6e6e312d302d31222c"
                    + "22726573756c74223a377d1e80")
            #expect(
                try await peer.next().hex
                    == "549723a9636f6e6e312d302d31a5636f6e6e31a25331a46a736f6ec4317b2274797065223a332c22696e766f636174696f"
                    + "6e4964223a22636f6e6e312d302d31222c22726573756c74223a377d1e8103a46a736f6e")
        }
    }

    @Test func answersThatDoNotCome() async throws {
        try await withLink { _, _ in
        } _: { stage in
            let peer = try await stage.service.connection()
            try await eventually { stage.link.isConnected }
            func ask() async throws -> (Task<Int, any Error>, ServiceMessage.ClientCall) {
                let task = stage.task { try await $0.context.clients.client("x").invoke("Ask", returning: Int.self) }
                return (task, try await question(peer).call)
            }
            let (failed, call) = try await ask()
            try await peer.send(.errorCompletion(call, error: "Connection 'x' does not exist."))
            await #expect(throws: HubConnectionError.self) { try await failed.value }
            let (offline, mapped) = try await ask()
            try await peer.send(
                .serviceMapping(invocationID: mapped.invocationID, connectionID: "x", instanceID: "i", []),
                .ping(["offline", "i"]))
            await #expect(throws: HubConnectionError.self) { try await offline.value }
            let (unreadable, other) = try await ask()
            try await peer.send(.clientCompletion(other, protocol: "json", ByteBuffer(string: "nonsense\u{1E}")))
            await #expect(throws: HubConnectionError.self) { try await unreadable.value }
            let (cancelled, _) = try await ask()
            cancelled.cancel()
            await #expect(throws: CancellationError.self) { try await cancelled.value }
            let (lost, _) = try await ask()
            peer.drop()
            await #expect(throws: HubConnectionError.self) { try await lost.value }
        }
    }
}
