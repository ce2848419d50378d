// SignalBox: numbering, acknowledging and holding back for stateful clients
// SPDX-License-Identifier: Apache-2.0

import SignalRWire
import Testing

@testable import SignalR

@Suite struct ReplayBufferTests {
    private func message(_ number: Int64) -> Outgoing { Outgoing(.ack(number)) }

    /// Releases all that may go, as the numbers they were made with.
    private func released(_ buffer: inout ReplayBuffer) -> [Int64] {
        var numbers: [Int64] = []
        while let message = buffer.release() { numbers.append(Self.number(message)) }
        return numbers
    }

    private func received(_ count: Int, by buffer: inout ReplayBuffer) -> [Bool] {
        var new: [Bool] = []
        for _ in 0..<count { new.append(buffer.receive()) }
        return new
    }

    private static func number(_ message: Outgoing) -> Int64 {
        if case .message(.ack(let number)) = message.content { number } else { 0 }
    }

    @Test func `An empty buffer starts at the next number`() {
        var buffer = ReplayBuffer(limit: 100)
        #expect(buffer.replay.sequence == 1)
        #expect(buffer.replay.messages.isEmpty)
        #expect(released(&buffer).isEmpty)
    }

    @Test func `What is not acknowledged is replayed from its number on`() {
        var buffer = ReplayBuffer(limit: 100)
        for number in 1...5 { buffer.append(message(Int64(number)), 10) }
        #expect(released(&buffer) == [1, 2, 3, 4, 5])
        buffer.acknowledge(2)
        #expect(buffer.replay.sequence == 3)
        #expect(buffer.replay.messages.map(Self.number) == [3, 4, 5])
        buffer.acknowledge(1)
        #expect(buffer.replay.sequence == 3)
        buffer.acknowledge(5)
        #expect(buffer.replay.sequence == 6)
        #expect(buffer.replay.messages.isEmpty)
    }

    @Test func `One message may overshoot the limit, the next waits`() {
        var buffer = ReplayBuffer(limit: 100)
        for number in 1...4 { buffer.append(message(Int64(number)), 60) }
        #expect(released(&buffer) == [1, 2])
        #expect(buffer.isFull)
        #expect(buffer.heldBytes == 120)
        // Only what was released is replayed; the rest has yet to be sent.
        #expect(buffer.replay.messages.map(Self.number) == [1, 2])
        buffer.acknowledge(1)
        #expect(!buffer.isFull)
        #expect(released(&buffer) == [3])
        buffer.acknowledge(3)
        #expect(released(&buffer) == [4])
        #expect(buffer.heldBytes == 0)
    }

    @Test func `A message larger than the limit leaves alone`() {
        var buffer = ReplayBuffer(limit: 100)
        buffer.append(message(1), 1000)
        buffer.append(message(2), 1)
        #expect(released(&buffer) == [1])
        buffer.acknowledge(1)
        #expect(released(&buffer) == [2])
    }

    @Test(arguments: [3, 4, 99, Int64.max])
    func `An Ack above what was sent acknowledges what was sent`(number: Int64) {
        var buffer = ReplayBuffer(limit: 15)
        for number in 1...3 { buffer.append(message(Int64(number)), 10) }
        #expect(released(&buffer) == [1, 2])
        buffer.acknowledge(number)
        // The third was never sent, so nobody can have it.
        #expect(released(&buffer) == [3])
        #expect(buffer.replay.sequence == 3)
    }

    @Test(arguments: [0, -1, Int64.min])
    func `An Ack of nothing does nothing`(number: Int64) {
        var buffer = ReplayBuffer(limit: 100)
        buffer.append(message(1), 10)
        #expect(released(&buffer) == [1])
        buffer.acknowledge(number)
        #expect(buffer.replay.messages.map(Self.number) == [1])
    }

    @Test func `Repeated messages are dropped until new ones come`() {
        var buffer = ReplayBuffer(limit: 100)
        #expect(received(3, by: &buffer) == [true, true, true])
        let isKnown = buffer.restart(at: 2)
        #expect(isKnown)
        #expect(received(3, by: &buffer) == [false, false, true])
        let isNext = buffer.restart(at: 5)
        #expect(isNext)
        #expect(received(1, by: &buffer) == [true])
    }

    @Test(arguments: [0, -5, 3, Int64.max, Int64.min])
    func `A sequence that was never reached is refused`(number: Int64) {
        var buffer = ReplayBuffer(limit: 100)
        _ = buffer.receive()
        let isKnown = buffer.restart(at: number)
        #expect(!isKnown)
    }

    @Test func `Acks are due when something new came, once`() {
        var buffer = ReplayBuffer(limit: 100)
        var due = [buffer.dueAck()]
        for _ in 0..<3 { _ = buffer.receive() }
        due += [buffer.dueAck(), buffer.dueAck()]
        _ = buffer.restart(at: 2)
        _ = buffer.receive()
        due += [buffer.dueAck()]
        #expect(due == [nil, 3, nil, nil])
    }
}
