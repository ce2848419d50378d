// SignalBox: a classic client that an app server owns: its messages go there as they are, and answers find their requests
// SPDX-License-Identifier: Apache-2.0

import NIOCore
import SignalR
import SignalRWire

extension ClassicSession {
    /// A transport came. The first one makes the client known to its owner, and nothing is written before that is done.
    func settle(_ request: ReceiveRequest, with owner: any ClassicOwner, isNew: Bool) {
        if isNew {
            self.beginning = request
            owner.opened(ClassicClient(session: self)) { [weak self] in self?.ownerIsReady() }
            return
        }
        guard self.hasOwner else { return self.beginning = request }
        self.begin(request, self.generation)
        if request.action == .reconnect { owner.reconnected() }
    }

    private func ownerIsReady() {
        self.hasOwner = true
        guard let request = self.beginning else { return }
        self.beginning = nil
        self.begin(request, self.generation)
        guard !request.version.hasStart else { return }
        Task.startingHere { [self] in _ = try? await self.start() }
    }

    /// From any thread. Passes a call on that came by a request; nil when it is none.
    func pass(_ text: ByteBuffer, to owner: any ClassicOwner) async -> ByteBuffer? {
        guard let call = try? ClassicCodec.readInvocation(from: text) else { return nil }
        // Safety: used on the event loop only.
        nonisolated(unsafe) let owner = owner
        guard let id = call.id else {
            self.carrier.onLoop { owner.receive(text) }
            return ByteBuffer(staticString: "{\"I\":\"\"}")
        }
        return await withTaskCancellationHandler {
            await withCheckedContinuation { waiter in
                self.carrier.onLoop { [self] in
                    guard self.carrier.state == .open, self.requests.count < self.options.maximumParallelCalls,
                        self.requests[id] == nil
                    else { return waiter.resume(returning: Self.result(of: call, "Too many calls at a time.")) }
                    self.requests[id] = waiter
                    owner.receive(text)
                }
            }
        } onCancel: {
            self.carrier.onLoop { self.requests.removeValue(forKey: id)?.resume(returning: nil) }
        }
    }

    func answer(_ json: ByteBuffer, to id: String) {
        guard let request = self.requests.removeValue(forKey: id) else { return self.reply(json) }
        request.resume(returning: json)
    }

    /// The client is gone, and with it everybody who could answer.
    func failRequests() {
        let requests = self.requests
        self.requests = [:]
        for (id, request) in requests {
            let call = ClassicInvocation(hub: nil, method: nil, arguments: .values([]), id: id)
            request.resume(returning: Self.result(of: call, "The connection ended before the call did."))
        }
    }
}
