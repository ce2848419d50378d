// SignalBox: requests to the admin API of a running service
// SPDX-License-Identifier: Apache-2.0

import AsyncHTTPClient
import NIOCore
import NIOHTTP1
import NIOPosix
import SignalRService
import SignalRWire

/// Asks one service; every failure becomes a ``Failure`` that says what to do.
struct AdminClient {
    let url: String
    let key: String

    private static let maximumAnswer = 64 << 20

    /// Lives as long as the program. Says at once that nobody listens, rather than trying until the request's time is over.
    private static let http: HTTPClient = {
        var configuration = HTTPClient.Configuration()
        configuration.connectionPool.retryConnectionEstablishment = false
        return HTTPClient(
            eventLoopGroupProvider: .shared(MultiThreadedEventLoopGroup.singleton), configuration: configuration)
    }()

    /// - Parameter query: pairs without a value are left out.
    func get(_ path: String, _ query: [(String, String?)] = []) async throws -> HubValue {
        try await answer(request(.GET, path, query))
    }

    func post(_ path: String, _ body: HubValue) async throws -> HubValue {
        var request = request(.POST, path, [])
        var text = ByteBuffer()
        try JSON.write(body, into: &text)
        request.headers.add(name: "Content-Type", value: "application/json")
        request.body = .bytes(text)
        return try await answer(request)
    }

    /// All pages of a list, at most `limit` elements.
    func list(_ path: String, _ member: String, _ query: [(String, String?)], limit: Int) async throws -> [HubValue] {
        var all: [HubValue] = []
        var after: String?
        repeat {
            let count = min(1_000, limit - all.count)
            let page = try await get(path, query + [("limit", "\(count)"), ("after", after)])
            guard case .array(let elements)? = page[member] else { break }
            all += elements
            after = if case .string(let last)? = page["after"], !elements.isEmpty { last } else { nil }
        } while after != nil && all.count < limit
        return all
    }

    /// Calls `line` with every line that is not empty, until the service ends the answer or the task is cancelled.
    func follow(_ path: String, _ query: [(String, String?)], _ line: (ByteBuffer) throws -> Void) async throws {
        let response = try await reached {
            try await Self.http.execute(request(.GET, path, query), deadline: .distantFuture)
        }
        guard response.status == .ok else { throw try await failure(response) }
        var rest = ByteBuffer()
        do {
            for try await piece in response.body {
                rest.writeImmutableBuffer(piece)
                while let end = rest.readableBytesView.firstIndex(of: UInt8(ascii: "\n")) {
                    guard let text = rest.readSlice(length: end - rest.readerIndex) else { break }
                    rest.moveReaderIndex(forwardBy: 1)
                    if text.readableBytes > 0 { try line(text) }
                }
                rest.discardReadBytes()
                guard rest.readableBytes < Self.maximumAnswer else { break }
            }
        } catch let error as Failure {
            throw error
        } catch {
            throw Failure(.unavailable, "the connection to \(url) was lost")
        }
    }

    private func request(_ method: HTTPMethod, _ path: String, _ query: [(String, String?)]) -> HTTPClientRequest {
        let pairs = query.compactMap { name, value in value.map { "\(name)=\($0.percentEncoded)" } }
        var request = HTTPClientRequest(url: url + path + (pairs.isEmpty ? "" : "?" + pairs.joined(separator: "&")))
        request.method = method
        request.headers.add(name: "Authorization", value: "Bearer \(key)")
        return request
    }

    private func answer(_ request: HTTPClientRequest) async throws -> HubValue {
        let response = try await reached { try await Self.http.execute(request, timeout: .seconds(30)) }
        guard response.status == .ok else { throw try await failure(response) }
        let value = try await reached {
            try JSON.value(from: try await response.body.collect(upTo: Self.maximumAnswer))
        }
        return value
    }

    private func reached<Result>(_ work: () async throws -> Result) async throws -> Result {
        do {
            return try await work()
        } catch is HubProtocolError {
            throw Failure(
                .unavailable, "what answers at \(url) is no admin listener of SignalBox; give another --admin")
        } catch {
            throw Failure(
                .unavailable, "no service answers at \(url); start one with `signalbox serve`, or give --admin")
        }
    }

    private func failure(_ response: HTTPClientResponse) async throws -> Failure {
        let body = try? await response.body.collect(upTo: 65_536)
        let text: String? =
            if case .string(let text)? = body.flatMap({ try? JSON.value(from: $0) })?["error"] { text } else { nil }
        guard response.status != .unauthorized else {
            return Failure(
                .noPermission,
                "\(url) does not accept the admin key; give --admin-key, or the --data-folder of the service")
        }
        guard let text else {
            return Failure(
                .unavailable, "what answers at \(url) is no admin listener of SignalBox; give another --admin")
        }
        return Failure(.general, text)
    }
}
