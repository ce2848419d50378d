// SignalBox: HTTP/1.1 by hand, so that tests see and decide every byte
// SPDX-License-Identifier: Apache-2.0

import NIOCore
import NIOHTTP1

/// A response, or its head alone while the body still runs.
struct Reply: Sendable {
    var status: Int
    var reason: String
    var headers: HTTPHeaders
    var body = ByteBuffer()

    var text: String { String(buffer: body) }
    subscript(_ name: String) -> String? { headers.first(name: name) }
}

struct BadHTTP: Error { let bytes: String }

extension Socket {
    /// Sends a request and reads its response; nil headers are left out of the body's framing.
    @discardableResult
    func request(
        _ method: String, _ target: String, headers: [(String, String)] = [], body: ByteBuffer? = nil
    ) async throws -> Reply {
        try await write(Self.request(method, target, headers: headers, body: body))
        return try await reply(to: method)
    }

    static func request(
        _ method: String, _ target: String, headers: [(String, String)] = [], body: ByteBuffer? = nil
    ) -> ByteBuffer {
        var bytes = ByteBuffer(string: "\(method) \(target) HTTP/1.1\r\nHost: localhost\r\n")
        for (name, value) in headers { bytes.writeString("\(name): \(value)\r\n") }
        if let body { bytes.writeString("Content-Length: \(body.readableBytes)\r\n") }
        bytes.writeString("\r\n")
        if let body { bytes.writeImmutableBuffer(body) }
        return bytes
    }

    func reply(to method: String = "GET") async throws -> Reply {
        var reply = try await head()
        if method == "HEAD" || reply.status == 204 || reply.status < 200 { return reply }
        if reply["transfer-encoding"] == "chunked" {
            while let chunk = try await chunk() { reply.body.writeImmutableBuffer(chunk) }
        } else if let length = reply["content-length"].flatMap({ Int($0) }) {
            reply.body = try await bytes(length)
        } else {
            reply.body = try await untilEnd()
        }
        return reply
    }

    /// A response's head, up to its blank line.
    func head() async throws -> Reply {
        let words = try await line().split(separator: " ", maxSplits: 2, omittingEmptySubsequences: false)
        guard words.count >= 2, words[0] == "HTTP/1.1", let status = Int(words[1]) else {
            throw BadHTTP(bytes: words.joined(separator: " "))
        }
        var reply = Reply(status: status, reason: words.count > 2 ? String(words[2]) : "", headers: [:])
        while case let line = try await line(), !line.isEmpty {
            guard let colon = line.firstIndex(of: ":") else { throw BadHTTP(bytes: line) }
            let value = line[line.index(after: colon)...].drop { $0 == " " }
            reply.headers.add(name: String(line[..<colon]), value: String(value))
        }
        return reply
    }

    /// The next chunk of a chunked body; nil at its end.
    func chunk() async throws -> ByteBuffer? {
        let size = try await line()
        guard let length = Int(size, radix: 16) else { throw BadHTTP(bytes: size) }
        let data = try await bytes(length)
        guard try await line().isEmpty else { throw BadHTTP(bytes: "chunk without an end") }
        return length == 0 ? nil : data
    }

    private func line() async throws -> String {
        let line = try await next { buffer -> String? in
            let view = buffer.readableBytesView
            guard let end = view.firstIndex(of: 0x0A), end > view.startIndex, view[end - 1] == 0x0D else { return nil }
            defer { buffer.moveReaderIndex(forwardBy: 2) }
            return buffer.readString(length: end - 1 - view.startIndex)
        }
        guard let line else { throw ChannelError.eof }
        return line
    }

    private func bytes(_ count: Int) async throws -> ByteBuffer {
        guard let bytes = try await next({ $0.readSlice(length: count) }) else { throw ChannelError.eof }
        return bytes
    }
}
