// SignalBox: signalbox serve: how much its clients and callers may use
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import SignalRService

extension Serve {
    struct Limits: ParsableArguments {
        static let settings: [Setting] = [
            "maximum-connections", "maximum-connections-per-hub", "maximum-connections-per-user", .list("hub-quota"),
            .list("user-quota"), "connects-per-second", "messages-per-second", "bytes-per-second",
            "messages-per-second-per-user", "bytes-per-second-per-user", "requests-per-second",
            "maximum-server-connections",
        ]

        @Option(
            help: ArgumentHelp(
                "Clients of all hubs; one more is answered with 429. [SIGNALBOX_MAXIMUM_CONNECTIONS]",
                valueName: "number"))
        var maximumConnections = 0

        @Option(help: ArgumentHelp("Clients of one hub. [SIGNALBOX_MAXIMUM_CONNECTIONS_PER_HUB]", valueName: "number"))
        var maximumConnectionsPerHub = 0

        @Option(
            help: ArgumentHelp(
                "Connections of one user in a hub. [SIGNALBOX_MAXIMUM_CONNECTIONS_PER_USER]", valueName: "number"))
        var maximumConnectionsPerUser = 0

        @Option(
            help: ArgumentHelp(
                "Clients of one particular hub, such as chat=500; repeat it for several (commas in the variable). [SIGNALBOX_HUB_QUOTA]",
                valueName: "hub=number"))
        var hubQuota: [Quota] = []

        @Option(
            help: ArgumentHelp(
                "Connections of one particular user in a hub, such as ada=5; repeat it for several (commas in the variable). [SIGNALBOX_USER_QUOTA]",
                valueName: "user=number"))
        var userQuota: [Quota] = []

        @Option(
            help: ArgumentHelp(
                """
                Clients that may connect in a second, and in one moment behind the colon (twice as many without it). More are \
                told by 429 and Retry-After when to try again. [SIGNALBOX_CONNECTS_PER_SECOND]
                """,
                valueName: "rate:burst"))
        var connectsPerSecond = RateLimit(ServiceLimits().connects)

        @Option(
            help: ArgumentHelp(
                "Messages that a connection may send in a second, of every kind; one that sends more is closed. [SIGNALBOX_MESSAGES_PER_SECOND]",
                valueName: "rate:burst"))
        var messagesPerSecond = RateLimit(nil)

        @Option(
            help: ArgumentHelp(
                "Bytes that a connection may send in a second, such as 64k:1m; no message may be larger than the burst. [SIGNALBOX_BYTES_PER_SECOND]",
                valueName: "rate:burst"))
        var bytesPerSecond = RateLimit(nil)

        @Option(
            help: ArgumentHelp(
                "The same for the messages of all connections of a user to a hub. [SIGNALBOX_MESSAGES_PER_SECOND_PER_USER]",
                valueName: "rate:burst"))
        var messagesPerSecondPerUser = RateLimit(nil)

        @Option(
            help: ArgumentHelp(
                "The same for the bytes of all connections of a user to a hub. [SIGNALBOX_BYTES_PER_SECOND_PER_USER]",
                valueName: "rate:burst"))
        var bytesPerSecondPerUser = RateLimit(nil)

        @Option(
            help: ArgumentHelp(
                "REST requests in a second with one access key; more are answered with 429. [SIGNALBOX_REQUESTS_PER_SECOND]",
                valueName: "rate:burst"))
        var requestsPerSecond = RateLimit(nil)

        @Option(
            help: ArgumentHelp(
                "Connections of app servers, of which each has five to a hub; one more is answered with 429. [SIGNALBOX_MAXIMUM_SERVER_CONNECTIONS]",
                valueName: "number"))
        var maximumServerConnections = ServiceLimits().serverConnections ?? 0

        func validate() throws {
            let counts = [
                "--maximum-server-connections": maximumServerConnections,
                "--maximum-connections": maximumConnections, "--maximum-connections-per-hub": maximumConnectionsPerHub,
                "--maximum-connections-per-user": maximumConnectionsPerUser,
            ]
            for (option, count) in counts where count < 0 {
                throw ValidationError("\(option) must be a number, 0 for no limit.")
            }
        }

        var serviceLimits: ServiceLimits {
            func limit(_ count: Int) -> Int? { count == 0 ? nil : count }
            var limits = ServiceLimits()
            limits.connections = limit(maximumConnections)
            limits.connectionsPerHub = limit(maximumConnectionsPerHub)
            limits.connectionsPerUser = limit(maximumConnectionsPerUser)
            for quota in hubQuota { limits.connectionsOfHub[quota.name.lowercased()] = quota.count }
            for quota in userQuota { limits.connectionsOfUser[quota.name] = quota.count }
            limits.connects = connectsPerSecond.rate
            limits.messagesPerConnection = messagesPerSecond.rate
            limits.bytesPerConnection = bytesPerSecond.rate
            limits.messagesPerUser = messagesPerSecondPerUser.rate
            limits.bytesPerUser = bytesPerSecondPerUser.rate
            limits.requestsPerKey = requestsPerSecond.rate
            limits.serverConnections = limit(maximumServerConnections)
            return limits
        }
    }
}

/// `NAME=NUMBER`; the name may hold more equals signs.
struct Quota: ExpressibleByArgument, CustomStringConvertible {
    let name: String
    let count: Int

    init?(argument: String) {
        guard let equals = argument.lastIndex(of: "="), equals > argument.startIndex,
            let count = Int(argument[argument.index(after: equals)...]), count >= 0
        else { return nil }
        self.name = String(argument[..<equals])
        self.count = count
    }

    var description: String { "\(name)=\(count)" }
}

/// A rate such as `100`, `100:1000` (1,000 at once) or, in bytes, `64k:1m`; `0` for no limit.
struct RateLimit: ExpressibleByArgument, CustomStringConvertible {
    let rate: ServiceLimits.Rate?

    init(_ rate: ServiceLimits.Rate?) { self.rate = rate }

    init?(argument: String) {
        let parts = argument.split(separator: ":", omittingEmptySubsequences: false)
            .map { ByteCount(argument: String($0))?.bytes }
        switch parts.count {
        case 1:
            guard let perSecond = parts[0] else { return nil }
            self.rate = perSecond == 0 ? nil : .init(perSecond)
        case 2:
            guard let perSecond = parts[0], let burst = parts[1], perSecond > 0, burst > 0 else { return nil }
            self.rate = .init(perSecond, burst: burst)
        default: return nil
        }
    }

    var description: String {
        rate.map { "\(ByteCount($0.perSecond)):\(ByteCount($0.burst))" } ?? "0"
    }
}
