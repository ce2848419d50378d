// SignalBox: app servers address many clients, change groups and ask who is there
// SPDX-License-Identifier: Apache-2.0

import NIOCore
import SignalR
import SignalRWire
import Testing

@testable import SignalRService

@Suite struct FanOutTests {
    @Test func everyTargetReachesItsClientsInBothProtocols() async throws {
        try await withService { world in
            let app = try await world.appServer()
            let (ann, annID) = try await world.client(of: app, user: "ann")
            let messagePack = Wire(transport: .webSockets, hubProtocol: .messagepack)
            let (bob, bobID) = try await world.client(of: app, messagePack, user: "bob")
            let (eve, eveID) = try await world.client(of: app, Wire(transport: .longPolling, hubProtocol: .json))
            for (id, group) in [(annID, "g"), (bobID, "g"), (bobID, "h"), (eveID, "h")] {
                try await app.send(.member(id, group))
            }
            try await app.send(
                .call(.all, "all"), .call(.all, "others", except: [annID]), .call(.user("bob"), "user"),
                .call(.users(["ann", "bob", "nobody"]), "users"),
                .call(.connections([annID, eveID, "x"]), "connections"),
                .call(.group("g"), "group"), .call(.group("g"), "groupOthers", except: [bobID, "x"]),
                .call(.group("g"), "groupUsers", users: ["ann"]), .call(.group("none"), "nobody"),
                .member(bobID, "g", join: false), .call(.groups(["g", "h"]), "groups"))
            for name in ["all", "users", "connections", "group", "groupOthers", "groups"] {
                #expect(try await ann.next() == .received(name))
            }
            for name in ["all", "others", "user", "users", "group", "groupUsers", "groups"] {
                #expect(try await bob.next() == .received(name))
            }
            for name in ["all", "others", "connections", "groups"] {
                #expect(try await eve.next() == .received(name))
            }
        }
    }

    @Test func payloadsStayAsTheyAre() async throws {
        try await withService { world in
            let app = try await world.appServer()
            let (client, _) = try await world.client(of: app)
            // Not even valid: the service does not look.
            let frame = ByteBuffer(string: "{ \"type\" : 1e0 , ]\u{1E}")
            try await app.send(.multicast(.init(to: .all, [.init("JSON", frame)])))
            #expect(try await client.transport.receive() == frame)
        }
    }

    @Test func messagesWithoutTheClientsProtocolAreLeftOut() async throws {
        try await withService { world in
            let app = try await world.appServer()
            let (client, _) = try await world.client(of: app)
            try await app.send(
                .multicast(.init(to: .all, [.init("messagepack", ByteBuffer(bytes: [2, 0x91, 6]))])),
                .call(.all, "next"))
            #expect(try await client.next() == .received("next"))
        }
    }

    @Test func filteredMessagesReachNobodyByMistake() async throws {
        try await withService { world in
            let app = try await world.appServer()
            let (client, _) = try await world.client(of: app)
            // Frame [10, [], {}, {4: "…"}] by hand, since only SDKs write filters.
            var frame = ByteBuffer(bytes: [0x94, 10, 0x90, 0x81, 0xA4])
            frame.writeString("json")
            let call = ServiceMessage.payloads("secret")[0].bytes
            frame.writeMultipleIntegers(0xC4 as UInt8, UInt8(call.readableBytes))
            frame.writeImmutableBuffer(call)
            frame.writeMultipleIntegers(0x81 as UInt8, 4 as UInt8, 0xA1 as UInt8)
            frame.writeString("x")
            var bytes = ByteBuffer(bytes: [UInt8(frame.readableBytes)])
            bytes.writeBuffer(&frame)
            try await app.socket.send(bytes, isText: false)
            try await app.send(.call(.all, "next"))
            #expect(try await client.next() == .received("next"))
        }
    }

    @Test func filtersPickAmongThoseWhoAreMeant() async throws {
        @Sendable func call(
            _ target: ServiceMessage.Multicast.Target, _ name: String, _ filter: String
        ) -> ServiceMessage {
            .multicast(.init(to: target, ServiceMessage.payloads(name), extension: .filter(filter)))
        }
        try await withService { world in
            let app = try await world.appServer()
            let (ann, annID) = try await world.client(of: app, user: "ann")
            let (bob, bobID) = try await world.client(of: app, user: "bob")
            let (eve, eveID) = try await world.client(of: app)
            for id in [annID, bobID] { try await app.send(.member(id, "g")) }
            try await app.send(
                call(.all, "all", "userId ne 'ann'"), call(.group("g"), "group", "userId eq 'ann' or userId eq null"),
                call(.groups(["g", "h"]), "groups", "connectionId eq '\(bobID)'"),
                call(.users(["ann", "bob"]), "users", "startswith(userId, 'a')"),
                call(.user("bob"), "user", "'g' in groups"),
                call(.connections([annID, eveID]), "connections", "not ('g' in groups)"),
                call(.all, "nobody", "userId is 'ann'"), .call(.all, "last"))
            for (client, names) in [
                (ann, ["group", "users", "last"]), (bob, ["all", "groups", "user", "last"]),
                (eve, ["all", "connections", "last"]),
            ] {
                for name in names { #expect(try await client.next() == .received(name)) }
            }
        }
    }

    @Test func orderHolds() async throws {
        try await withService { world in
            let app = try await world.appServer()
            let (client, id) = try await world.client(of: app, user: "ann")
            let targets: [ServiceMessage.Multicast.Target] = [.all, .user("ann"), .connections([id]), .group("g")]
            try await app.send(.member(id, "g"))
            for number in 0..<200 {
                try await app.send(.call(targets[number % 4], "\(number)"))
                if number % 10 == 0 {
                    var bytes = ByteBuffer()
                    try client.codec.write(.received("data\(number)"), into: &bytes)
                    try await app.send(.connectionData(id: id, bytes, []))
                }
            }
            for number in 0..<200 {
                #expect(try await client.next() == .received("\(number)"))
                if number % 10 == 0 { #expect(try await client.next() == .received("data\(number)")) }
            }
        }
    }

    // MARK: Acks

    @Test func acknowledgedIsVisibleToEveryServer() async throws {
        try await withService { world in
            let (one, two) = (try await world.appServer("S1"), try await world.appServer("S2"))
            let client = try await world.open()
            async let answer = client.handshake("{\"protocol\":\"json\",\"version\":1}")
            // Either may get it.
            let owner = try await world.owner(of: [one, two])
            let id = owner.id
            #expect(try await answer == "{}")
            for round in 0..<50 as Range<Int32> {
                #expect(try await one.status(.member(id, "g", ack: round)) == 1)
                try await two.send(.call(.group("g"), "in\(round)"))
                #expect(try await two.status(.check(.init(.group("g"), ackID: round))) == 1)
                #expect(try await client.next() == .received("in\(round)"))
                #expect(try await two.status(.member(id, "g", join: false, ack: round)) == 1)
                try await one.send(.call(.group("g"), "out\(round)"))
                #expect(try await one.status(.check(.init(.group("g"), ackID: round))) == 2)
            }
        }
    }

    @Test func acksSayWhetherSomebodyWasThere() async throws {
        try await withService { world in
            let app = try await world.appServer()
            let (_, id) = try await world.client(of: app, user: "ann")
            for (status, message) in [
                (1, .member(id, "g", ack: 1)), (2, .member("none", "g", ack: 2)),
                (1, .check(.init(.group("g"), ackID: 3))), (2, .check(.init(.group("h"), ackID: 4))),
                (1, .check(.init(.connection(id), ackID: 5))), (2, .check(.init(.connection("none"), ackID: 6))),
                (1, .check(.init(.user("ann"), ackID: 7))), (2, .check(.init(.user("none"), ackID: 8))),
                (1, .member(id, nil, join: false, ack: 9)), (2, .check(.init(.group("g"), ackID: 10))),
                (2, .member("none", nil, join: false, ack: 11)), (1, .member(id, "g", join: false, ack: 12)),
                (1, .user("ann", "u", ack: 13)), (1, .check(.init(.group("u"), ackID: 14))),
                (1, .check(.init(.userInGroup(user: "ann", group: "u"), ackID: 15))),
                (2, .check(.init(.userInGroup(user: "ann", group: "g"), ackID: 16))),
                (1, .user("ann", "u", join: false, ack: 17)), (2, .check(.init(.group("u"), ackID: 18))),
                (1, .user("nobody", "u", ack: 19)), (1, .check(.init(.group("u"), ackID: 20))),
                (1, .user("nobody", nil, join: false, ack: 21)),
                (2, .check(.init(.userInGroup(user: "nobody", group: "u"), ackID: 22))),
                (2, .closing(.init(.connection("none"), reason: nil, ackID: 23))),
                (1, .closing(.init(.user("none"), reason: nil, ackID: 24))),
            ] as [(Int32, ServiceMessage)] {
                #expect(try await app.status(message) == status, "\(message)")
            }
        }
    }

    @Test func usersStayInTheirGroups() async throws {
        try await withService { world in
            let app = try await world.appServer()
            let (first, _) = try await world.client(of: app, user: "ann")
            #expect(try await app.status(.user("ann", "later", ack: 1)) == 1)
            #expect(try await app.status(.user("ann", "now", ack: 2, lifetime: 0)) == 1)
            try await app.send(.user("ann", "short", lifetime: 100))
            let (second, _) = try await world.client(of: app, user: "ann")
            for group in ["later", "now", "short"] { try await app.send(.call(.group(group), group)) }
            for group in ["later", "now", "short"] { #expect(try await first.next() == .received(group)) }
            for group in ["later", "short"] { #expect(try await second.next() == .received(group)) }
            #expect(try await app.status(.user("ann", nil, join: false, ack: 3)) == 1)
            for group in ["later", "short"] { try await app.send(.call(.group(group), group)) }
            try await app.send(.call(.all, "end"))
            for client in [first, second] { #expect(try await client.next() == .received("end")) }
        }
    }

    @Test func closingTellsWhyAndLetsClientsComeBack() async throws {
        try await withService { world in
            let app = try await world.appServer()
            let (ann, annID) = try await world.client(of: app, user: "ann")
            let (bob, bobID) = try await world.client(of: app, user: "bob")
            let (eve, eveID) = try await world.client(of: app)
            let (joe, joeID) = try await world.client(of: app)
            for (client, id, message) in [
                (ann, annID, .closing(.init(.user("ann"), reason: "a", ackID: 1))),
                (bob, bobID, .closing(.init(.connection(bobID), reason: "b", ackID: 2))),
                (eve, eveID, .closing(.init(.all, reason: "c", ackID: 3, excludedConnections: [joeID]))),
            ] as [(HubClient, String, ServiceMessage)] {
                try await app.send(message)
                // The end and the Ack, in no order.
                var answers = Set<ServiceMessage>()
                for _ in 0..<2 { answers.insert(try #require(try await app.next())) }
                #expect(answers.contains(.closeConnection(id: id, error: "", headers: [], [])))
                guard case .close(let close)? = try await client.next() else { throw UnexpectedMessage(message: nil) }
                #expect(close.allowReconnect && ["a", "b", "c"].contains(close.error))
                #expect(try await client.next() == nil)
            }
            try await app.send(.call(.all, "still there"))
            #expect(try await joe.next() == .received("still there"))
        }
    }

    @Test func groupMembersComeInPages() async throws {
        try await withService { world in
            let app = try await world.appServer()
            var ids: [String] = []
            for number in 0..<5 {
                let (_, id) = try await world.client(of: app, user: number == 0 ? "ann" : nil)
                ids.append(id)
                #expect(try await app.status(.member(id, "g", ack: 1)) == 1)
            }
            var found: [HubValue] = []
            var token: String?
            repeat {
                try await app.send(
                    .groupMemberQuery(.init(group: "g", ackID: 2, maximum: 2, continuationToken: token)))
                guard case .ack(2, 1, "", let payload?, [])? = try await app.next(),
                    case .array(let page) = try MessagePack.value(from: payload), page.count == 2,
                    case .array(let members) = page[0]
                else { throw UnexpectedServiceMessage(message: nil) }
                found += members
                token = if case .string(let text) = page[1] { text } else { nil }
            } while token != nil
            let expected = ids.enumerated().map { [.string($1), $0 == 0 ? "ann" : .null] as HubValue }
            #expect(Set(found) == Set(expected) && found.count == 5)
            try await app.send(.groupMemberQuery(.init(group: "none", ackID: 3)))
            guard case .ack(3, 2, "", _, [])? = try await app.next() else {
                throw UnexpectedServiceMessage(message: nil)
            }
        }
    }
}

extension ServiceWorld {
    /// Which of the app servers a client that comes now is given to; that one lets it in.
    func owner(of servers: [AppServer]) async throws -> (server: AppServer, id: String) {
        try await withThrowingTaskGroup(of: (AppServer, String)?.self) { tasks in
            for server in servers {
                tasks.addTask {
                    guard case .openConnection(let open)? = try await server.next() else { return nil }
                    _ = try await server.next()
                    try await server.write("{}\u{1E}", to: open.id)
                    return (server, open.id)
                }
            }
            guard case .some(.some(let owner)) = try await tasks.next() else { throw TimedOut() }
            // The others wait for something: an answer to a ping that means nothing else.
            for server in servers where server !== owner.0 { try await server.send(.ping(["status", "1"])) }
            for try await _ in tasks {}
            return owner
        }
    }
}
