// SignalBox: what classic clients say, as events of serverless mode
// SPDX-License-Identifier: Apache-2.0

import Logging
import NIOCore
import SignalR
import SignalRWire

extension UpstreamHub {
    /// The event of a message of a client without hubs. Its one argument is the text.
    static let receivedEvent = "onReceived"

    /// Has a call answered. Upstream cannot tell a classic client's call from one by a JSON client of ASP.NET Core.
    func answer(
        _ call: HubMessage.Invocation, from caller: HubCallerContext
    ) async -> HubMessage.Completion.Outcome {
        let upstream = source.upstream
        if upstream.options.rules.isEmpty {
            let text = "No upstream is configured, so clients cannot call."
            caller.connection.onLoop { caller.connection.close(.kicked(text)) }
            return .failure(text)
        }
        let codec = JSONHubCodec()
        guard let event = try? UpstreamEvent.message(call, codec: codec) else {
            return .failure("The arguments cannot be read.")
        }
        guard let rule = upstream.rule(hub: hub, event), let queue = queue(of: caller) else {
            log("No upstream for a call", event, "ignored", caller)
            return .failure("No upstream takes calls of '\(call.target)'.")
        }
        guard let url = upstream.url(rule: rule, hub: hub, event) else {
            return .failure("Invocation failed, status code 500")
        }
        return await withCheckedContinuation { waiter in
            // The client's calls at a time are bounded, and so is this queue.
            _ = queue.add {
                let limit = min(answerLimit, upstream.options.maximumAnswer)
                let answer = await self.call(upstream, event, of: caller, rule: rule, url: url, limit: limit)
                if !answer.isSuccess { log("Upstream failed a call", event, answer.summary, caller) }
                waiter.resume(returning: UpstreamReply.outcome(of: answer, to: call.id, codec: codec))
            }
        }
    }

    /// A message of a client without hubs.
    /// - Throws: ``HubError`` when upstream did not take it.
    func received(_ text: String, from client: HubCallerContext) async throws {
        let call = HubMessage.Invocation(
            id: nil, target: Self.receivedEvent, arguments: .values([.string(text)]))
        if case .failure(let text) = await answer(call, from: client) { throw HubError(text) }
    }
}

extension UpstreamReply {
    /// What came of a call. One without an id has no result, only success or not.
    fileprivate static func outcome(
        of answer: UpstreamAnswer, to id: String?, codec: any HubCodec
    ) -> HubMessage.Completion.Outcome {
        guard let id else {
            return answer.isSuccess ? .void : .failure("Invocation failed, status code \(answer.status)")
        }
        switch UpstreamReply(answer, to: id, codec: codec) {
        case .completion(let completion): return completion.outcome
        case .relayed(var frame, _):
            guard case .completion(let completion)? = try? codec.read(from: &frame, maximumSize: nil) else {
                return .void
            }
            return completion.outcome
        }
    }
}
