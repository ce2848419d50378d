// SignalBox: one who follows the live trace, and what fits into what it can take
// SPDX-License-Identifier: Apache-2.0

import NIOConcurrencyHelpers
import NIOCore
import SignalR
import SignalRWire

/// Which events somebody wants to see; nil in a field means all.
struct WatchFilter: Sendable {
    var hub: String?
    var user: String?
    var connection: ConnectionID?
    var kinds: Set<ConnectionEventKind>?
    /// Whether messages come with their arguments.
    var payloads = false

    func matches(_ event: ServiceEvent) -> Bool {
        if let kinds, !kinds.contains(event.kind) { return false }
        if let hub, hub != event.hub { return false }
        if let user, user != event.user { return false }
        if let connection, connection != event.connection { return false }
        return true
    }

    var wantsMessages: Bool { kinds?.contains(.message) ?? true }
}

/// A bounded queue of events for one reader: who does not keep up loses events and is told how many.
final class Watch: AsyncSequence, Sendable {
    typealias Element = HubValue

    private struct State {
        var events: CircularBuffer<HubValue> = []
        var lost = 0
        var reader: CheckedContinuation<HubValue?, Never>?
        var isOver = false
    }

    static let capacity = 1_000
    let filter: WatchFilter
    private let state = NIOLockedValueBox(State())
    private let onEnd: @Sendable (Watch) -> Void

    init(_ filter: WatchFilter, onEnd: @escaping @Sendable (Watch) -> Void) {
        self.filter = filter
        self.onEnd = onEnd
    }

    func offer(_ event: ServiceEvent) {
        guard filter.matches(event) else { return }
        let json = event.json(withPayload: filter.payloads)
        let reader = state.withLockedValue { state -> CheckedContinuation<HubValue?, Never>? in
            if let reader = state.reader {
                state.reader = nil
                return reader
            }
            guard !state.isOver else { return nil }
            if state.events.count < Self.capacity { state.events.append(json) } else { state.lost += 1 }
            return nil
        }
        reader?.resume(returning: json)
    }

    /// Gives a reader that waits a `null`, which stands for nothing, so that it can tell its peer that it is there.
    func breakSilence() {
        let reader = state.withLockedValue { state in
            defer { state.reader = nil }
            return state.reader
        }
        reader?.resume(returning: .null)
    }

    /// No more events; the reader gets what is there, and then the end.
    func finish() {
        let reader = state.withLockedValue { state in
            state.isOver = true
            defer { state.reader = nil }
            return state.reader
        }
        reader?.resume(returning: nil)
        onEnd(self)
    }

    private func next() async -> HubValue? {
        await withTaskCancellationHandler {
            await withCheckedContinuation { reader in
                let ready = state.withLockedValue { state -> HubValue?? in
                    if let event = state.events.popFirst() { return .some(event) }
                    if state.lost > 0 {
                        defer { state.lost = 0 }
                        return .some(.members(["kind": "lost", "count": .count(state.lost)]))
                    }
                    if state.isOver || Task.isCancelled || state.reader != nil { return .some(nil) }
                    state.reader = reader
                    return nil
                }
                if let ready { reader.resume(returning: ready) }
            }
        } onCancel: {
            finish()
        }
    }

    func makeAsyncIterator() -> Iterator { Iterator(watch: self) }

    /// Ends the watch when it is dropped, so that a reader that stops does not leave one behind.
    final class Iterator: AsyncIteratorProtocol, Sendable {
        private let watch: Watch
        init(watch: Watch) { self.watch = watch }
        deinit { watch.finish() }
        func next() async -> HubValue? { await watch.next() }
    }
}

/// Everybody who follows the live trace.
final class Watches: Sendable {
    private struct State {
        var all: [Watch] = []
        var isOver = false
    }

    static let maximum = 64
    private let state = NIOLockedValueBox(State())
    private let flags = WatchFlags()

    var isEmpty: Bool { !flags.any }
    var wantsMessages: Bool { flags.messages }
    var wantsPayloads: Bool { flags.payloads }
    var all: [Watch] { state.withLockedValue { $0.all } }

    /// nil when there are as many as there may be, or the service ends.
    func begin(_ filter: WatchFilter) -> Watch? {
        let watch = Watch(filter) { [weak self] in self?.end($0) }
        let isIn = state.withLockedValue { state in
            guard !state.isOver, state.all.count < Self.maximum else { return false }
            state.all.append(watch)
            flags.set(for: state.all)
            return true
        }
        return isIn ? watch : nil
    }

    private func end(_ watch: Watch) {
        state.withLockedValue { state in
            state.all.removeAll { $0 === watch }
            flags.set(for: state.all)
        }
    }

    func offer(_ event: ServiceEvent) { for watch in all { watch.offer(event) } }

    /// Lets everybody go who watches, and nobody in again.
    func finish() {
        let all = state.withLockedValue { state in
            state.isOver = true
            return state.all
        }
        for watch in all { watch.finish() }
    }
}
