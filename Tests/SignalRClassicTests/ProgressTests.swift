// SignalBox: reports of running calls: before their results on every transport, of every hub, and no longer than there is a client
// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import NIOCore
import NIOEmbedded
import SignalR
import SignalRWire
import Testing

@testable import SignalRClassic

@Suite(.timeLimit(.minutes(1))) struct ProgressTests {
    private static let lists = [
        Stage.chatData, #"[{"name":"chathub"},{"name":"newshub"}]"#, #"[{"name":"newshub"}]"#, "[]",
    ]
    private static func work(_ call: Int) -> String { #"{"H":"chathub","M":"work","A":[],"I":\#(call)}"# }
    /// What the call says, in its order.
    private static func said(_ call: Int) -> [HubValue] {
        let id = HubValue.string("\(call)")
        return [
            ["I": .string("P|\(call)"), "P": ["I": id, "D": 50]],
            ["I": .string("P|\(call)"), "P": ["I": id, "D": 100]],
            ["R": "done", "I": id],
        ]
    }

    /// As many of the stream's messages, without what hubs say to everybody.
    private func hear(_ stream: MemoryStream, _ count: Int) async throws -> [HubValue] {
        var heard: [HubValue] = []
        while heard.count < count, let frame = try await stream.frame() {
            if case .array(let messages)? = frame["M"] { heard += messages } else { heard.append(frame) }
        }
        return heard
    }

    @Test(arguments: lists)
    func `On a socket`(hubs: String) async throws {
        let client = try await MemoryClient(Stage().endpoint, data: hubs)
        let socket = try await client.connected()
        for call in 0..<5 {
            try await socket.send(Self.work(call))
            #expect(try await hear(socket, 3) == Self.said(call))
        }
    }

    /// The answer to the request could overtake the reports, so that it is empty, and the result comes behind them.
    @Test(arguments: ["serverSentEvents", "foreverFrame"], lists)
    func `On a stream the result follows the reports`(transport: String, hubs: String) async throws {
        let client = try await MemoryClient(Stage().endpoint, data: hubs)
        let stream = try await client.stream(transport, "connect", [("frameId", "1")])
        _ = try await stream.initial()
        try await client.start(transport)
        for call in 0..<5 {
            #expect(await client.send(Self.work(call), over: transport).text == #"{"I":"P|\#(call)"}"#)
            #expect(try await hear(stream, 3) == Self.said(call))
        }
    }

    @Test(arguments: lists)
    func `In polls`(hubs: String) async throws {
        let client = try await MemoryClient(Stage().endpoint, data: hubs)
        var cursor = try await frame(of: client.poll("connect"))["C"]
        try await client.start("longPolling")
        for call in 0..<5 {
            #expect(await client.send(Self.work(call), over: "longPolling").text == #"{"I":"P|\#(call)"}"#)
            var heard: [HubValue] = []
            while heard.count < 3 {
                let place = if case .string(let text)? = cursor { text } else { "" }
                let next = try await frame(of: client.poll("poll", [("messageId", place)]))
                cursor = next["C"]
                if case .array(let messages)? = next["M"] { heard += messages }
            }
            #expect(heard == Self.said(call))
        }
    }

    private func frame(of poll: MemoryPoll) async throws -> HubValue {
        try JSON.value(from: ByteBuffer(string: await poll.body()))
    }

    @Test(arguments: lists)
    func `What was reported while the client was away is replayed`(hubs: String) async throws {
        let client = try await MemoryClient(Stage().endpoint, data: hubs)
        let stream = try await client.connected("serverSentEvents")
        try await stream.lose()
        #expect(await client.send(Self.work(7)).text == #"{"I":"P|7"}"#)
        let again = try await client.stream("serverSentEvents", "reconnect", [("messageId", stream.cursor)])
        _ = try await again.next()
        #expect(try await hear(again, 3) == Self.said(7))
    }

    @Test func `A client that never received is answered directly, and so are failures`() async throws {
        let client = try await MemoryClient(Stage().endpoint)
        #expect(await client.send(Self.work(1)).text == #"{"R":"done","I":"1"}"#)
        let stream = try await client.stream("serverSentEvents")
        _ = try await stream.initial()
        #expect(
            await client.send(#"{"H":"chathub","M":"fail","A":[true],"I":2}"#).text
                == #"{"I":"2","H":true,"E":"no such room","D":{"code":7}}"#)
    }

    @Test(arguments: lists)
    func `A stream ends with its client, also while it has nothing`(hubs: String) async throws {
        let stage = try Stage()
        let client = try await MemoryClient(stage.endpoint, data: hubs)
        let socket = try await client.connected()
        try await socket.send(#"{"H":"chathub","M":"endless","A":[],"I":1}"#)
        #expect(try await hear(socket, 1) == [["I": "P|1", "P": ["I": "1", "D": 1]]])
        _ = await client.request("abort", "webSockets", post: "")
        var line = await stage.diary.next()
        while let other = line, other != "stream ended" { line = await stage.diary.next() }
        #expect(line == "stream ended")
    }

    @Test func `Nobody reads a stream for a call without an id`() async throws {
        let client = try await MemoryClient(Stage().endpoint)
        let socket = try await client.connected()
        #expect(await client.send(#"{"H":"chathub","M":"torrent","A":[]}"#).text == #"{"I":""}"#)
        try await socket.send(#"{"H":"chathub","M":"add","A":[1,2],"I":0}"#)
        #expect(try await hear(socket, 1) == [["R": 3, "I": "0"]])
    }
}

@Suite(.timeLimit(.minutes(1))) struct TransportOrderTests {
    private struct Stub: @unchecked Sendable {
        let transport: any Transport
    }

    private final class Wire: Transport {
        let kind: TransportKind
        let canWrite = true
        init(_ kind: TransportKind) { self.kind = kind }
        func packaging(for format: TransferFormat) -> Packaging { .bare }
        func write(_ bytes: ByteBuffer) {}
        func resumeReading() {}
        func close(_ reason: CloseReason) {}
    }

    private func request(_ transport: ClassicTransport) -> ReceiveRequest {
        ReceiveRequest(
            transport: transport, offered: [], action: .connect, version: ClassicVersion(clientProtocol: "2.1"),
            cursor: nil, isFromElsewhere: false, groups: [], hubs: [],
            request: RequestFeatures(
                HubRequest(method: .get, path: "", rawQuery: "", headers: [:]) { _ in ByteBuffer() }),
            user: nil)
    }

    /// Sockets on different event loops announce themselves in one order, and may come in another.
    @Test func `A transport has its own request, whichever comes first`() async throws {
        let stage = try Stage()
        let client = try await MemoryClient(stage.endpoint)
        _ = try await client.connected()
        let id = try #require(ConnectionID(client.id[...]))
        let session = try #require(stage.endpoint.sessions[id])
        let (socket, stream) = (Stub(transport: Wire(.webSockets)), Stub(transport: Wire(.serverSentEvents)))
        try await client.loop.executeInContext {
            session.expect(self.request(.webSockets))
            session.expect(self.request(.foreverFrame))
            session.carrier.resume(stream.transport)
            #expect(session.transport == .foreverFrame)
            session.carrier.resume(socket.transport)
            #expect(session.transport == .webSockets)
        }
    }
}
