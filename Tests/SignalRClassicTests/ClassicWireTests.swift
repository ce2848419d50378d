// SignalBox: the bytes of the classic protocol, rule by rule
// SPDX-License-Identifier: Apache-2.0

import NIOCore
import SignalRWire
import Testing

private func text(_ write: (inout ByteBuffer) throws -> Void) rethrows -> String {
    var buffer = ByteBuffer()
    try write(&buffer)
    return String(buffer: buffer)
}

@Suite struct ClassicVersionTests {
    @Test(
        arguments: [
            (nil, "1.2"), ("", "1.2"), ("1.2", "1.2"), ("1.3", "1.3"), ("1.4", "1.4"), ("1.5", "1.5"), ("2.0", "2.0"),
            ("2.1", "2.0"), ("3.7.1", "2.0"), ("1.1", "1.2"), ("0.9", "1.2"), ("1337", "1.2"), (".8", "1.2"),
            ("2.", "1.2"),
            ("1.5.0", "1.5.0"), ("2.0.0", "2.0"), ("1.2.3.4.5", "1.2"), ("-1.5", "1.2"), ("a.b", "1.2"),
            ("99999999999.1", "1.2"),
        ] as [(String?, String)])
    func `What is echoed`(asked: String?, answer: String) {
        #expect(ClassicVersion(clientProtocol: asked).text == answer)
    }

    @Test func `From 1.4 on clients say that they are ready`() {
        #expect(!ClassicVersion(clientProtocol: nil).hasStart)
        #expect(!ClassicVersion(clientProtocol: "1.3").hasStart)
        #expect(ClassicVersion(clientProtocol: "1.4").hasStart)
        #expect(ClassicVersion(clientProtocol: "2.1").hasStart)
    }
}

@Suite struct ClassicNegotiateTests {
    @Test func `The answer, with seconds as decimals`() {
        let answer = ClassicNegotiateResponse(
            url: "/signalr", connectionToken: "t", connectionID: "i", keepAliveTimeout: 20, disconnectTimeout: 30,
            connectionTimeout: 110, tryWebSockets: true, version: ClassicVersion(clientProtocol: "2.1"),
            transportConnectTimeout: 5, longPollDelay: 0)
        #expect(
            text { answer.write(into: &$0) } == """
                {"Url":"/signalr","ConnectionToken":"t","ConnectionId":"i","KeepAliveTimeout":20.0,"DisconnectTimeout":30.0,\
                "ConnectionTimeout":110.0,"TryWebSockets":true,"ProtocolVersion":"2.0","TransportConnectTimeout":5.0,\
                "LongPollDelay":0.0}
                """)
        var silent = answer
        silent.keepAliveTimeout = nil
        #expect(text { silent.write(into: &$0) }.contains("\"KeepAliveTimeout\":null,"))
    }

    @Test func `Redirect and refusal`() {
        let redirect = ClassicNegotiateDetour.redirect(url: "https://svc.example/client?hub=x", accessToken: "eyJ")
        #expect(
            text { redirect.write(into: &$0) }
                == #"{"ProtocolVersion":"2.0","RedirectUrl":"https://svc.example/client?hub=x","AccessToken":"eyJ"}"#)
        #expect(
            text { ClassicNegotiateDetour.refusal("no").write(into: &$0) } == #"{"ProtocolVersion":"2.0","Error":"no"}"#
        )
    }
}

@Suite struct ClassicCodecTests {
    private func read(_ json: String) throws -> ClassicInvocation {
        try ClassicCodec.readInvocation(from: ByteBuffer(string: json))
    }

    @Test func `A call of JavaScript and of .NET`() throws {
        let call = try read(#"{"H":"chathub","M":"Send","A":["hi",{"x":1}],"I":0,"S":{"name":"Bob"}}"#)
        #expect((call.hub, call.method, call.id) == ("chathub", "Send", "0"))
        #expect(call.arguments == .json(ByteBuffer(string: #"["hi",{"x":1}]"#), count: 2))
        #expect(call.state == ByteBuffer(string: #"{"name":"Bob"}"#))
        #expect(try read(#"{"I":"17","M":"a","H":"b"}"#).id == "17")
    }

    @Test func `What may be missing`() throws {
        let call = try read(#"{"H":"h","M":"m","A":null,"S":null,"X":[1]}"#)
        #expect(call == ClassicInvocation(hub: "h", method: "m", arguments: .values([]), id: nil))
        #expect(try read(#"{"A":7,"I":1}"#).arguments == .unreadable("The arguments are not an array."))
    }

    @Test(arguments: ["", "7", "[]", "{", #"{"I":{}}"#, #"{"I":true}"#, "{} x", #"{"H":"\#u{1}"}"#])
    func `What is no call`(json: String) {
        #expect(throws: HubProtocolError.self) { try self.read(json) }
    }

    @Test func `Arguments are at most twenty levels deep`() throws {
        func nested(_ depth: Int) -> String {
            #"{"A":["# + String(repeating: "[", count: depth) + String(repeating: "]", count: depth) + "]}"
        }
        #expect(try read(nested(20)).arguments.count == 1)
        #expect(throws: HubProtocolError.self) { try self.read(nested(21)) }
    }

    @Test func `Results`() throws {
        func result(_ result: ClassicResult) throws -> String { try text { try ClassicCodec.write(result, into: &$0) } }
        #expect(try result(.init(id: "0")) == #"{"I":"0"}"#)
        #expect(try result(.init(id: "0", value: .value(.null))) == #"{"I":"0"}"#)
        #expect(try result(.init(id: "1", value: .value(["ok": true]))) == #"{"R":{"ok":true},"I":"1"}"#)
        let state = [HubValue.Member(key: "count", value: 4)]
        #expect(try result(.init(id: "2", value: .value(7), state: state)) == #"{"S":{"count":4},"R":7,"I":"2"}"#)
        #expect(try result(.init(id: "3", failure: .init("no"))) == #"{"I":"3","E":"no"}"#)
        #expect(
            try result(.init(id: "4", failure: .init("no such room", isHubError: true, data: ["code": 7])))
                == #"{"I":"4","H":true,"E":"no such room","D":{"code":7}}"#)
    }

    @Test func `Progress`() throws {
        let json = try text { try ClassicCodec.write(ClassicProgress(id: "2", value: .value(50)), into: &$0) }
        #expect(json == #"{"I":"P|2","P":{"I":"2","D":50}}"#)
    }

    @Test func `A call towards clients is encoded once and wrapped with its hub`() throws {
        var call = ByteBuffer()
        let arguments = HubArguments.payloads([.value("Bob"), .json(ByteBuffer(string: "{\n\"a\":\r1}"))])
        try ClassicHubCodec().write(
            .invocation(.init(id: nil, target: "broadcastMessage", arguments: arguments)), into: &call)
        let message = try text { try ClassicCodec.write(call: call, of: "ChatHub", into: &$0) }
        // One line, whatever was passed on.
        #expect(message == #"{"H":"ChatHub","M":"broadcastMessage","A":["Bob",{ "a": 1}]}"#)
        let state = [HubValue.Member(key: "count", value: 3)]
        #expect(
            try text { try ClassicCodec.write(call: call, of: "C", state: state, into: &$0) }
                .hasSuffix(#"],"S":{"count":3}}"#))
        #expect(throws: HubProtocolError.self) { try ClassicHubCodec().write(.ping, into: &call) }
    }

    @Test func `Frames always have C and M, in the order of the original`() {
        var frame = ClassicFrame(MessageCursor(process: 0x5F2A_91C3, loop: 1, sequence: 4))
        #expect(text { ClassicCodec.write(frame, into: &$0) } == #"{"C":"d-5F2A91C3-B,4","M":[]}"#)
        frame.isInitial = true
        frame.asksToReconnect = true
        frame.groupsToken = "b64"
        frame.pollDelay = 2_000
        frame.messages = [ByteBuffer(string: "1"), ByteBuffer(string: "\"x\"")]
        #expect(
            text { ClassicCodec.write(frame, into: &$0) }
                == #"{"C":"d-5F2A91C3-B,4","S":1,"T":1,"G":"b64","L":2000,"M":[1,"x"]}"#)
    }

    @Test func `A fatal error has E and no I`() {
        #expect(text { ClassicCodec.write(fatal: "go \"away\"", into: &$0) } == #"{"E":"go \"away\""}"#)
    }

    @Test func `Connection data: names in any case of the key`() throws {
        #expect(try ClassicCodec.hubNames(in: #"[{"name":"chathub"},{"Name":"Board"}]"#) == ["chathub", "Board"])
        #expect(try ClassicCodec.hubNames(in: #"[{"name": "chat"}]"#) == ["chat"])
        #expect(try ClassicCodec.hubNames(in: "") == [])
        #expect(try ClassicCodec.hubNames(in: "[]") == [])
        #expect(try ClassicCodec.hubNames(in: "null") == [])
    }

    @Test(arguments: ["{}", "[1]", "[{}]", #"[{"name":1}]"#, "[", "x"])
    func `What is no connection data`(text: String) {
        #expect(throws: HubProtocolError.self) { try ClassicCodec.hubNames(in: text) }
    }
}

@Suite struct MessageCursorTests {
    private static let process: UInt32 = 0x5F2A_91C3

    @Test(arguments: [(0, "A"), (25, "Z"), (26, "a"), (61, "9"), (62, "BA"), (3_843, "99")])
    func `There and back`(loop: Int, key: String) throws {
        let cursor = MessageCursor(process: Self.process, loop: loop, sequence: 0xAB)
        let written = text { cursor.write(into: &$0) }
        #expect(written == "d-5F2A91C3-\(key),AB")
        #expect(try MessageCursor.read(written, process: Self.process) == cursor)
    }

    @Test func `Places in shared streams follow, and mean something elsewhere`() throws {
        let places: [MessageCursor.Place] = [.init(stream: 0xAF, position: 7), .init(stream: 1, position: .max)]
        let cursor = MessageCursor(process: Self.process, loop: 1, sequence: 2, places: places)
        let written = text { cursor.write(into: &$0) }
        #expect(written == "d-5F2A91C3-B,2~AF,7~1,FFFFFFFFFFFFFFFF")
        #expect(try MessageCursor.read(written, process: Self.process) == cursor)
        #expect(try MessageCursor.read(written, process: 1) == cursor)
    }

    @Test(arguments: [
        "d-00000001-A,1", "s-0,1", "x", "d-", "d-5F2A91C", "d-1-A,1", "d-1-A,1~", "d-1-A,1~1", "d-1-A,1~01,1",
        "d-1-A,1~1,1,1", "d-1-A,1~100000000,1", "d-1-A,1" + String(repeating: "~1,1", count: 65),
    ])
    func `Others' cursors are none`(text: String) throws {
        #expect(try MessageCursor.read(text, process: Self.process) == nil)
    }

    @Test(arguments: [
        "", "A", ",1", "A,", "A,G", "A,1|A,2", "A,1,2", "A,ab", "é,1", "A,11111111111111111", "AAAAA,1", "A,1~",
        "A,1~x,1", "A,1-B",
    ])
    func `Own cursors that are malformed fail`(rest: String) {
        #expect(throws: HubProtocolError.self) {
            try MessageCursor.read("d-5F2A91C3-\(rest)", process: Self.process)
        }
    }
}

@Suite struct ScriptTests {
    @Test func `A forever frame escapes what could end its script`() {
        let json = ByteBuffer(string: "{\"a\":\"</script>\u{2028}\u{2029}é€\"}")
        #expect(
            text { ForeverFrame.write(json, into: &$0) }
                == "<script>f({\"a\":\"\\u003c/script\\u003e\\u2028\\u2029é€\"});</script>\r\n")
    }

    @Test func `The page finds its connection by number`() {
        let page = text { ForeverFrame.writeOpening(id: 7, into: &$0) }
        #expect(page.contains("getConnection(\"7\")"))
        #expect(page.hasPrefix("<!doctype html>"))
        #expect(page.hasSuffix("</head><body>\r\n"))
    }

    @Test(arguments: ["jQuery3_1", "a.b.$c", "_"])
    func `Callbacks are dotted names`(name: String) throws {
        let callback = try #require(ScriptCallback(name))
        #expect(text { callback.write(ByteBuffer(string: "{}"), into: &$0) } == "\(name)({});")
    }

    @Test(arguments: ["", "1a", "a b", "a.", ".a", "a..b", "alert(1)", "a-b", "function", "a.if", "ä", "a;"])
    func `Everything else is none`(name: String) { #expect(ScriptCallback(name) == nil) }
}
