// SignalBox: rates, counts and appointments of the service's limits
// SPDX-License-Identifier: Apache-2.0

import Logging
import NIOConcurrencyHelpers
import NIOCore
import SignalR
import SignalRWire
import Testing

@testable import SignalRService

/// A bucket that expectations can take from.
private final class Bucket {
    private var bucket: TokenBucket
    init(_ perSecond: Int, burst: Int? = nil) { bucket = TokenBucket(.init(perSecond, burst: burst)) }
    func take(_ count: Int, at now: Double) -> Bool { bucket.take(count, at: now) }
    func wait(at now: Double) -> Double { bucket.wait(at: now) }
}

@Suite struct TokenBucketTests {
    @Test func itGivesItsBurstAndFillsSteadily() {
        let bucket = Bucket(10, burst: 5)
        #expect((0..<6).map { _ in bucket.take(1, at: 100) } == [true, true, true, true, true, false])
        #expect(abs(bucket.wait(at: 100) - 0.1) < 1e-9)
        #expect(!bucket.take(1, at: 100.09))
        #expect(bucket.take(1, at: 100.1))
        #expect(!bucket.take(1, at: 100.1))
        #expect(bucket.take(5, at: 200) && !bucket.take(1, at: 200))
    }

    @Test func whatIsRefusedIsNotTaken() {
        let bucket = Bucket(1, burst: 3)
        #expect(!bucket.take(4, at: 0))
        #expect(bucket.take(3, at: 0))
    }

    /// A rate is kept over a long time, whatever is lost in adding up seconds.
    @Test(arguments: [1, 3, 7, 1_000, 999_999])
    func theRateIsExact(_ perSecond: Int) {
        let bucket = Bucket(perSecond, burst: 1)
        let start = 1e3
        let taken = (0...1_000).count { bucket.take(1, at: start + Double($0) / Double(perSecond)) }
        #expect(taken == 1_001)
    }

    @Test func enormousRatesAreRates() {
        let bucket = Bucket(.max)
        #expect(bucket.take(.max, at: 0))
        #expect(ServiceLimits.Rate(.max).burst == .max)
    }
}

@Suite struct MessageCounterTests {
    @Test func textEndsAtSeparators() {
        var counter = MessageCounter()
        #expect(counter.count(ByteBuffer(string: "{}\u{1e}{"), .text) == 1)
        #expect(counter.count(ByteBuffer(string: "}\u{1e}\u{1e}"), .text) == 2)
        #expect(counter.count(ByteBuffer(), .text) == 0)
    }

    /// The same number, wherever the stream is cut.
    @Test func binaryEndsWhereItsLengthsSay() throws {
        var stream = ByteBuffer()
        for size in [0, 1, 127, 128, 300, 20_000] {
            try MessagePackHubCodec().write(
                .call("x", [.string(String(repeating: "a", count: size))]), into: &stream)
        }
        for size in [1, 2, 3, 128, 5_000, stream.readableBytes] {
            var (counter, rest, count) = (MessageCounter(), stream, 0)
            while let piece = rest.readSlice(length: min(size, rest.readableBytes)), piece.readableBytes > 0 {
                count += counter.count(piece, .binary)
            }
            #expect(count == 6, "pieces of \(size)")
        }
    }

    @Test(arguments: [[0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF], [0, 0, 0], [0x80]] as [[UInt8]])
    func lengthsThatCannotBeDoNoHarm(_ bytes: [UInt8]) {
        var counter = MessageCounter()
        _ = counter.count(ByteBuffer(bytes: bytes), .binary)
        _ = counter.count(ByteBuffer(repeating: 0xFF, count: 1_000), .binary)
    }
}

extension HubMessage {
    fileprivate static func call(_ target: String, _ arguments: [HubValue]) -> HubMessage {
        .invocation(.init(id: nil, target: target, arguments: .payloads(arguments.map { .value($0) })))
    }
}

/// A clock that a test moves.
private final class TestClock: Sendable {
    private let time = NIOLockedValueBox(1_000.0)
    var now: Double { time.withLockedValue { $0 } }
    func advance(_ seconds: Double) { time.withLockedValue { $0 += seconds } }
}

@Suite struct AdmissionTests {
    private static func admission(_ change: (inout ServiceLimits) -> Void) -> Admission {
        var limits = ServiceLimits()
        change(&limits)
        return Admission(limits)
    }

    @Test func everyLimitHasItsReason() {
        let admission = Self.admission {
            $0.connections = 4
            $0.connectionsPerHub = 3
            $0.connectionsPerUser = 1
            $0.connectionsOfHub = ["big": 9]
            $0.connectionsOfUser = ["ada": 2]
        }
        func enter(_ hub: String, _ user: String?) -> GateRefusal.Reason? { admission.enter(hub, user: user)?.reason }
        #expect(enter("a", "ada") == nil)
        #expect(enter("a", "ada") == nil)
        #expect(enter("a", "ada") == .userConnections)
        #expect(enter("a", "bob") == nil)
        #expect(enter("a", "cid") == .hubConnections)
        #expect(enter("big", "bob") == nil)
        #expect(enter("big", nil) == .connections)
        admission.leave("a", user: "ada")
        #expect(enter("big", "bob") == .userConnections)
        #expect(enter("big", nil) == nil)
        #expect(admission.count() == 4)
        #expect(admission.count(of: "big") == 2)
        #expect(admission.count(of: "a", user: "ada") == 1)
    }

    @Test func nobodyIsForgottenAndNothingIsKept() {
        let admission = Self.admission { _ in }
        for user in [nil, "ada", "ada", "bob"] { #expect(admission.enter("a", user: user) == nil) }
        for user in ["bob", "ada", nil, "ada"] { admission.leave("a", user: user) }
        #expect(admission.count() == 0)
        #expect(admission.count(of: "a") == 0)
        #expect(admission.count(of: "a", user: "ada") == 0)
    }

    @Test func anArrivalThatCannotEnterIsTurnedAwayAtTheDoor() {
        let admission = Self.admission { $0.connectionsPerUser = 1 }
        #expect(admission.enter("a", user: "ada") == nil)
        #expect(admission.refusal(of: "a") == nil)
        #expect(admission.arrive(at: "a", user: "ada")?.reason == .userConnections)
        #expect(admission.arrive(at: "a", user: "bob") == nil)
        #expect((1...60).contains(admission.arrive(at: "a", user: "ada")?.retryAfter ?? 0))
    }

    /// As many as the limit says, whoever comes at the same time.
    @Test func theLimitIsExactUnderConcurrency() async {
        let admission = Self.admission { $0.connectionsPerHub = 1_000 }
        let entered = await withTaskGroup(of: Int.self) { tasks in
            for task in 0..<8 {
                tasks.addTask {
                    var entered = 0
                    for number in 0..<1_000 {
                        guard admission.enter("a", user: "u\(number % 7)") == nil else { continue }
                        entered += 1
                        guard (number + task) % 3 == 0 else { continue }
                        admission.leave("a", user: "u\(number % 7)")
                        entered -= 1
                    }
                    return entered
                }
            }
            return await tasks.reduce(0, +)
        }
        #expect(entered == 1_000)
        #expect(admission.count() == 1_000)
    }

    @Test func aStormIsSpreadOverTheTimeItTakes() {
        let clock = TestClock()
        var limits = ServiceLimits()
        limits.connects = .init(100, burst: 100)
        let admission = Admission(limits) { clock.now }
        let answers = (0..<1_000).map { _ in admission.arrive(at: "a", user: nil) }
        #expect(answers.prefix(100).allSatisfy { $0 == nil })
        let times = answers.dropFirst(100).compactMap { $0?.retryAfter }
        #expect(times.count == 900)
        // Nine seconds' worth of clients; jitter adds half at most.
        #expect(times.min().map { $0 <= 2 } == true && times.max().map { (9...15).contains($0) } == true)
        let each = Dictionary(grouping: times, by: { $0 }).mapValues(\.count)
        #expect(each.values.allSatisfy { $0 <= 250 }, "\(each)")
        clock.advance(1)
        #expect(admission.refusal(of: "a") == nil)
    }

    @Test func lookingCountsNothing() {
        let clock = TestClock()
        var limits = ServiceLimits()
        limits.connects = .init(1, burst: 1)
        let admission = Admission(limits) { clock.now }
        for _ in 0..<10 { #expect(admission.refusal(of: "a") == nil) }
        #expect(admission.arrive(at: "a", user: nil) == nil)
        #expect(admission.refusal(of: "a")?.reason == .connectRate)
    }

    @Test func appServersAreCountedApart() {
        var limits = ServiceLimits()
        limits.serverConnections = 2
        let admission = Admission(limits) { 0 }
        let gate = ServerGate(admission: admission, logger: Logger(label: "test"))
        #expect(gate.refusal() == nil && gate.arrive(user: "s") == nil)
        #expect([gate.enter(user: "s"), gate.enter(user: nil)] == [nil, nil])
        #expect(gate.enter(user: "s")?.reason == .serverConnections)
        #expect(admission.count() == 0 && admission.enter("a", user: nil) == nil)
        gate.leave(user: "s")
        #expect(gate.enter(user: "t") == nil)
        limits.serverConnections = nil
        admission.update(limits)
        #expect(gate.enter(user: "t") == nil)
    }

    @Test func nobodyWaitsForEver() {
        var limits = ServiceLimits()
        limits.connects = .init(1, burst: 1)
        let admission = Admission(limits) { 0 }
        let times = (0..<10_000).compactMap { _ in admission.arrive(at: "a", user: nil)?.retryAfter }
        #expect(times.allSatisfy { (1...91).contains($0) })
    }

    @Test func keysAreCountedApart() {
        let clock = TestClock()
        var limits = ServiceLimits()
        limits.requestsPerKey = .init(1, burst: 2)
        let admission = Admission(limits) { clock.now }
        #expect([0, 0, 1, 1].allSatisfy { admission.request(withKey: $0) == nil })
        #expect(admission.request(withKey: 0)?.reason == .requestRate)
        clock.advance(1)
        #expect(admission.request(withKey: 0) == nil)
        #expect(admission.request(withKey: 1) == nil)
    }

    @Test func otherLimitsHoldAtOnceAndSendNobodyAway() {
        let admission = Self.admission { $0.connections = 3 }
        for _ in 0..<3 { #expect(admission.enter("a", user: "ada") == nil) }
        var limits = ServiceLimits()
        limits.connections = 1
        admission.update(limits)
        #expect(admission.count() == 3)
        for _ in 0..<2 { admission.leave("a", user: "ada") }
        #expect(admission.enter("a", user: nil)?.reason == .connections)
        limits.connections = 2
        admission.update(limits)
        #expect(admission.enter("a", user: nil) == nil)
    }

    @Test func withoutLimitsThereIsNoMeter() {
        #expect(Self.admission { _ in }.meter("a", user: "ada") == nil)
    }

    @Test func aUsersConnectionsShareARate() throws {
        let admission = Self.admission { $0.messagesPerUser = .init(1, burst: 3) }
        for _ in 0..<2 { #expect(admission.enter("a", user: "ada") == nil) }
        let one = try #require(admission.meter("a", user: "ada"))
        let other = try #require(admission.meter("a", user: "ada"))
        #expect([one, other, one].allSatisfy { $0.admits(messageOf: 1) })
        #expect(!one.admits(messageOf: 1) && !other.admits(messageOf: 1))
        #expect(admission.meter("a", user: nil) == nil)
    }

    @Test func bytesAndMessagesAreCountedAtOnce() throws {
        let admission = Self.admission {
            $0.messagesPerConnection = .init(1, burst: 2)
            $0.bytesPerConnection = .init(1, burst: 100)
        }
        let meter = try #require(admission.meter("a", user: nil))
        #expect(meter.admits(ByteBuffer(string: "{}\u{1e}"), .text))
        #expect(!meter.admits(ByteBuffer(repeating: 0x20, count: 100), .text))
        let another = try #require(admission.meter("a", user: nil))
        #expect(!another.admits(ByteBuffer(string: "\u{1e}\u{1e}\u{1e}"), .text))
    }
}
