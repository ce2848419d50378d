// SignalBox: the answer to a WebSocket handshake, and the transport that follows it
// SPDX-License-Identifier: Apache-2.0

package import HTTPTypes
import NIOCore
import _SignalRWebSocket

extension HubResponse {
    /// The switch to a WebSocket that carries `connection`, or why it cannot be.
    /// - Parameter resumes: whether the connection may have had a transport before.
    /// - Parameter willAttach: runs on the channel's event loop right before the connection gets the transport.
    package static func upgrade(
        _ head: HTTPRequest, _ connection: Connection, resumes: Bool, compresses: Bool,
        willAttach: @escaping @Sendable () -> Void = {}
    ) -> HubResponse {
        switch WebSocketHandshake.accept(head, deflate: compresses ? .init(head.headerFields) : nil) {
        case .rejected: return refusedUpgrade(head)
        case .accepted(let headers, let deflate):
            return HubResponse(.switchingProtocols, headers: headers) { host in
                willAttach()
                try host.channel.pipeline.syncOperations.addHandler(
                    WebSocketTransport(
                        connection, deflate: deflate, resumes: resumes,
                        isLocal: connection.eventLoop === host.channel.eventLoop, output: host.output))
            }
        }
    }

    package static func refusedUpgrade(_ head: HTTPRequest) -> HubResponse {
        guard case .rejected(let status, var headers, let message) = WebSocketHandshake.accept(head, deflate: nil)
        else {
            return .text(.badRequest)
        }
        headers[.contentType] = "text/plain"
        return HubResponse(status, headers: headers, body: ByteBuffer(string: message))
    }
}
