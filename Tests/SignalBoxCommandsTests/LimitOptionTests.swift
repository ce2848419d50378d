// SignalBox: the limits of signalbox serve as people write them
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import SignalRService
import Testing

@testable import SignalBoxCommands

@Suite struct LimitOptionTests {
    @Test func optionsReachTheLimits() throws {
        let limits = try Serve.parse([
            "--maximum-connections", "1000", "--maximum-connections-per-hub", "100", "--maximum-connections-per-user",
            "3",
            "--connects-per-second", "50", "--messages-per-second", "10:40", "--bytes-per-second", "64k:1m",
            "--messages-per-second-per-user", "20", "--bytes-per-second-per-user", "1m", "--requests-per-second", "7:7",
        ]).limits.serviceLimits
        var expected = ServiceLimits()
        (expected.connections, expected.connectionsPerHub, expected.connectionsPerUser) = (1_000, 100, 3)
        expected.connects = .init(50, burst: 100)
        expected.messagesPerConnection = .init(10, burst: 40)
        expected.bytesPerConnection = .init(65_536, burst: 1 << 20)
        expected.messagesPerUser = .init(20, burst: 40)
        expected.bytesPerUser = .init(1 << 20, burst: 2 << 20)
        expected.requestsPerKey = .init(7, burst: 7)
        #expect(limits == expected)
    }

    @Test func defaultsAreThoseOfTheLibrary() throws {
        #expect(try Serve.parse([]).limits.serviceLimits == ServiceLimits())
        #expect(try Serve.parse(["--connects-per-second", "0"]).limits.serviceLimits.connects == nil)
        #expect(Serve.helpMessage(columns: 10_000).contains("(default: 5000:20000)"))
    }

    @Test(arguments: [
        ["--maximum-connections", "-1"], ["--connects-per-second", "-1"], ["--connects-per-second", "1:0"],
        ["--connects-per-second", "0:1"], ["--messages-per-second", "1:2:3"], ["--messages-per-second", "many"],
        ["--bytes-per-second", "1g"], ["--bytes-per-second", ":"], ["--requests-per-second", "9223372036854775807m"],
    ])
    func mistakesAreUsageErrors(_ options: [String]) {
        let error = #expect(throws: (any Error).self) { try SignalBox.parseAsRoot(["serve"] + options) }
        #expect(error.map { SignalBox.exitCode(for: $0) } == .validationFailure)
    }
}
