// SignalBox: messages in a few words, for people who follow them
// SPDX-License-Identifier: Apache-2.0

import NIOCore
import SignalR
import SignalRWire

extension HubMessage {
    /// What it is and its method, without what it carries.
    var summary: String {
        switch self {
        case .invocation(let call): "call \(Self.short(call.target))"
        case .streamInvocation(let call): "stream \(Self.short(call.target))"
        case .streamItem(let item): "item of \(Self.short(item.id))"
        case .completion(let completion): "\(completion.outcome.summary) of \(Self.short(completion.id))"
        case .cancelInvocation(let cancel): "cancel \(Self.short(cancel.id))"
        case .ping: "ping"
        case .close: "close"
        case .ack: "ack"
        case .sequence: "sequence"
        case .unknown(let type): "message of type \(type)"
        }
    }

    private static func short(_ name: String) -> String { ServiceEvent.cut(name, 100) }

    /// Its size in a protocol; nil when it cannot be written in it.
    func size(in codec: any HubCodec) -> Int? {
        var bytes = ByteBuffer()
        return (try? codec.write(self, into: &bytes)) == nil ? nil : bytes.readableBytes
    }

    private static let longestPayload = 4_000

    /// Its arguments, item or result; the beginning of the text where they are long.
    var payload: HubValue? {
        let value: HubValue?
        switch self {
        case .invocation(let call), .streamInvocation(let call):
            var reader = call.arguments.makeReader()
            value = .array((0..<call.arguments.count).compactMap { _ in try? reader.next().value() })
        case .streamItem(let item): value = try? item.item.value()
        case .completion(let completion):
            switch completion.outcome {
            case .void: value = nil
            case .result(let result): value = try? result.value()
            case .failure(let text): value = .string(text)
            }
        default: value = nil
        }
        guard let json = value?.json, json.readableBytes > Self.longestPayload else { return value }
        return .string(String(buffer: json.getSlice(at: json.readerIndex, length: Self.longestPayload) ?? json) + "…")
    }

    var method: String? {
        switch self {
        case .invocation(let call), .streamInvocation(let call): Self.short(call.target)
        default: nil
        }
    }
}

extension HubMessage.Completion.Outcome {
    fileprivate var summary: String {
        switch self {
        case .void: "end"
        case .result: "result"
        case .failure: "error"
        }
    }
}

extension HubTarget {
    /// Names are those of peers, so they are cut.
    var summary: String {
        switch self {
        case .all: "all"
        case .connections(let ids): Self.list("connection", ids)
        case .groups(let names): Self.list("group", names)
        case .users(let ids): Self.list("user", ids)
        }
    }

    private static func list(_ noun: String, _ names: [String]) -> String {
        guard names.count == 1, let name = names.first else { return "\(names.count) \(noun)s" }
        return "\(noun) \(ServiceEvent.cut(name, 100))"
    }
}

extension Outgoing {
    /// The message, as far as it can be read, and its size in the first protocol at hand.
    func readable(_ registry: ConnectionRegistry) -> (message: HubMessage?, bytes: Int?) {
        switch content {
        case .message(let message): return (message, message.size(in: JSONHubCodec()))
        case .encoded(let byProtocol):
            for codec in registry.codecs {
                guard var bytes = byProtocol[codec.name] else { continue }
                let size = bytes.readableBytes
                return ((try? codec.read(from: &bytes, maximumSize: nil)) ?? nil, size)
            }
            return (nil, nil)
        case .raw(let bytes, _): return (nil, bytes.readableBytes)
        case .numbered(let message): return message.original.readable(registry)
        }
    }
}
