// SignalBox: one hub in serverless mode: its clients' events on their way to upstream, and the answers on their way back
// SPDX-License-Identifier: Apache-2.0

import Logging
import NIOCore
import NIOHTTP1
import SignalR
import SignalRWire

/// Tells upstream of the clients of one hub and what they call (service reference, "Response to a message event").
struct UpstreamHub: HubCallTaker {
    let source: UpstreamSource
    let hub: String
    /// Bytes of an answer that a classic client's queue can hold; its seats have no bound of their own.
    let answerLimit: Int
    let logger: Logger
    /// Who is told of deliveries.
    var observation: Observation?

    private static let itemKey = "signalbox.upstream"

    // MARK: Clients

    /// Returns when upstream heard of the client; its messages wait for that.
    /// - Throws: ``HubError`` when the client must go.
    func connected(_ client: HubCallerContext) async throws {
        let upstream = source.upstream
        client.items[Self.itemKey] = UpstreamClient(
            limit: upstream.options.maximumCallsPerClient, load: source.load, resume: client.takeMore)
        guard let rule = upstream.rule(hub: hub, .connected) else { return }
        guard let url = upstream.url(rule: rule, hub: hub, .connected) else {
            client.items[Self.itemKey] = nil
            throw HubError("Upstream cannot be called.")
        }
        let answer = await call(upstream, .connected, of: client, rule: rule, url: url, limit: Self.ignoredBody)
        guard !answer.isSuccess else { return }
        log("Upstream did not take a client", .connected, answer.summary, client)
        if upstream.options.refusalsEndClients, [401, 403].contains(answer.status) {
            client.items[Self.itemKey] = nil
            throw HubError("Upstream refused the connection, status code \(answer.status)")
        }
    }

    /// Returns at once. What the client called before is told before.
    func disconnected(_ client: HubCallerContext, _ reason: (any Error)?) {
        let queue = queue(of: client)
        // The queue and the client hold each other until here.
        client.items[Self.itemKey] = nil
        let event = UpstreamEvent.disconnected(reason.map(Self.text))
        let upstream = source.upstream
        guard let rule = upstream.rule(hub: hub, event), let url = upstream.url(rule: rule, hub: hub, event) else {
            return
        }
        _ = queue?.add {
            let answer = await call(upstream, event, of: client, rule: rule, url: url, limit: Self.ignoredBody)
            if !answer.isSuccess { log("Upstream did not hear of a client's end", event, answer.summary, client) }
        }
    }

    /// What is read of an answer that nobody waits for, so that its connection can be used again.
    static let ignoredBody = 65_536

    private static func text(_ reason: any Error) -> String {
        guard let reason = reason as? CloseReason else { return "\(reason)" }
        return reason.detail ?? reason.name
    }

    func queue(of client: HubCallerContext) -> UpstreamClient? { client.items.value(Self.itemKey) }

    // MARK: Calls

    func take(_ invocation: HubMessage.Invocation, asStream: Bool, from caller: HubCallerContext) -> Bool {
        let upstream = source.upstream
        if upstream.options.rules.isEmpty {
            // Nobody could ever answer (service reference, "Modes").
            caller.connection.close(
                .kicked("No upstream is configured, so clients cannot call.", allowReconnect: false))
            return true
        }
        if asStream { return refuse(invocation, "Streaming is not supported in serverless mode.", caller) }
        let codec = caller.connection.registry.codecs.first { $0.name == caller.hubProtocol } ?? JSONHubCodec()
        guard let event = try? UpstreamEvent.message(invocation, codec: codec) else {
            return refuse(invocation, "The arguments cannot be read.", caller)
        }
        guard let rule = upstream.rule(hub: hub, event), let queue = queue(of: caller) else {
            log("No upstream for a call", event, "ignored", caller)
            return true
        }
        guard let url = upstream.url(rule: rule, hub: hub, event) else {
            return refuse(invocation, "Invocation failed, status code 500", caller)
        }
        let id = invocation.id
        return queue.add {
            // What the client's own queue can hold, at most.
            let queue = caller.connection.limits.maximumOutboundQueue
            let limit = id == nil ? Self.ignoredBody : min(queue, upstream.options.maximumAnswer)
            let answer = await call(upstream, event, of: caller, rule: rule, url: url, limit: limit)
            if !answer.isSuccess { log("Upstream failed a call", event, answer.summary, caller) }
            guard let id else { return }
            let reply = UpstreamReply(answer, to: id, codec: codec)
            caller.connection.onLoop { reply.send(to: caller.connection) }
        }
    }

    private func refuse(_ invocation: HubMessage.Invocation, _ text: String, _ caller: HubCallerContext) -> Bool {
        if let id = invocation.id { caller.connection.send(.completion(.init(id: id, outcome: .failure(text)))) }
        return true
    }

    func call(
        _ upstream: Upstream, _ event: UpstreamEvent, of client: HubCallerContext, rule: Int, url: String, limit: Int
    ) async -> UpstreamAnswer {
        let start = ContinuousClock.now
        let (answer, tries) = await TraceContext.hop("\(hub)/\(event.name)", from: event.trace(of: client)) { trace in
            await upstream.call(
                rule: rule, url: url, headers: event.headers(of: client, hub: hub, keys: source.keys, trace: trace),
                body: event.body, limit: limit)
        }
        observation?.delivered(
            event, of: client, hub: hub, url: url, answer: answer, tries: tries, duration: ContinuousClock.now - start)
        return answer
    }

    func log(_ text: Logger.Message, _ event: UpstreamEvent, _ answer: String, _ client: HubCallerContext) {
        logger.debug(
            text,
            metadata: [
                "signalr.hub": "\(hub)", "signalr.connection.id": "\(client.connectionID)",
                "upstream.event": "\(event.name.prefix(100))", "answer": "\(answer)",
            ])
    }
}
