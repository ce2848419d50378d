// SignalBox: what a client gets for a call that upstream answered
// SPDX-License-Identifier: Apache-2.0

import NIOCore
import SignalR
import SignalRWire

/// The completion of a call: upstream's own bytes where it sent a whole one, else ours (service reference, "Response to a message event").
enum UpstreamReply: Sendable, Equatable {
    /// A framed completion in the protocol of that name.
    case relayed(ByteBuffer, codec: String)
    case completion(HubMessage.Completion)

    init(_ answer: UpstreamAnswer, to id: String, codec: any HubCodec) {
        switch answer {
        case .answer(status: 200, let body) where body.readableBytes > 0:
            if let frame = Self.completion(body, of: id, codec) {
                self = .relayed(frame, codec: codec.name)
            } else {
                self = .failure(id, "Invocation failed, response is no completion of this invocation.")
            }
        case .answer(status: 200, _), .answer(status: 204, _): self = .completion(.init(id: id, outcome: .void))
        case .tooLarge: self = .failure(id, "Invocation failed, response too large.")
        case .answer, .failure, .overloaded: self = .failure(id, "Invocation failed, status code \(answer.status)")
        }
    }

    private static func failure(_ id: String, _ text: String) -> UpstreamReply {
        .completion(.init(id: id, outcome: .failure(text)))
    }

    /// The body, if it is one completion of the call and nothing else: anything else would end the client's connection.
    private static func completion(_ body: ByteBuffer, of id: String, _ codec: any HubCodec) -> ByteBuffer? {
        var frame = body
        if codec.transferFormat == .text {
            guard String(validating: frame.readableBytesView, as: UTF8.self) != nil else { return nil }
            // Written by hand, it easily lacks its end.
            if frame.readableBytesView.last != recordSeparator { frame.writeInteger(recordSeparator) }
        }
        var rest = frame
        guard case .completion(let completion)? = try? codec.read(from: &rest, maximumSize: nil), completion.id == id,
            rest.readableBytes == 0
        else { return nil }
        if case .result(let payload) = completion.outcome, (try? payload.value()) == nil { return nil }
        return frame
    }

    private static let recordSeparator: UInt8 = 0x1E

    /// On the connection's event loop.
    func send(to connection: Connection) {
        switch self {
        case .relayed(let frame, let codec): connection.send(Outgoing(.encoded([codec: frame])))
        case .completion(let completion): connection.send(.completion(completion))
        }
    }
}
