// SignalBox: messages of ASP.NET app servers for many clients, which are wrapped once more than those of ASP.NET Core
// SPDX-License-Identifier: Apache-2.0

import NIOCore
import SignalR
import SignalRClassic
import SignalRWire

extension ServerSession {
    /// What an app server has for many; nil when that is nothing.
    func message(in multicast: ServiceMessage.Multicast, _ relay: HubRelay) -> Outgoing? {
        generation == .core ? coreMessage(in: multicast) : classicMessage(in: multicast, relay)
    }

    /// A frame for each protocol. Classic clients get one of these translated, so the name of theirs is not for app servers.
    private func coreMessage(in multicast: ServiceMessage.Multicast) -> Outgoing {
        var frames = Dictionary(
            multicast.payloads.map { ($0.protocol.lowercased(), $0.bytes) }, uniquingKeysWith: { $1 })
        frames[ClassicHubCodec().name] = nil
        return Outgoing(.encoded(frames))
    }

    private func classicMessage(in multicast: ServiceMessage.Multicast, _ relay: HubRelay) -> Outgoing? {
        let payload = multicast.payloads.last { $0.protocol.lowercased() == ClassicRelay.protocolName }
        guard let payload else { return nil }
        let contents: [ClassicContent]
        do {
            contents = try ClassicContent.read(payload.bytes)
        } catch {
            log("A message of the app server for classic clients cannot be read", error: error)
            return nil
        }
        var messages: ByteBuffer?
        for content in contents {
            switch content {
            case .result: answer(content, multicast.target, relay)
            case .messages(let more):
                if messages?.writeStaticString(",") != nil {
                    messages?.writeImmutableBuffer(more)
                } else {
                    messages = more
                }
            }
        }
        return messages.map { Outgoing(.encoded([ClassicHubCodec.messagesName: $0])) }
    }

    /// An answer is for the one client that asked.
    private func answer(_ content: ClassicContent, _ target: ServiceMessage.Multicast.Target, _ relay: HubRelay) {
        guard case .connections(let ids) = target else { return }
        for id in Set(ids) {
            guard let connection = relay.registry.connection(named: id) else { continue }
            lane(for: connection.eventLoop)?.run { (connection.classicOwner as? ClassicRelay)?.receive(content) }
        }
    }
}
