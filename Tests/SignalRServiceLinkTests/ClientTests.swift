// SignalBox: clients of the service in a hub, with the test as the service (service reference §9, §12)
// SPDX-License-Identifier: Apache-2.0

import NIOCore
import SignalR
import SignalRWire
import Testing

@testable import SignalRServiceLink

@Suite struct ClientTests {
    /// The vectors' first scenario. Data is sent as by SDKs that name no message types; both hub results and frames are the vectors' own.
    @Test func connectEchoLeave() async throws {
        try await withLink { _, _ in
        } _: { stage in
            let peer = try await stage.service.connection()
            try await peer.send(
                hex: "299604a5636f6e6e3181aa617372732e732e756964a2753180a93f6875623d636861748103a46a736f6e")
            try await peer.send(
                hex: "2b9406a5636f6e6e31c4207b2270726f746f636f6c223a226a736f6e222c2276657273696f6e223a317d1e80")
            #expect(try await peer.next().hex == "0e9406a5636f6e6e31c4037b7d1e80")
            try await stage.news.expect("connected conn1")
            try await peer.send(
                hex:
                    "4c9406a5636f6e6e31c4417b2274797065223a312c22696e766f636174696f6e4964223a2230222c22746172676574223a"
                    + "224563686f222c22617267756d656e7473223a5b226869225d7d1e80")
            #expect(
                try await peer.next().hex
                    == "40940791a5636f6e6e3181a46a736f6ec42e7b2274797065223a312c22746172676574223a226563686f222c22617267"
                    + "756d656e7473223a5b226869225d7d1e80")
            try await peer.expect("conn1", #"{"type":3,"invocationId":"0","result":null}"# + "\u{1E}")
            try await peer.send(hex: "0b9505a5636f6e6e31a08080")
            try await stage.news.expect("disconnected conn1 in order")
            try await eventually { stage.link.clientCount == 0 }
        }
    }

    /// Frames and hub messages cut anywhere, and all in one.
    @Test func anyPieces() async throws {
        try await withLink { _, _ in
        } _: { stage in
            let peer = try await stage.service.connection()
            try await peer.introduce("c1")
            var all = ByteBuffer()
            for byte in Array(#"{"type":1,"invocationId":"7","target":"Length","arguments":["abc"]}"#.utf8) + [0x1E] {
                try ServiceCodec.write(.connectionData(id: "c1", ByteBuffer(bytes: [byte]), []), into: &all)
            }
            for byte in all.readableBytesView { try await peer.send(ByteBuffer(bytes: [byte])) }
            try await peer.send(all)
            try await peer.expect("c1", "{}\u{1E}")
            let completion = #"{"type":3,"invocationId":"7","result":3}"# + "\u{1E}"
            let ping = #"{"type":6}"# + "\u{1E}"
            var text = ""
            while text.utf8.count < 2 * completion.utf8.count {
                text += try await peer.text(for: "c1").replacing(ping, with: "")
            }
            #expect(text == completion + completion)
        }
    }

    @Test func whatTheHubKnows() async throws {
        let role = "http://schemas.microsoft.com/ws/2008/06/identity/claims/role"
        try await withLink { _, _ in
        } _: { stage in
            let peer = try await stage.service.connection()
            try await peer.welcome(
                "a.foreign-id",
                claims: [.init("asrs.s.uid", "ada"), .init(role, "x"), .init(role, "y"), .init("exp", "1")],
                headers: [
                    .init("X-Forwarded-For", ["1.1.1.1, 2.2.2.2"]), .init("User-Agent", ["test"]),
                    .init("Asrs-Instance-Id", ["i"]),
                ], query: "?hub=desk&asrs.op=%2Fchat%2Fdesk&room=a%20b")
            try await peer.call("a.foreign-id", "WhoAmI")
            try await peer.expect(
                "a.foreign-id",
                #"{"type":3,"invocationId":"0","result":["a.foreign-id","ada","/chat/desk","1.1.1.1","a b","test","x+y","json"]}"#
                    + "\u{1E}")
            // By its id, whatever form that has.
            #expect(await stage.link.context.presence.isConnected(.connections(["a.foreign-id"])))
            #expect(
                await stage.link.context.presence.members(of: .users(["ada"])).map(\.connectionID) == ["a.foreign-id"])
        }
    }

    /// A message to the caller comes neither before what its call sent already nor after its end.
    @Test func streamsKeepTheOrder() async throws {
        try await withLink { _, _ in
        } _: { stage in
            let peer = try await stage.service.connection()
            try await peer.welcome("c1")
            try await peer.say("c1", #"{"type":4,"invocationId":"s","target":"Items","arguments":[]}"#)
            var text = ""
            while !text.contains("\"type\":3") { text += try await peer.text(for: "c1") }
            #expect(
                text == [1, 2].map { #"{"type":2,"invocationId":"s","item":\#($0)}"# + "\u{1E}" }.joined()
                    + #"{"type":3,"invocationId":"s"}"# + "\u{1E}")
        }
    }

    @Test func theHubEndsAClient() async throws {
        try await withLink { _, _ in
        } _: { stage in
            let peer = try await stage.service.connection()
            try await peer.welcome("c1")
            try await peer.say("c1", #"{"type":1,"target":"Abort","arguments":[]}"#)
            try await peer.expect("c1", #"{"type":7}"# + "\u{1E}")
            #expect(try await peer.message() == .closeConnection(id: "c1", error: "", headers: [], []))
            try await stage.news.expect("connected c1")
            try await stage.news.expect("disconnected c1 in order")
            // What comes for it now is for nobody, and is not answered.
            try await peer.say("c1", #"{"type":6}"#)
            try await peer.send(.closeConnection(id: "c1", error: "", headers: [], []), .ping(["echo", "1"]))
            #expect(try await peer.message() == .ping(["echo", "1"]))
        }
    }

    @Test func aBadHandshakeIsAnsweredAndEnds() async throws {
        try await withLink { _, _ in
        } _: { stage in
            let peer = try await stage.service.connection()
            try await peer.introduce("c1", protocol: "smoke")
            try await peer.expect("c1", #"{"error":"The protocol 'smoke' is not supported."}"# + "\u{1E}")
            guard case .closeConnection("c1", let error?, [], []) = try await peer.message() else {
                throw Unexpected(what: "no end")
            }
            #expect(error.contains("smoke"))
        }
    }

    @Test func theEndsThatTheServiceTells() async throws {
        try await withLink { _, _ in
        } _: { stage in
            let peer = try await stage.service.connection()
            for id in ["c1", "c2", "c3"] {
                try await peer.welcome(id, headers: [.init("asrs-instance-id", [id == "c2" ? "gone" : "here"])])
                try await stage.news.expect("connected \(id)")
            }
            try await peer.send(.closeConnection(id: "c1", error: "too slow", headers: [], []))
            try await stage.news.expect("disconnected c1 service_closed")
            try await peer.send(.ping(["offline", "gone"]))
            try await stage.news.expect("disconnected c2 service_lost")
            peer.drop()
            try await stage.news.expect("disconnected c3 service_lost")
            try await eventually { stage.link.clientCount == 0 }
            _ = try await stage.service.connection()
        }
    }

    @Test func tooManyClients() async throws {
        try await withLink { link, _ in
            link.maximumClients = 1
        } _: { stage in
            let peer = try await stage.service.connection()
            try await peer.welcome("c1")
            try await peer.introduce("c2")
            guard case .closeConnection("c2", _?, [], []) = try await peer.message() else {
                throw Unexpected(what: "no refusal")
            }
            try await peer.send(.closeConnection(id: "c1", error: "", headers: [], []))
            try await eventually { stage.link.clientCount == 0 }
            try await peer.welcome("c3")
        }
    }

    /// The service cannot be asked to hold one client up.
    @Test func aClientThatSendsMoreThanItsHubTakes() async throws {
        try await withLink { link, hub in
            link.maximumInboundQueue = 1
            hub.transportMaximumBufferSize = 100_000
        } _: { stage in
            let peer = try await stage.service.connection()
            try await peer.welcome("c1")
            try await peer.say("c1", #"{"type":1,"target":"Hold","arguments":[]}"#)
            try await stage.news.expect("connected c1")
            try await stage.news.expect("holding")
            let call = #"{"type":1,"target":"Length","arguments":["\#(String(repeating: "x", count: 9_000))"]}"#
            for _ in 0..<20 { try await peer.say("c1", call) }
            try await peer.expect("c1", #"{"type":7,"allowReconnect":true}"# + "\u{1E}")
            guard case .closeConnection("c1", "inbound queue full", [], []) = try await peer.message() else {
                throw Unexpected(what: "no end")
            }
        }
    }

    // MARK: Moving, pausing, coming back

    @Test func aClientThatMovedHere() async throws {
        try await withLink { _, _ in
        } _: { stage in
            let peer = try await stage.service.connection()
            try await peer.introduce("c1", headers: [.init("Asrs-Migrate-From", ["other"])])
            try await stage.news.expect("connected c1")
            // Its handshake was answered elsewhere.
            try await peer.call("c1", "Length", "\"ab\"")
            try await peer.expect("c1", #"{"type":3,"invocationId":"0","result":2}"# + "\u{1E}")
        }
    }

    @Test func aClientThatMovesAway() async throws {
        try await withLink { _, _ in
        } _: { stage in
            let peer = try await stage.service.connection()
            try await peer.welcome("c1")
            try await stage.news.expect("connected c1")
            try await peer.send(.flowControl(id: "c1", kind: 1, operation: 1, []))
            #expect(try await peer.message() == .flowControl(id: "c1", kind: 1, operation: 2, []))
            // Nothing is sent while it waits to move.
            try await peer.call("c1", "Length", "\"ab\"", invocation: "held")
            try await peer.send(.ping(["echo", "1"]))
            #expect(try await peer.message() == .ping(["echo", "1"]))
            // It did not come to that after all.
            try await peer.send(.flowControl(id: "c1", kind: 1, operation: 3, []))
            try await peer.expect("c1", #"{"type":3,"invocationId":"held","result":2}"# + "\u{1E}")
            // And now it does: there is nothing to say to it, or of it.
            let headers = [ServiceMessage.Header("Asrs-Migrate-To", ["other"])]
            try await peer.send(.closeConnection(id: "c1", error: "", headers: headers, []), .ping(["echo", "2"]))
            #expect(try await peer.message() == .ping(["echo", "2"]))
            try await stage.news.expect("disconnected c1 in order")
        }
    }

    /// Nobody else could answer its calls.
    @Test func aClientThatWaitsForAnAnswerDoesNotMove() async throws {
        try await withLink { _, _ in
        } _: { stage in
            let peer = try await stage.service.connection()
            try await peer.welcome("c1")
            try await peer.call("c1", "AskMe")
            guard case .clientInvocation(let call, _) = try await peer.message() else {
                throw Unexpected(what: "no question")
            }
            try await peer.send(.flowControl(id: "c1", kind: 1, operation: 1, []), .ping(["echo", "1"]))
            #expect(try await peer.message() == .ping(["echo", "1"]))
            try await peer.say("c1", #"{"type":3,"invocationId":"\#(call.invocationID)","result":7}"#)
            guard case .clientCompletion = try await peer.message() else { throw Unexpected(what: "no notice") }
            try await peer.expect("c1", #"{"type":3,"invocationId":"0","result":7}"# + "\u{1E}")
            #expect(try await peer.message() == .flowControl(id: "c1", kind: 1, operation: 2, []))
        }
    }

    @Test func aStatefulClientComesBack() async throws {
        try await withLink { _, hub in
            hub.allowStatefulReconnects = true
        } _: { stage in
            let peer = try await stage.service.connection()
            try await peer.welcome("c1", version: 2)
            try await peer.call("c1", "Length", "\"ab\"")
            let answer = #"{"type":3,"invocationId":"0","result":2}"# + "\u{1E}"
            try await peer.expect("c1", answer)
            try await peer.send(.connectionReconnect(id: "c1", []))
            var text = ""
            while text.utf8.count < answer.utf8.count + 30 { text += try await peer.text(for: "c1") }
            // An acknowledgement may come before it.
            #expect(text.contains(#"{"type":9,"sequenceId":1}"# + "\u{1E}" + answer))
            try await stage.news.expect("connected c1")
        }
    }
}
