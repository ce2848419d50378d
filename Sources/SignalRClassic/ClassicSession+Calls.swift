// SignalBox: what a classic client sends: calls of hub methods, and messages of persistent connections
// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import Logging
import NIOCore
import SignalR
import SignalRWire

extension ClassicSession {
    private var limits: ClassicOptions { self.endpoint.options }

    // MARK: WebSockets

    var keepsBoundaries: Bool { true }
    var isBusy: Bool { false }
    func receive(_ bytes: inout ByteBuffer) {}

    func receive(_ piece: ByteBuffer, isText: Bool, isLast: Bool) {
        if let limit = self.limits.maximumWebSocketMessageSize,
            self.message.readableBytes + piece.readableBytes > limit
        {
            self.message = ByteBuffer()
            // The client comes back; for the server it was a loss like any other.
            if let transport = self.carrier.transport {
                self.carrier.history.interrupt(.lost("a message over the limit"))
                transport.close(.slowConsumerBytes)
                self.carrier.detach(transport)
            }
            return
        }
        self.message.writeImmutableBuffer(piece)
        guard isLast else { return }
        let whole = self.message
        self.message = ByteBuffer()
        guard isText, self.admits(whole.readableBytes) else { return }
        if let owner { owner.receive(whole) } else { self.received(whole) }
    }

    /// Whether the client may send that much; it is closed otherwise.
    private func admits(_ size: Int) -> Bool {
        guard self.carrier.meter?.admits(messageOf: size) == false else { return true }
        self.carrier.close(.rateLimited)
        return false
    }

    /// The same for a message that came by a request.
    func admitsRequest(of size: Int) async -> Bool {
        await withCheckedContinuation { waiter in
            self.carrier.onLoop { waiter.resume(returning: self.admits(size)) }
        }
    }

    /// Messages begin in the order of their arrival and do not wait for each other. A client that never says that it is ready is taken to
    /// be so when it speaks.
    private func received(_ text: ByteBuffer) {
        guard self.calls + self.held.count < self.limits.maximumParallelCalls else { return self.refuse(text) }
        guard !self.isStarted || !self.held.isEmpty else { return self.begin(text) }
        self.held.append(text)
        guard self.held.count == 1 else { return }
        Task.startingHere { [self] in
            _ = try? await self.start()
            self.carrier.onLoop { while let text = self.held.popFirst() { self.begin(text) } }
        }
    }

    private func begin(_ text: ByteBuffer) {
        self.calls += 1
        Task.startingHere { [self] in
            if !self.isPersistent {
                let result = await self.run(text, for: self.carrier.user)
                self.carrier.onLoop { if let result { self.reply(result) } }
            } else {
                try? await self.run(raw: String(buffer: text))
            }
            self.carrier.onLoop { self.calls -= 1 }
        }
    }

    func refuse(_ text: ByteBuffer) {
        guard !self.isPersistent, let invocation = try? ClassicCodec.readInvocation(from: text),
            let result = Self.result(of: invocation, "Too many calls at a time.")
        else { return }
        self.reply(result)
    }

    // MARK: Requests

    /// From any thread. The answer to a call that came by a request; nil when there can be none.
    func call(_ text: ByteBuffer, for user: HubUser?) async -> ByteBuffer? {
        if let owner { return await self.pass(text, to: owner) }
        guard await self.begin() else {
            return (try? ClassicCodec.readInvocation(from: text)).flatMap {
                Self.result(of: $0, "Too many calls at a time.")
            }
        }
        let result = await self.run(text, for: user, isRequest: true)
        self.carrier.onLoop { self.calls -= 1 }
        return result
    }

    /// From any thread.
    func receive(raw text: String) async throws {
        guard await self.begin() else { throw ClassicRefusal(.tooManyRequests, "Too many messages at a time.") }
        defer { self.carrier.onLoop { self.calls -= 1 } }
        try await self.run(raw: text)
    }

    private func begin() async -> Bool {
        await withCheckedContinuation { waiter in
            self.carrier.onLoop { [self] in
                guard self.calls < self.limits.maximumParallelCalls else { return waiter.resume(returning: false) }
                self.calls += 1
                waiter.resume(returning: true)
            }
        }
    }

    // MARK: Running

    private func run(raw text: String) async throws {
        guard let seat = await self.seat(named: "", for: nil), let received = seat.application.received else { return }
        if seat.application.answer != nil { try await self.start() }
        do {
            try await received(HubCallerContext(seat, scope: nil), text)
        } catch {
            self.endpoint.logger.warning("onReceived failed", metadata: ["error": "\(error)"])
            throw error
        }
    }

    private func run(_ text: ByteBuffer, for user: HubUser?, isRequest: Bool = false) async -> ByteBuffer? {
        guard let invocation = try? ClassicCodec.readInvocation(from: text) else { return nil }
        guard let hub = invocation.hub, let method = invocation.method else {
            return Self.result(of: invocation, "The call names no hub or no method.")
        }
        guard let seat = await self.seat(named: hub, for: user) else {
            return Self.result(of: invocation, "The hub '\(hub)' could not be resolved.")
        }
        guard let state = self.state(of: invocation) else {
            return Self.result(of: invocation, "The state of the hub is too large, or nested too deeply.")
        }
        let call = ClassicCall(id: invocation.id, seat: seat, state: state)
        let result: ClassicResult
        if let answer = seat.application.answer {
            // Who answers hears of the client first.
            _ = try? await self.start()
            result = await seat.ask(answer, invocation, method)
        } else {
            result = await seat.run(invocation, method, call)
        }
        guard let id = invocation.id else { return ByteBuffer(staticString: "{\"I\":\"\"}") }
        let json = Self.encode(result, id: id)
        guard isRequest, call.hasReported, result.failure == nil, let json, await self.follow(json, seat) else {
            return json
        }
        return Self.encode(ClassicResult(id: ClassicProgress.outerID(of: id)), id: id)
    }

    /// Sends a result behind the reports of its call, where no other response can overtake them. Clients take results there as they do in
    /// the answer to their request, which then is for a call that nobody has made. False for a client that never received anything.
    private func follow(_ result: ByteBuffer, _ seat: ClassicSeat) async -> Bool {
        await withCheckedContinuation { waiter in
            self.carrier.onLoop { [self] in
                if self.hasReceived { seat.tell(result) }
                waiter.resume(returning: self.hasReceived)
            }
        }
    }

    /// From any thread. Passes a stream on as progress, until it ends or the client does.
    func pass(_ source: StreamSource, of call: ClassicCall) async throws {
        let reading = Task {
            try await source.forEach { item in
                try Task.checkCancellation()
                try call.report(item)
                await self.caughtUp()
            }
        }
        await self.carrier.run {
            if self.carrier.state == .open { self.streams[ObjectIdentifier(call)] = reading } else { reading.cancel() }
        }
        let outcome = await reading.result
        await self.carrier.run { self.streams[ObjectIdentifier(call)] = nil }
        try outcome.get()
    }

    /// A result that JSON cannot express fails the call instead.
    private static func encode(_ result: ClassicResult, id: String) -> ByteBuffer? {
        var json = ByteBuffer()
        if (try? ClassicCodec.write(result, into: &json)) != nil { return json }
        let failure = ClassicResult(id: id, failure: .init("The result cannot be written."))
        return (try? ClassicCodec.write(failure, into: &json)).map { json }
    }

    static func result(of invocation: ClassicInvocation, _ text: String) -> ByteBuffer? {
        var json = ByteBuffer()
        let result = ClassicResult(id: invocation.id ?? "", failure: .init(text))
        return (try? ClassicCodec.write(result, into: &json)).map { json }
    }

    private func state(of invocation: ClassicInvocation) -> [HubValue.Member]? {
        guard let state = invocation.state else { return [] }
        guard
            state.readableBytes <= self.limits.maximumStateSize
                || String(buffer: state).utf16.count <= self.limits.maximumStateSize,
            case .map(let members)? = try? JSON.value(from: state, maximumDepth: ClassicCodec.maximumDepth)
        else { return nil }
        return members
    }

    /// The client's place in a hub; one that gets no broadcasts when the client did not list it.
    private func seat(named name: String, for user: HubUser?) async -> ClassicSeat? {
        await withCheckedContinuation { waiter in
            self.carrier.onLoop { [self] in waiter.resume(returning: self.seatHere(named: name, for: user)) }
        }
    }

    private func seatHere(named name: String, for user: HubUser?) -> ClassicSeat? {
        if self.isPersistent, let seat = self.seats.first { return seat }
        let name = name.lowercased()
        if let seat = self.seats.first(where: { ($0.application.name ?? "").lowercased() == name }) { return seat }
        if let guest = self.guests[name] { return guest }
        guard let application = self.endpoint.application(named: name), application.admitsUnlisted(user),
            self.carrier.state != .closed
        else { return nil }
        let admission = ClassicAdmission(application: application, userID: user?.id)
        let guest = self.endpoint.makeSeat(for: self, admission, self.carrier.request, user)
        self.guests[name] = guest
        return guest
    }
}

extension ClassicSeat {
    /// Has a call answered by somebody else.
    func ask(
        _ answer: ClassicApplication.Answer, _ invocation: ClassicInvocation, _ name: String
    ) async -> ClassicResult {
        var result = ClassicResult(id: invocation.id ?? "")
        let call = HubMessage.Invocation(id: invocation.id, target: name, arguments: invocation.arguments)
        switch await answer(call, HubCallerContext(self, scope: nil)) {
        case .void: break
        case .result(let value): result.value = value
        case .failure(let text): result.failure = .init(text)
        }
        return result
    }

    /// Runs a call to its end.
    func run(_ invocation: ClassicInvocation, _ name: String, _ call: ClassicCall) async -> ClassicResult {
        defer { call.end() }
        var result = ClassicResult(id: invocation.id ?? "")
        let shown = "\(invocation.hub ?? "").\(name)"
        guard let method = self.server.method(named: name), method.streamCount == 0,
            method.parameterCount == invocation.arguments.count
        else {
            result.failure = .init(self.unresolved(shown, invocation.arguments.count))
            return result
        }
        let message = HubMessage.Invocation(id: invocation.id, target: name, arguments: invocation.arguments)
        let context = HubCallerContext(self, scope: CallScope(.unlimited, caller: self, call: call))
        switch await self.server.run(method, message, uploads: [], in: context) {
        case .failure(let text, let error): result.failure = self.failure(text, error, shown)
        case .reply(let reply): await self.finish(reply, call, shown, &result)
        }
        result.state = call.changes
        return result
    }

    private func unresolved(_ shown: String, _ count: Int) -> String {
        let text = "'\(shown)' method could not be resolved."
        guard self.server.options.detailedErrors else { return text }
        let known = self.server.methodList.map { "\($0.name)(\($0.parameterCount))" }.joined(separator: ", ")
        return "\(text) No method fits with \(count) arguments. Potential candidates are: \(known)"
    }

    /// The items of a stream are progress to clients that know no streams.
    private func finish(
        _ reply: HubReply, _ call: ClassicCall, _ shown: String, _ result: inout ClassicResult
    ) async {
        switch reply.content {
        case .value(let value): result.value = value
        case .noStream: result.failure = .init("Call of '\(shown)' failed.")
        case .stream(let source):
            // Nobody hears the reports of a call without an id.
            guard call.id != nil else { return }
            do {
                try await self.pass(source, of: call)
            } catch {
                result.failure = self.failure("", error, shown)
            }
        }
    }

    private func failure(_ text: String, _ error: (any Error)?, _ shown: String) -> ClassicResult.Failure {
        switch error {
        case let error as HubError: .init(error.message, isHubError: true, data: error.data)
        case let error?: .init(self.server.options.detailedErrors ? "\(error)" : "Call of '\(shown)' failed.")
        case nil: .init(text)
        }
    }
}
