// SignalBox: requests to upstream: which rule, how many at a time, what is tried again, and what came of it
// SPDX-License-Identifier: Apache-2.0

import AsyncHTTPClient
import Dispatch
import Logging
import NIOConcurrencyHelpers
import NIOCore
import NIOHTTP1
import NIOPosix

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// What came of telling upstream.
enum UpstreamAnswer: Sendable, Equatable {
    case answer(status: Int, body: ByteBuffer)
    case tooLarge
    /// No answer; the text is for the log.
    case failure(String)
    /// Too many wait already.
    case overloaded

    /// As the client is told: a transport that fails counts as 500 (service reference, "Response").
    var status: Int {
        switch self {
        case .answer(let status, _): status
        case .tooLarge: 200
        case .failure: 500
        case .overloaded: 503
        }
    }

    var isSuccess: Bool { (200..<300).contains(status) }
    /// Whether upstream works, whatever it thinks of the event.
    var isHealthy: Bool { status < 500 }
}

/// Sends events to upstream. One for the whole service, until its options are replaced.
final class Upstream: Sendable {
    let options: UpstreamOptions
    private let client: HTTPClient
    private let gates: [UpstreamGate]
    private let health: NIOLockedValueBox<[Health]>
    private let logger: Logger

    init(_ options: UpstreamOptions, eventLoopGroup: any EventLoopGroup, logger: Logger) {
        self.options = options
        self.logger = logger
        self.health = NIOLockedValueBox(options.rules.map { _ in Health() })
        self.gates = options.rules.map { _ in
            UpstreamGate(capacity: options.maximumConcurrency, maximumQueue: options.maximumQueue)
        }
        var configuration = HTTPClient.Configuration(
            redirectConfiguration: .disallow,
            timeout: .init(
                connect: TimeAmount(options.connectTimeout), read: TimeAmount(options.timeout)),
            connectionPool: .init(
                // Shorter than servers usually wait, so that they do not close what is just taken out of the pool.
                idleTimeout: .seconds(4),
                concurrentHTTP1ConnectionsPerHostSoftLimit: min(
                    4096, options.maximumConcurrency * max(1, options.rules.count))))
        // Tries are counted here.
        configuration.connectionPool.retryConnectionEstablishment = false
        configuration.httpVersion = .http1Only
        self.client = HTTPClient(eventLoopGroupProvider: .shared(eventLoopGroup), configuration: configuration)
    }

    deinit { client.shutdown(queue: .global()) { _ in } }

    /// The first rule for an event.
    func rule(hub: String, _ event: UpstreamEvent) -> Int? {
        options.rules.firstIndex { $0.matches(hub: hub, category: event.category.rawValue, event: event.name) }
    }

    /// nil when no URL comes of the event's names.
    func url(rule: Int, hub: String, _ event: UpstreamEvent) -> String? {
        options.rules[rule].url(hub: hub, category: event.category.rawValue, event: event.name)
    }

    // MARK: Requests

    /// - Parameter limit: bytes of the answer.
    /// - Returns: what came of it, and how many requests were sent for it.
    func call(
        rule: Int, url: String, headers: HTTPHeaders, body: ByteBuffer, limit: Int
    ) async -> (answer: UpstreamAnswer, tries: Int) {
        let answer: UpstreamAnswer
        let count = NIOLockedValueBox(0)
        do {
            answer = try await withDeadline(options.timeout) { [self] in
                try await gates[rule].pass {
                    try await tries(url: url, headers: headers, body: body, limit: limit, count)
                }
            }
        } catch UpstreamGate.Failure.full {
            answer = .overloaded
        } catch is DeadlineExceeded {
            answer = .failure("no answer within \(options.timeout)")
        } catch {
            answer = .failure(Self.describe(error))
        }
        note(answer, of: rule)
        return (answer, count.withLockedValue { $0 })
    }

    private func tries(
        url: String, headers: HTTPHeaders, body: ByteBuffer, limit: Int, _ count: NIOLockedValueBox<Int>
    ) async throws -> UpstreamAnswer {
        var pause = Duration.milliseconds(100)
        for _ in 1..<max(1, options.maximumTries) {
            count.withLockedValue { $0 += 1 }
            do {
                let (answer, retryAfter) = try await send(url: url, headers: headers, body: body, limit: limit)
                guard let retryAfter else { return answer }
                try await Task.sleep(for: max(retryAfter, pause))
            } catch  where Self.neverArrived(error) {
                // Spread, so that those who failed together do not come back together.
                try await Task.sleep(for: pause * Double.random(in: 0.5...1.5))
            }
            pause *= 4
        }
        count.withLockedValue { $0 += 1 }
        return try await send(url: url, headers: headers, body: body, limit: limit).answer
    }

    /// - Returns: `retryAfter` when upstream did nothing and asks to come back soon.
    private func send(
        url: String, headers: HTTPHeaders, body: ByteBuffer, limit: Int
    ) async throws -> (answer: UpstreamAnswer, retryAfter: Duration?) {
        var request = HTTPClientRequest(url: url)
        request.method = .POST
        request.headers = headers
        request.body = .bytes(body)
        let response = try await client.execute(request, timeout: TimeAmount(options.timeout))
        let status = Int(response.status.code)
        do {
            let body = try await response.body.collect(upTo: limit)
            return (.answer(status: status, body: body), Self.retryAfter(status, response.headers))
        } catch is NIOTooManyBytesError {
            return (status == 200 ? .tooLarge : .answer(status: status, body: ByteBuffer()), nil)
        }
    }

    private static let longestPause = 5

    private static func retryAfter(_ status: Int, _ headers: HTTPHeaders) -> Duration? {
        guard status == 429 || status == 503, let text = headers.first(name: "retry-after"), let seconds = Int(text),
            (0...longestPause).contains(seconds)
        else { return nil }
        return .seconds(seconds)
    }

    /// Whether the connection was never made, so that nothing of the request can have been read.
    private static func neverArrived(_ error: any Error) -> Bool {
        switch error {
        case is NIOConnectionError: true
        case let error as HTTPClientError: error == .connectTimeout
        case let error as IOError: error.errnoCode == ECONNREFUSED
        default: false
        }
    }

    /// Without the URL, which may hold secrets.
    private static func describe(_ error: any Error) -> String {
        switch error {
        case let error as HTTPClientError: error.shortDescription
        case is NIOConnectionError: "cannot connect"
        case is CancellationError: "cancelled"
        default: "\(type(of: error))"
        }
    }

    // MARK: Log

    /// How a rule did the last time, so that the log says when it begins and ends to fail, and not with every event.
    private struct Health {
        var isFailing = false
        var lastChange: ContinuousClock.Instant?
    }

    /// A receiver that fails for some events only would otherwise fill the log.
    private static let shortestChange = Duration.seconds(10)

    private func note(_ answer: UpstreamAnswer, of rule: Int) {
        let now = ContinuousClock.now
        let isNews = health.withLockedValue { health in
            guard health[rule].isFailing == answer.isHealthy else { return false }
            if let last = health[rule].lastChange, now - last < Self.shortestChange { return false }
            health[rule] = Health(isFailing: !answer.isHealthy, lastChange: now)
            return true
        }
        guard isNews else { return }
        let metadata: Logger.Metadata = ["rule": "\(rule + 1)", "answer": "\(answer.summary)"]
        if answer.isHealthy {
            logger.notice("Upstream answers again", metadata: metadata)
        } else {
            logger.warning("Upstream fails", metadata: metadata)
        }
    }
}

extension UpstreamAnswer {
    /// For logs.
    var summary: String {
        switch self {
        case .answer(let status, _): "status \(status)"
        case .tooLarge: "too large"
        case .failure(let text): text
        case .overloaded: "too many events wait"
        }
    }
}
