// SignalBox: what upstream is told: the request of one event
// SPDX-License-Identifier: Apache-2.0

import NIOCore
import NIOHTTP1
import SignalR
import SignalRWire

/// Something that happened to a client (service reference, "Request").
struct UpstreamEvent: Sendable {
    enum Category: String { case connections, messages }

    let category: Category
    let name: String
    let contentType: String
    let body: ByteBuffer
    /// The trace that a message belongs to.
    var trace: TraceContext?

    static let connected = UpstreamEvent(
        category: .connections, name: "connected", contentType: json, body: ByteBuffer(string: #"{"type":10}"#))

    /// - Parameter error: nil after a clean end.
    static func disconnected(_ error: String?) -> UpstreamEvent {
        var members: [HubValue.Member] = [.init(key: "type", value: 11)]
        if let error { members.append(.init(key: "error", value: .string(error))) }
        return UpstreamEvent(
            category: .connections, name: "disconnected", contentType: json, body: HubValue.map(members).json)
    }

    /// A call, as the client's protocol writes it but without its framing.
    /// - Throws: `HubProtocolError` when it has no such form, since its arguments were unreadable.
    static func message(
        _ invocation: HubMessage.Invocation, codec: any HubCodec
    ) throws(HubProtocolError) -> UpstreamEvent {
        var body = ByteBuffer()
        try codec.write(.invocation(invocation), into: &body)
        if codec.transferFormat == .text {
            body.moveWriterIndex(to: body.writerIndex - 1)
        } else {
            removeFrame(from: &body, hasStreams: !invocation.streamIDs.isEmpty)
        }
        return UpstreamEvent(
            category: .messages, name: invocation.target,
            contentType: codec.transferFormat == .text ? json : "application/x-msgpack", body: body,
            trace: TraceContext(invocation.headers))
    }

    private static let json = "application/json"

    /// Takes off the length in front, and the sixth item, which receivers of calls without streams do not expect.
    private static func removeFrame(from body: inout ByteBuffer, hasStreams: Bool) {
        while let byte = body.readInteger(as: UInt8.self), byte & 0x80 != 0 {}
        let (sixItems, fiveItems, noStreams) = (UInt8(0x96), UInt8(0x95), UInt8(0x90))
        guard !hasStreams, body.readableBytesView.first == sixItems, body.readableBytesView.last == noStreams else {
            return
        }
        body.setInteger(fiveItems, at: body.readerIndex)
        body.moveWriterIndex(to: body.writerIndex - 1)
    }

    // MARK: Headers

    /// - Parameter trace: the trace context of the request.
    func headers(of client: HubCallerContext, hub: String, keys: AccessKeys, trace: TraceContext?) -> HTTPHeaders {
        var headers = HTTPHeaders()
        func add(_ name: String, _ value: String) {
            if !value.isEmpty { headers.add(name: name, value: Self.escaped(value)) }
        }
        add("X-ASRS-Connection-Id", client.connectionID)
        add("X-ASRS-Hub", hub)
        add("X-ASRS-Category", category.rawValue)
        add("X-ASRS-Event", name)
        add("X-ASRS-User-Id", client.userID ?? "")
        add("X-ASRS-User-Claims", Self.claims(of: client.user))
        add("X-ASRS-Client-Query", Self.query(client.connection.request.rawQuery))
        add("X-ASRS-Signature", keys.signatures(of: client.connectionID))
        add("Content-Type", contentType)
        for (name, value) in trace?.headers ?? [] { add(name, value) }
        return headers
    }

    /// Bytes that a header cannot hold, or not in every implementation, are percent-escaped.
    static func escaped(_ text: String) -> String {
        let isPlain: (UInt8) -> Bool = { (0x20...0x7E).contains($0) }
        if text.utf8.allSatisfy(isPlain) { return text }
        return text.unicodeScalars.reduce(into: "") { escaped, scalar in
            escaped += scalar.isASCII && isPlain(UInt8(scalar.value)) ? String(scalar) : String(scalar).percentEncoded
        }
    }

    /// `type: value` for every claim, by name; one item for each value of a claim that has several.
    static func claims(of user: HubUser?) -> String {
        guard let user else { return "" }
        return user.claims.sorted { $0.key < $1.key }.flatMap { name, value -> [String] in
            let values = if case .array(let values) = value { values } else { [value] }
            return values.map { "\(name): \($0.claimText)" }
        }.joined(separator: ", ")
    }

    /// What gives access; the latter two are tokens of classic clients.
    private static let secrets: Set = ["access_token", "id", "connectiontoken", "groupstoken"]

    /// The query that the client connected with, without what is a secret or only ours.
    static func query(_ raw: String) -> String {
        let pairs = raw.split(separator: "&").filter { pair in
            !secrets.contains(Query.decode(pair.prefix { $0 != "=" }.utf8).lowercased())
        }
        return pairs.isEmpty ? "" : "?" + pairs.joined(separator: "&")
    }

    /// Of the message, else of the request that opened the connection.
    func trace(of client: HubCallerContext) -> TraceContext? { trace ?? TraceContext(client.headers) }
}

extension HubValue {
    /// A claim's value as text: what is no text is written as JSON.
    fileprivate var claimText: String {
        if case .string(let text) = self { text } else { String(buffer: json) }
    }
}
