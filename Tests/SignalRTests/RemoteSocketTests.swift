// SignalBox: a socket on another event loop than its connection, after another one took its place
// SPDX-License-Identifier: Apache-2.0

import Logging
import NIOCore
import NIOEmbedded
import SignalRWire
import Testing

@testable import SignalR

@Suite struct RemoteSocketTests {
    private let loop = EmbeddedEventLoop()
    private let session = StubSession()

    private func connection() -> Connection {
        let registry = ConnectionRegistry(
            group: loop, codecs: [JSONHubCodec()], logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        let connection = Connection.forTests(registry, on: loop)
        connection.begin(session)
        return connection
    }

    private func socket(of connection: Connection) throws -> EmbeddedChannel {
        let channel = EmbeddedChannel(loop: EmbeddedEventLoop())
        try channel.pipeline.syncOperations.addHandler(
            WebSocketTransport(connection, deflate: nil, resumes: true, isLocal: false, output: .channel))
        loop.run()
        return channel
    }

    /// A text frame whose mask changes nothing.
    private func frame(_ text: String) -> ByteBuffer {
        ByteBuffer(bytes: [0x81, 0x80 | UInt8(text.utf8.count), 0, 0, 0, 0] + Array(text.utf8))
    }

    @Test func `Its bytes arrive`() throws {
        let connection = connection()
        let socket = try socket(of: connection)
        try socket.writeInbound(frame("one"))
        loop.run()
        #expect(session.received == "one")
    }

    @Test func `What is on its way when another socket takes over is dropped`() throws {
        let connection = connection()
        let old = try socket(of: connection)
        try old.writeInbound(frame("old"))
        connection.resume(StubTransport(.webSockets))
        loop.run()
        #expect(session.received == "")
        #expect(session.end == nil)
    }

    @Test(arguments: [[0x88, 0x80, 1, 2, 3, 4], [0x83, 0x80, 1, 2, 3, 4]] as [[UInt8]])
    func `Neither its Close nor its errors end the connection then`(bytes: [UInt8]) throws {
        let connection = connection()
        let old = try socket(of: connection)
        try old.writeInbound(ByteBuffer(bytes: bytes))
        connection.resume(StubTransport(.webSockets))
        loop.run()
        #expect(session.end == nil)
        #expect(connection.state == .opening)
    }
}
