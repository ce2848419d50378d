// SignalBox: the client's end of a WebSocket, frame by frame
// SPDX-License-Identifier: Apache-2.0

import NIOConcurrencyHelpers
import NIOCore
import _SignalRWebSocket

/// Sends masked frames, answers pings, remembers how the server said goodbye.
///
/// Safety: `reader` is used by the one reader that a ``Socket`` may have.
final class WebSocketClient: ClientTransport, @unchecked Sendable {
    /// One whole message.
    struct Message: Sendable, Equatable {
        var bytes: ByteBuffer
        var isText: Bool
    }

    let socket: Socket
    let upgrade: Reply
    private var reader: WebSocketReader
    private let closed = NIOLockedValueBox<UInt16?>(nil)

    /// The key of RFC 6455's own example and the answer it must get.
    static let key = "dGhlIHNhbXBsZSBub25jZQ=="
    static let accept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

    static let handshake = [
        ("Connection", "Upgrade"), ("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", key),
    ]

    /// - Throws: ``UnexpectedReply`` when the server does not upgrade.
    convenience init(_ server: TestServer, _ target: String, headers: [(String, String)] = []) async throws {
        try await self.init(server.connect(), target, headers: headers)
    }

    init(_ socket: Socket, _ target: String, headers: [(String, String)] = []) async throws {
        self.socket = socket
        self.upgrade = try await socket.request("GET", target, headers: headers + Self.handshake)
        guard upgrade.status == 101, upgrade["sec-websocket-accept"] == Self.accept else {
            throw UnexpectedReply(reply: upgrade)
        }
        let isCompressed = upgrade["sec-websocket-extensions"] != nil
        self.reader = WebSocketReader(
            role: .client, maximumFrameSize: 1 << 24, inflater: isCompressed ? Inflater() : nil,
            maximumInflatedSize: 1 << 24)
    }

    /// The code of the server's Close frame.
    var closeCode: UInt16? { closed.withLockedValue { $0 } }

    func send(_ bytes: ByteBuffer, isText: Bool) async throws {
        try await frame(isText ? .text : .binary, bytes)
    }

    func frame(_ opcode: WebSocketOpcode, _ payload: ByteBuffer = ByteBuffer(), final: Bool = true) async throws {
        var bytes = ByteBuffer()
        WebSocketFrame.write(
            opcode: opcode, payload: payload, final: final, mask: .random(in: 0...UInt32.max), into: &bytes)
        try await socket.write(bytes)
    }

    func receive() async throws -> ByteBuffer? { try await message()?.bytes }

    func message() async throws -> Message? {
        var whole = ByteBuffer()
        while let event = try await socket.next({ try self.reader.next(from: &$0) }) {
            switch event {
            case .data(let piece, let kind, let endOfMessage):
                whole.writeImmutableBuffer(piece)
                if endOfMessage { return Message(bytes: whole, isText: kind == .text) }
            case .ping(let payload): try await frame(.pong, payload)
            case .pong: break
            case .close(let code, _):
                closed.withLockedValue { $0 = code?.rawValue ?? 1005 }
                try? await socket.write(WebSocketFrame.close(code: code, mask: .random(in: 0...UInt32.max)))
                return nil
            }
        }
        return nil
    }

    func close() async throws {
        try await socket.write(WebSocketFrame.close(code: .normal, mask: .random(in: 0...UInt32.max)))
    }

    func drop() { socket.close() }
}
