// SignalBox: calls, results, errors, state, progress and several hubs of classic clients
// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import NIOCore
import SignalR
import SignalRClassic
import SignalRWire
import Testing

@Suite(.timeLimit(.minutes(1))) struct CallTests {
    /// The answer to one call by a request.
    private func answer(_ json: String, stage: Stage? = nil) async throws -> String {
        let client = try await MemoryClient((stage ?? Stage()).endpoint)
        let response = await client.send(json)
        #expect(response.headers[.contentType] == "application/json; charset=UTF-8")
        return response.text
    }

    @Test func `The id comes back as text, whatever it was`() async throws {
        #expect(try await answer(#"{"H":"CHATHUB","M":"ADD","A":[1,2],"I":5}"#) == #"{"R":3,"I":"5"}"#)
        #expect(try await answer(#"{"H":"chathub","M":"Add","A":[1,2],"I":"5"}"#) == #"{"R":3,"I":"5"}"#)
        #expect(try await answer(#"{"H":"chathub","M":"send","A":["x"],"I":0}"#) == #"{"I":"0"}"#)
    }

    @Test func `A failure names hub and method as the client wrote them`() async throws {
        #expect(
            try await answer(#"{"H":"chathub","M":"Fail","A":[false],"I":3}"#)
                == #"{"I":"3","E":"Call of 'chathub.Fail' failed."}"#)
        #expect(
            try await answer(#"{"H":"chathub","M":"fail","A":[true],"I":4}"#)
                == #"{"I":"4","H":true,"E":"no such room","D":{"code":7}}"#)
        let detailed = try Stage(hub: { $0.detailedErrors = true })
        #expect(
            try await answer(#"{"H":"chathub","M":"fail","A":[false],"I":3}"#, stage: detailed).contains("Mishap"))
        #expect(
            try await answer(#"{"H":"chathub","M":"secret","A":[],"I":3}"#).contains("unauthorized"))
    }

    @Test func `What fits no method, no hub or no type fails the call`() async throws {
        #expect(
            try await answer(#"{"H":"chathub","M":"nope","A":[],"I":1}"#)
                == #"{"I":"1","E":"'chathub.nope' method could not be resolved."}"#)
        #expect(try await answer(#"{"H":"chathub","M":"add","A":[1],"I":1}"#).contains("could not be resolved"))
        #expect(try await answer(#"{"H":"nohub","M":"add","A":[1,2],"I":1}"#).contains("'nohub'"))
        #expect(try await answer(#"{"M":"add","A":[1,2],"I":1}"#).hasPrefix(#"{"I":"1","E":"#))
        #expect(try await answer(#"{"H":"chathub","M":"add","A":["x",2],"I":1}"#).hasPrefix(#"{"I":"1","E":"#))
        let detailed = try Stage(hub: { $0.detailedErrors = true })
        #expect(try await answer(#"{"H":"chathub","M":"nope","I":1}"#, stage: detailed).contains("add(2)"))
    }

    @Test func `What is no call fails the request, and is passed over in silence on a socket`() async throws {
        let client = try await MemoryClient(Stage().endpoint)
        #expect(await client.send("nonsense").status == .internalServerError)
        #expect(await client.request("send", "serverSentEvents", post: "").status == .internalServerError)
        let socket = try await client.connected()
        try await socket.send("nonsense")
        try await socket.send(#"{"H":"chathub","M":"add","A":[1,2],"I":0}"#)
        #expect(try await socket.frame() == ["R": 3, "I": "0"])
    }

    @Test func `The form is read whatever its type says, plus signs are spaces`() async throws {
        let client = try await MemoryClient(Stage().endpoint)
        let response = await client.request(
            "send", "serverSentEvents", headers: [.contentType: "text/plain"],
            post: "x=1&data=%7B%22H%22:+%22chathub%22,%22M%22:%22add%22,%22A%22:[1,2],%22I%22:0}")
        #expect(response.text == #"{"R":3,"I":"0"}"#)
    }

    @Test func `A body over the limit is refused`() async throws {
        let client = try await MemoryClient(Stage { $0.maximumBodySize = 100 }.endpoint)
        let response = await client.send(String(repeating: "x", count: 200))
        #expect(response.status == .contentTooLarge)
    }

    @Test func `State: the caller hears of changes before and with the answer`() async throws {
        let client = try await MemoryClient(Stage().endpoint)
        let socket = try await client.connected()
        try await socket.send(#"{"H":"chathub","M":"count","A":[],"I":2,"S":{"count":3,"name":"Bob"}}"#)
        let pushed = try await socket.messages()
        #expect(pushed.first?["S"] == ["count": 4])
        #expect(pushed.first?["M"] == "counted")
        #expect(try await socket.next() == #"{"S":{"count":4},"R":4,"I":"2"}"#)
    }

    @Test func `State over 4,096 characters or too deep fails the call`() async throws {
        let long = String(repeating: "x", count: 4_100)
        #expect(
            try await answer(#"{"H":"chathub","M":"count","A":[],"I":2,"S":{"a":"\#(long)"}}"#)
                .hasPrefix(#"{"I":"2","E":"#))
        let fits = String(repeating: "é", count: 4_080)
        #expect(
            try await answer(#"{"H":"chathub","M":"count","A":[],"I":2,"S":{"a":"\#(fits)"}}"#) == #"{"R":-1,"I":"2"}"#)
    }

    @Test func `Progress comes before the result`() async throws {
        let client = try await MemoryClient(Stage().endpoint)
        let socket = try await client.connected()
        try await socket.send(#"{"H":"chathub","M":"work","A":[],"I":2}"#)
        #expect(try await socket.messages() == [["I": "P|2", "P": ["I": "2", "D": 50]]])
        #expect(try await socket.messages() == [["I": "P|2", "P": ["I": "2", "D": 100]]])
        #expect(try await socket.next() == #"{"R":"done","I":"2"}"#)
    }

    @Test func `The items of a stream are progress`() async throws {
        let client = try await MemoryClient(Stage().endpoint)
        let socket = try await client.connected()
        try await socket.send(#"{"H":"chathub","M":"countdown","A":[3],"I":9}"#)
        for number in [3, 2, 1] as [Int64] {
            #expect(try await socket.messages() == [["I": "P|9", "P": ["I": "9", "D": .int(number)]]])
        }
        #expect(try await socket.next() == #"{"I":"9"}"#)
    }

    @Test func `Clients cannot be asked for results`() async throws {
        let client = try await MemoryClient(Stage().endpoint)
        let socket = try await client.connected()
        try await socket.send(#"{"H":"chathub","M":"ask","A":[],"I":9}"#)
        #expect(try await socket.next() == #"{"I":"9","E":"Call of 'chathub.ask' failed."}"#)
    }

    @Test func `Several hubs on one connection, in the order of sending`() async throws {
        let stage = try Stage()
        let client = try await MemoryClient(stage.endpoint, data: #"[{"name":"chathub"},{"name":"newshub"}]"#)
        let socket = try await client.connected()
        for number in 0..<20 {
            let hub = number % 2 == 0 ? stage.chat : stage.news
            try await hub.context.clients.all.send(number % 2 == 0 ? "receive" : "news", number)
        }
        var heard: [HubValue] = []
        while heard.count < 20 { heard += try await socket.messages() }
        // Numbers are given where messages arrive, and each hub's arrive in order.
        for hub in ["ChatHub", "NewsHub"] {
            let own = heard.filter { $0["H"] == .string(hub) }.compactMap { $0["A"] }
            #expect(own == stride(from: hub == "ChatHub" ? 0 : 1, to: 20, by: 2).map { .array([.int($0)]) })
        }
        try await socket.send(#"{"H":"newshub","M":"publish","A":["x"],"I":1}"#)
        #expect(try await socket.messages() == [call("NewsHub", "news", "x")])
        #expect(try await socket.next() == #"{"I":"1"}"#)
    }

    @Test func `A hub that is not listed answers calls, and sends nothing else`() async throws {
        let stage = try Stage()
        let client = try await MemoryClient(stage.endpoint, data: nil)
        let socket = try await client.connected()
        try await stage.chat.context.clients.all.send("receive", "unheard")
        try await socket.send(#"{"H":"chathub","M":"add","A":[1,2],"I":0}"#)
        #expect(try await socket.next() == #"{"R":3,"I":"0"}"#)
        #expect(await stage.chat.context.presence.count() == 0)
    }

    @Test func `An unlisted hub keeps its door`() async throws {
        let stage = try Stage(hub: { $0.requiresAuthentication = true })
        let client = try await MemoryClient(stage.endpoint, data: #"[{"name":"newshub"}]"#)
        let response = await client.send(#"{"H":"chathub","M":"add","A":[1,2],"I":0}"#)
        #expect(response.text.hasPrefix(#"{"I":"0","E":"#))
    }

    @Test func `Calls over the bound fail and the rest goes on`() async throws {
        let client = try await MemoryClient(Stage { $0.maximumParallelCalls = 0 }.endpoint)
        let response = await client.send(#"{"H":"chathub","M":"add","A":[1,2],"I":0}"#)
        #expect(response.text == #"{"I":"0","E":"Too many calls at a time."}"#)
    }

    @Test func `Server code sends a client away with an error that it understands`() async throws {
        let stage = try Stage()
        let client = try await MemoryClient(stage.endpoint)
        let socket = try await client.connected()
        try await socket.send(#"{"H":"chathub","M":"abort","A":[],"I":0}"#)
        var last = ""
        while let text = try await socket.next() { last = text }
        #expect(last == #"{"E":"The server ended the connection."}"#)
        #expect(await stage.diary.next() == "connected -")
        #expect(await stage.diary.next() == "disconnected cleanly")
    }
}
