// SignalBox: which events go where, and what the requests say
// SPDX-License-Identifier: Apache-2.0

import NIOCore
import SignalR
import SignalRWire
import Testing

@testable import SignalRService

@Suite struct UpstreamRuleTests {
    @Test(arguments: Vectors.all.upstream.templates)
    func templates(_ vector: Vectors.Upstream.Template) throws {
        let rule = try UpstreamRule(urlTemplate: vector.urlTemplate)
        let url = rule.url(
            hub: vector.hub ?? "h", category: vector.category ?? "messages", event: vector.event ?? "e")
        #expect(url == vector.url)
    }

    @Test(arguments: Vectors.all.upstream.patternMatch)
    func patterns(_ vector: Vectors.Upstream.Match) throws {
        #expect(UpstreamRule.Pattern(vector.pattern).matches(vector.value) == vector.match)
        let rule = try UpstreamRule(urlTemplate: "http://h", event: vector.pattern)
        #expect(rule.matches(hub: "chat", category: "messages", event: vector.value) == vector.match)
    }

    @Test func listsMayHaveBlanks() throws {
        let rule = try UpstreamRule(urlTemplate: "http://h", hub: " a , b", category: "messages", event: "x")
        #expect(rule.matches(hub: "b", category: "messages", event: "x"))
        #expect(!rule.matches(hub: "B", category: "messages", event: "x"))
        #expect(!rule.matches(hub: "b", category: "connections", event: "x"))
        #expect(!rule.matches(hub: "b", category: "messages", event: "y"))
    }

    @Test func aTextMayLimitTheRule() throws {
        let limited = try UpstreamRule("chat/messages/a,b=http://h/{event}?x=1")
        #expect(limited.urlTemplate == "http://h/{event}?x=1")
        #expect(limited.matches(hub: "chat", category: "messages", event: "b"))
        #expect(!limited.matches(hub: "chat", category: "messages", event: "c"))
        let open = try UpstreamRule("http://h/a/b?c=d")
        #expect(open.urlTemplate == "http://h/a/b?c=d")
        #expect(open.matches(hub: "x", category: "y", event: "z"))
    }

    @Test(arguments: [
        "", "h", "ftp://h", "http://", "http:///path", "http://:80", "http://h/{user}", "http://h/{hub", "http://h/a b",
        "http://h/ä", "http://h/\r\nX: y", "http://user@h", "a/b=http://h", "a/b/c=h",
        "{@Microsoft.KeyVault(SecretUri=https://v)}",
    ])
    func whatIsNoURLIsRefused(_ text: String) {
        let error = #expect(throws: UpstreamRuleError.self) { try UpstreamRule(text) }
        if text.count > 10 { #expect(error?.description.contains(text) == false) }
    }

    @Test(arguments: ["..", "."])
    func namesDoNotClimbInThePath(_ event: String) throws {
        #expect(
            try UpstreamRule(urlTemplate: "http://h/{event}").url(hub: "h", category: "messages", event: event) == nil)
        #expect(try UpstreamRule(urlTemplate: "http://h/").url(hub: "h", category: "messages", event: event) != nil)
    }

    @Test func namesDoNotBecomeHosts() throws {
        let rule = try UpstreamRule(urlTemplate: "http://{hub}.example/")
        #expect(rule.url(hub: "chat", category: "c", event: "e") == "http://chat.example/")
        #expect(rule.url(hub: "evil/x", category: "c", event: "e") == nil)
        #expect(rule.url(hub: "a@b", category: "c", event: "e") == nil)
    }
}

@Suite struct UpstreamEventTests {
    @Test(arguments: Vectors.all.upstreamSignature)
    func signatures(_ vector: Vectors.Signature) {
        let keys = AccessKeys(vector.keys[0], secondary: vector.keys.dropFirst().first)
        #expect(keys.signatures(of: vector.connectionId) == vector.header)
    }

    @Test func connectionEvents() {
        #expect(String(buffer: UpstreamEvent.connected.body) == Vectors.all.upstream.connected.body)
        #expect(String(buffer: UpstreamEvent.disconnected("reason").body) == #"{"type":11,"error":"reason"}"#)
        #expect(String(buffer: UpstreamEvent.disconnected(nil).body) == #"{"type":11}"#)
    }

    @Test func jsonCalls() throws {
        let vector = Vectors.all.upstream.messageJson
        var bytes = ByteBuffer(string: (vector.body ?? "") + "\u{1e}")
        let event = try event(&bytes, JSONHubCodec())
        #expect(event.name == vector.event)
        #expect(event.contentType == vector.contentType)
        #expect(String(buffer: event.body) == vector.body)
    }

    @Test func messagePackCalls() throws {
        let vector = Vectors.all.upstream.messageMsgpack
        let body = Vectors.bytes(vector.bodyHex ?? "")
        var bytes = ByteBuffer(bytes: [UInt8(body.count)] + body)
        let event = try event(&bytes, MessagePackHubCodec())
        #expect(event.contentType == vector.contentType)
        #expect(Array(event.body.readableBytesView) == body)
    }

    @Test func uploadsKeepTheirStreams() throws {
        var bytes = ByteBuffer()
        try MessagePackHubCodec().write(
            .invocation(.init(id: "1", target: "t", arguments: .values([]), streamIDs: ["s"])), into: &bytes)
        let event = try event(&bytes, MessagePackHubCodec())
        #expect(event.body.readableBytesView.first == 0x96)
    }

    private func event(_ bytes: inout ByteBuffer, _ codec: any HubCodec) throws -> UpstreamEvent {
        guard case .invocation(let call)? = try codec.read(from: &bytes, maximumSize: nil) else {
            throw HubError("no call")
        }
        return try .message(call, codec: codec)
    }

    @Test func headersHoldOneLineOfASCII() {
        #expect(UpstreamEvent.escaped("plain text: 50%") == "plain text: 50%")
        #expect(UpstreamEvent.escaped("Zoë\r\nX: y") == "Zo%C3%AB%0D%0AX: y")
        #expect(UpstreamEvent.escaped("🚦\u{7f}\u{0}") == "%F0%9F%9A%A6%7F%00")
    }

    @Test func claimsAreListedOneByOne() {
        let user = HubUser(id: "u", claims: ["role": ["a", "b"], "nameid": "u", "x": true, "n": 1, "o": ["k": [1]]])
        #expect(UpstreamEvent.claims(of: user) == #"n: 1, nameid: u, o: {"k":[1]}, role: a, role: b, x: true"#)
        #expect(UpstreamEvent.claims(of: nil) == "")
    }

    @Test func secretsOfTheQueryStayHere() {
        #expect(
            UpstreamEvent.query("hub=chat&access_token=x&id=y&a=b%20c&ACCESS_TOKEN=z&%69d=1") == "?hub=chat&a=b%20c")
        #expect(UpstreamEvent.query("id=1") == "")
    }
}

@Suite struct UpstreamReplyTests {
    private let json = JSONHubCodec()

    private func reply(_ body: ByteBuffer, _ codec: any HubCodec = JSONHubCodec()) -> UpstreamReply {
        UpstreamReply(.answer(status: 200, body: body), to: "0", codec: codec)
    }

    @Test func completionsAreRelayedAsTheyAre() {
        let text = ByteBuffer(bytes: Vectors.bytes(Vectors.all.upstream.messageJson.responseOk.bodyHex))
        #expect(reply(text) == .relayed(text, codec: "json"))
        let binary = ByteBuffer(bytes: Vectors.bytes(Vectors.all.upstream.messageMsgpack.responseOk.bodyHex))
        #expect(reply(binary, MessagePackHubCodec()) == .relayed(binary, codec: "messagepack"))
        let odd = ByteBuffer(string: #"{ "result" : 1.50, "type":3, "invocationId":"0", "x":[] }"# + "\u{1e}")
        #expect(reply(odd) == .relayed(odd, codec: "json"))
    }

    @Test func aMissingSeparatorIsAdded() {
        let text = #"{"type":3,"invocationId":"0","result":1}"#
        #expect(reply(ByteBuffer(string: text)) == .relayed(ByteBuffer(string: text + "\u{1e}"), codec: "json"))
    }

    static let broken: [[UInt8]] =
        [
            "hello", "{}", #"{"type":3,"invocationId":"1"}"#, #"{"type":1,"target":"t","arguments":[]}"#,
            #"{"type":7}"#,
            #"{"type":3,"invocationId":"0"}"# + "\u{1e}" + #"{"type":6}"#, #"{"type":3,"invocationId":"0""#, "\u{1e}",
            #"{"type":3,"invocationId":"0","result":[1,]}"#, #"{"type":3,"invocationId":"0","result":1,"error":"x"}"#,
            "<html></html>",
        ].map { Array($0.utf8) } + [
            Array(#"{"type":3,"invocationId":"0","result":""#.utf8) + [0xFF] + Array(#""}"#.utf8)
        ]

    @Test(arguments: broken)
    func whatIsNoCompletionOfTheCallFailsIt(_ body: [UInt8]) {
        let failure = HubMessage.Completion(
            id: "0", outcome: .failure("Invocation failed, response is no completion of this invocation."))
        #expect(reply(ByteBuffer(bytes: body)) == .completion(failure))
    }

    @Test(
        arguments: [[0x09], [0x02, 0x91, 0x06], [0xFF, 0xFF, 0xFF, 0xFF, 0x7F], [0x05, 0x95, 3, 0x80, 0xA1]]
            as [[UInt8]])
    func brokenFramesFailTheCall(_ body: [UInt8]) {
        guard case .completion(let completion) = reply(ByteBuffer(bytes: body), MessagePackHubCodec()),
            case .failure = completion.outcome
        else { return #expect(Bool(false), "relayed") }
    }

    @Test(arguments: [
        (UpstreamAnswer.answer(status: 500, body: ByteBuffer()), "Invocation failed, status code 500"),
        (.answer(status: 302, body: ByteBuffer(string: "x")), "Invocation failed, status code 302"),
        (.failure("x"), "Invocation failed, status code 500"), (.overloaded, "Invocation failed, status code 503"),
        (.tooLarge, "Invocation failed, response too large."),
    ])
    func otherAnswersFailTheCall(answer: UpstreamAnswer, text: String) {
        #expect(
            UpstreamReply(answer, to: "0", codec: json) == .completion(.init(id: "0", outcome: .failure(text))))
    }

    @Test(arguments: [200, 204])
    func noBodyIsNoResult(_ status: Int) {
        let reply = UpstreamReply(.answer(status: status, body: ByteBuffer()), to: "0", codec: json)
        #expect(reply == .completion(.init(id: "0", outcome: .void)))
    }
}
