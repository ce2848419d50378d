// SignalBox: what ASP.NET app servers have for clients, out of both wrappings, byte by byte
// SPDX-License-Identifier: Apache-2.0

import NIOCore
import SignalRWire
import Testing

@Suite struct ClassicContentTests {
    private static let vectors = ServiceVector.file["classic"]
    private static let hello = ByteBuffer(string: #"{"H":"Chat","M":"echo","A":["hi"]}"#)

    private static func message(_ name: String) throws -> ServiceMessage {
        let body = ByteBuffer(hex: try #require(Self.vectors?[name]?["hex"]?.text))
        var frame = ByteBuffer(bytes: [UInt8(body.readableBytes)])
        frame.writeImmutableBuffer(body)
        let message = try ServiceCodec.read(from: &frame)
        #expect(frame.readableBytes == 0)
        return try #require(message)
    }

    /// A payload as app servers make it.
    private static func wrapped(_ texts: String...) throws -> ByteBuffer {
        var payload = ByteBuffer()
        for text in texts {
            try ServiceCodec.write(.connectionData(id: "", ByteBuffer(string: text), []), into: &payload)
        }
        return payload
    }

    @Test func broadcastsAreUnwrapped() throws {
        guard case .multicast(let multicast) = try Self.message("broadcast") else { throw WrongVector() }
        let payload = try #require(multicast.payloads.first)
        #expect(payload.protocol == "json")
        #expect(payload.bytes == ByteBuffer(hex: try #require(Self.vectors?["broadcast"]?["innerHex"]?.text)))
        #expect(try ClassicContent.read(payload.bytes) == [.messages(Self.hello)])
    }

    @Test func dataForOneClientIsUnwrapped() throws {
        guard case .connectionData(_, let payload, _) = try Self.message("connectionData") else { throw WrongVector() }
        #expect(try ClassicContent.read(payload) == [.messages(Self.hello)])
        var bytes = payload
        guard case .connectionData("", let text, _)? = try ServiceCodec.read(from: &bytes) else { throw WrongVector() }
        #expect(String(buffer: text) == Self.vectors?["connectionData"]?["innerText"]?.text)
    }

    @Test func whatGoesToAppServersIsNotWrapped() throws {
        guard case .connectionData(_, let call, _) = try Self.message("clientToServer"),
            case .connectionData(_, let news, _) = try Self.message("reconnect")
        else { throw WrongVector() }
        #expect(try ClassicCodec.readInvocation(from: call).method == "Echo")
        #expect(String(buffer: news) == "asrs:reconnect")
        #expect(throws: HubProtocolError.self) { try ClassicContent.read(call) }
    }

    @Test func messagesAndResultsAreToldApart() throws {
        let result = #"{"S":{"a":1},"R":{"x":"\n"},"I":"7"}"#
        let payload = try Self.wrapped(#"{"C":"0","M":[1,"two", {"three":[ ]}]}"#, result, #"{"I":"P","M":[{}]}"#)
        #expect(
            try ClassicContent.read(payload) == [
                .messages(ByteBuffer(string: #"1,"two", {"three":[ ]}"#)), .result(id: "7", ByteBuffer(string: result)),
                .messages(ByteBuffer(string: "{}")),
            ])
    }

    @Test(arguments: ["{}", #"{"C":"0"}"#, #"{"C":"0","M":[]}"#, "{\"M\":[ \r\n\t]}", #"{"M":{}}"#, #"{"I":1}"#])
    func textsWithoutMessagesAreNothing(_ text: String) throws {
        #expect(try ClassicContent.read(Self.wrapped(text)) == [])
    }

    /// Event streams and forever frames are read by lines.
    @Test func linesAreJoined() throws {
        let payload = try Self.wrapped("{\"M\":[\r\n1,\n2]}", "{\n\"I\":\"1\"}")
        #expect(
            try ClassicContent.read(payload) == [
                .messages(ByteBuffer(string: "  1, 2")), .result(id: "1", ByteBuffer(string: "{ \"I\":\"1\"}")),
            ])
    }

    @Test(arguments: ["", "[]", "{", #"{"M":[}"#, "1", #"{"M":[1]}x"#, #"{"M":[1,]}"#])
    func otherTextsAreRefused(_ text: String) throws {
        let payload = try Self.wrapped(text)
        #expect(throws: HubProtocolError.self) { try ClassicContent.read(payload) }
    }

    @Test func anyCutAndAnyOtherMessageIsRefused() throws {
        let payload = try Self.wrapped(#"{"M":[1]}"#)
        for length in 1..<payload.readableBytes {
            let cut = try #require(payload.getSlice(at: payload.readerIndex, length: length))
            #expect(throws: HubProtocolError.self) { try ClassicContent.read(cut) }
        }
        var ping = ByteBuffer()
        try ServiceCodec.write(.ping([]), into: &ping)
        #expect(throws: HubProtocolError.self) { try ClassicContent.read(ping) }
        #expect(try ClassicContent.read(ByteBuffer()) == [])
    }

    // MARK: Frames of other protocols

    @Test(arguments: [JSONHubCodec(), MessagePackHubCodec()] as [any HubCodec])
    func callsForNewClientsAreTranslated(_ codec: any HubCodec) throws {
        var frame = ByteBuffer()
        let call = HubMessage.Invocation(id: nil, target: "told", arguments: .values([1, "x"]))
        try codec.write(.invocation(call), into: &frame)
        let translated = try #require(ClassicHubCodec().translate([codec.name: frame]))
        #expect(String(buffer: translated) == #""M":"told","A":[1,"x"]"#)
    }

    @Test func whatIsNoCallIsNotTranslated() throws {
        var ping = ByteBuffer()
        try JSONHubCodec().write(.ping, into: &ping)
        #expect(ClassicHubCodec().translate(["json": ping]) == nil)
        #expect(ClassicHubCodec().translate(["json": ByteBuffer(string: "{")]) == nil)
        #expect(ClassicHubCodec().translate([:]) == nil)
    }

    private struct WrongVector: Error {}
}
