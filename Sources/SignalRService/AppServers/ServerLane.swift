// SignalBox: the way between one app server's connection and the clients of one event loop
// SPDX-License-Identifier: Apache-2.0

import NIOCore
import SignalR
import SignalRWire
import Synchronization

/// Joins what goes either way, so that a read of the app server costs one hop per event loop, and so do all the clients that have
/// something for the app server in one tick.
///
/// Safety: `session` and `eventLoop` are constants and `inFlight` is atomic. `work` belongs to the app server's event loop; everything else to the lane's own.
final class ServerLane: @unchecked Sendable {
    let session: ServerSession
    let eventLoop: any EventLoop
    /// The clients of the event loop that the app server owns.
    private(set) var clients: ContiguousArray<any RelayedClient> = []
    /// Messages that leave at the end of the tick.
    private var outgoing = ByteBuffer()
    private var isFlushing = false
    /// The app server does not read.
    private var isServerSlow = false
    private(set) var isOver = false
    /// Bytes on their way to the app server's event loop.
    private let inFlight = Atomic(0)
    private var work: [@Sendable () -> Void] = []

    init(_ session: ServerSession, on eventLoop: any EventLoop) {
        self.session = session
        self.eventLoop = eventLoop
    }

    // MARK: On the lane's event loop

    /// The app server cannot keep up: its clients must not be read.
    var isCongested: Bool { isServerSlow || inFlight.load(ordering: .relaxed) > session.window }

    /// Returns false when the app server is gone.
    func add(_ client: any RelayedClient) -> Bool {
        guard !isOver else { return false }
        client.laneIndex = clients.count
        clients.append(client)
        return true
    }

    func remove(_ client: any RelayedClient) {
        let index = client.laneIndex
        guard index >= 0, index < clients.count, clients[index] === client else { return }
        client.laneIndex = -1
        let last = clients.removeLast()
        guard last !== client else { return }
        clients[index] = last
        last.laneIndex = index
    }

    /// Queues a message for the app server.
    func send(_ message: ServiceMessage) {
        guard !isOver else { return }
        do {
            try ServiceCodec.write(message, into: &outgoing)
        } catch {
            session.log("A message for the app server cannot be written", error: error)
        }
        guard !isFlushing else { return }
        isFlushing = true
        eventLoop.execute { self.flush() }
    }

    private func flush() {
        isFlushing = false
        let bytes = outgoing
        outgoing = ByteBuffer()
        let count = bytes.readableBytes
        guard count > 0 else { return }
        inFlight.add(count, ordering: .relaxed)
        session.connection.onLoop { [self] in
            session.write(bytes)
            let left = inFlight.subtract(count, ordering: .relaxed).newValue
            if left <= session.window, left + count > session.window { eventLoop.execute { self.goOn() } }
        }
    }

    func setServerSlow(_ isSlow: Bool) {
        isServerSlow = isSlow
        if !isSlow { goOn() }
    }

    private func goOn() {
        guard !isCongested else { return }
        for client in Array(clients) { client.goOn() }
    }

    /// The app server is gone, and with it its clients.
    func end(_ reason: CloseReason) {
        isOver = true
        outgoing = ByteBuffer()
        let clients = clients
        self.clients = []
        for client in clients { client.serverLost(reason) }
    }

    // MARK: On the app server's event loop

    /// Runs `work` on the lane's event loop, after all that was given before.
    func run(_ work: @escaping @Sendable () -> Void) {
        self.work.append(work)
        if self.work.count == 1 { session.needsDispatch(self) }
    }

    func dispatch() {
        let work = work
        self.work = []
        guard !eventLoop.inEventLoop else {
            for item in work { item() }
            return
        }
        session.workBegan()
        eventLoop.execute { [session] in
            for item in work { item() }
            session.workEnded()
        }
    }
}
