// SignalBox: what classic clients do beside receiving: start, send, abort
// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import NIOCore
import SignalR
import SignalRWire

extension ClassicEndpoint {
    /// The client says that its transport works: hubs hear of it, and the answer waits for them (classic protocol reference, §7).
    func start(_ request: ClassicRequest, _ caller: Caller) async throws -> HubResponse {
        let session = try await self.present(request, caller)
        do {
            try await session.start(caller.hubs, RequestFeatures(request.http), caller.user)
        } catch {
            throw ClassicRefusal(.internalServerError, "The connection was refused.")
        }
        return HubResponse.classic("{ \"Response\": \"started\" }").called(by: caller.callback)
    }

    /// A message. A hub's answer is the response, which waits for the method.
    func send(_ request: ClassicRequest, _ caller: Caller) async throws -> HubResponse {
        guard let data = request["data"] else {
            guard !caller.entry.isPersistent else { return HubResponse(.ok) }
            throw ClassicRefusal(.internalServerError, "There is no data.")
        }
        let session = try await self.present(request, caller)
        guard await session.admitsRequest(of: data.utf8.count) else {
            throw ClassicRefusal(.tooManyRequests, "The client sends too much.")
        }
        guard !session.isPersistent else {
            try await session.receive(raw: data)
            return HubResponse(.ok).called(by: caller.callback)
        }
        guard let result = await session.call(ByteBuffer(string: data), for: caller.user) else {
            throw ClassicRefusal(.internalServerError, "The call cannot be read.")
        }
        // Frames live in pages, where angle brackets could end a script.
        guard caller.transport == .foreverFrame else { return .classic(result).called(by: caller.callback) }
        var escaped = ByteBuffer()
        ForeverFrame.writeEscaped(result, into: &escaped)
        return .classic(escaped).called(by: caller.callback)
    }

    /// The client leaves for good. Its transport may be gone already.
    func abort(_ request: ClassicRequest, _ caller: Caller) async -> HubResponse {
        if let session = self.sessions[caller.client.id] {
            await session.carrier.run { session.carrier.close(.clientClosed) }
        }
        return HubResponse(.ok, headers: [.contentType: "text/plain"])
    }

    /// The client's session; one without a transport when this server does not know the client (yet).
    private func present(_ request: ClassicRequest, _ caller: Caller) async throws -> ClassicSession {
        if let session = self.sessions[caller.client.id] { return session }
        try self.checkPresence(of: caller)
        let features = RequestFeatures(request.http)
        let session = try self.session(caller, features, on: nil, cursor: nil)
        await session.carrier.run {
            guard session.carrier.state == .new else { return }
            let nothing = NoTransport()
            session.carrier.attach(nothing)
            session.carrier.detach(nothing)
        }
        return session
    }
}
