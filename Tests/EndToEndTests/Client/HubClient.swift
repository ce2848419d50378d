// SignalBox: a hub client for tests: one transport, one codec, one message at a time
// SPDX-License-Identifier: Apache-2.0

import NIOConcurrencyHelpers
import NIOCore
import SignalR
import SignalRWire

/// A hub protocol by name.
enum HubProtocol: String, Sendable, CaseIterable {
    case json, messagepack

    var codec: any HubCodec { self == .json ? JSONHubCodec() : MessagePackHubCodec() }
}

/// A way to talk to a hub: one cell of the conformance matrix.
struct Wire: Sendable, CustomStringConvertible {
    var transport: TransportKind
    var hubProtocol: HubProtocol

    var description: String { "\(transport.rawValue) \(hubProtocol)" }

    /// Every pair that exists: Server-Sent Events carry text only.
    static let all = TransportKind.allCases.flatMap { transport in
        HubProtocol.allCases.map { Wire(transport: transport, hubProtocol: $0) }
    }.filter { $0.transport != .serverSentEvents || $0.hubProtocol == .json }

    static let webSocketJSON = Wire(transport: .webSockets, hubProtocol: .json)
}

final class HubClient: Sendable {
    let transport: any ClientTransport
    let codec: any HubCodec
    private let isText: Bool
    private let inbound = NIOLockedValueBox(ByteBuffer())

    init(_ transport: any ClientTransport, _ hubProtocol: HubProtocol) {
        self.transport = transport
        self.codec = hubProtocol.codec
        self.isText = hubProtocol == .json
    }

    func send(_ message: HubMessage) async throws {
        var bytes = ByteBuffer()
        try codec.write(message, into: &bytes)
        try await transport.send(bytes, isText: isText)
    }

    /// Sends what no codec would write.
    func send(text: String) async throws { try await transport.send(ByteBuffer(string: text), isText: true) }

    /// The handshake request by hand; returns the response without its record separator.
    func handshake(_ hubProtocol: HubProtocol, version: Int = 1) async throws -> String? {
        try await handshake("{\"protocol\":\"\(hubProtocol)\",\"version\":\(version)}")
    }

    func handshake(_ request: String) async throws -> String? {
        try await send(text: request + "\u{1E}")
        return try await next { bytes -> String? in
            guard let end = bytes.readableBytesView.firstIndex(of: 0x1E) else { return nil }
            defer { bytes.moveReaderIndex(forwardBy: 1) }
            return bytes.readString(length: end - bytes.readerIndex)
        }
    }

    /// The next message in plain form, pings aside; nil after the end.
    func next() async throws -> HubMessage? {
        let deadline = NIODeadline.now() + patience
        while let message = try await anyMessage() {
            if message != .ping { return message }
            // Pings keep coming where the message does not.
            guard .now() < deadline else { throw TimedOut() }
        }
        return nil
    }

    func anyMessage() async throws -> HubMessage? {
        let message = try await next { try self.codec.read(from: &$0, maximumSize: nil) }
        return try message?.plain()
    }

    private func next<T>(_ parse: (inout ByteBuffer) throws -> T?) async throws -> T? {
        while true {
            if let value = try inbound.withLockedValue({ try parse(&$0) }) { return value }
            guard let unit = try await transport.receive() else { return nil }
            inbound.withLockedValue { _ = $0.writeImmutableBuffer(unit) }
        }
    }

    // MARK: Calls

    /// Invokes and takes the very next message as the answer.
    func invoke(_ target: String, _ arguments: HubValue..., id: String = "1") async throws -> HubMessage? {
        try await send(.call(target, arguments, id: id))
        return try await next()
    }

    /// The text result of a call that must succeed.
    func text(_ target: String, _ arguments: HubValue...) async throws -> String {
        try await send(.call(target, arguments, id: "text"))
        let answer = try await next()
        guard case .completion(let end) = answer, case .result(.value(.string(let text))) = end.outcome else {
            throw UnexpectedMessage(message: answer)
        }
        return text
    }
}

struct UnexpectedMessage: Error { let message: HubMessage? }

extension HubMessage {
    static func call(_ target: String, _ arguments: [HubValue] = [], id: String? = nil, streams: [String] = []) -> Self
    {
        .invocation(Invocation(id: id, target: target, arguments: .values(arguments), streamIDs: streams))
    }

    static func stream(_ target: String, _ arguments: [HubValue] = [], id: String, streams: [String] = []) -> Self {
        .streamInvocation(Invocation(id: id, target: target, arguments: .values(arguments), streamIDs: streams))
    }

    static func item(_ id: String, _ item: HubValue) -> Self { .streamItem(StreamItem(id: id, item: .value(item))) }
    static func cancel(_ id: String) -> Self { .cancelInvocation(CancelInvocation(id: id)) }
    static func result(_ id: String, _ value: HubValue) -> Self {
        .completion(Completion(id: id, outcome: .result(.value(value))))
    }
    static func failure(_ id: String, _ text: String) -> Self {
        .completion(Completion(id: id, outcome: .failure(text)))
    }
    static func end(_ id: String) -> Self { .completion(Completion(id: id, outcome: .void)) }
    static func close(error: String? = nil, allowReconnect: Bool = false) -> Self {
        .close(Close(error: error, allowReconnect: allowReconnect))
    }

    /// The same message with decoded payloads, so that messages of both protocols compare.
    func plain() throws -> HubMessage {
        switch self {
        case .invocation(var call):
            call.arguments = try call.arguments.plain()
            return .invocation(call)
        case .streamInvocation(var call):
            call.arguments = try call.arguments.plain()
            return .streamInvocation(call)
        case .streamItem(var item):
            item.item = .value(try item.item.value())
            return .streamItem(item)
        case .completion(var end):
            if case .result(let payload) = end.outcome { end.outcome = .result(.value(try payload.value())) }
            return .completion(end)
        default: return self
        }
    }
}

extension HubArguments {
    fileprivate func plain() throws -> HubArguments {
        var reader = makeReader()
        var values: [HubValue] = []
        while reader.remaining > 0 { values.append(try reader.next().value()) }
        return .values(values)
    }
}
