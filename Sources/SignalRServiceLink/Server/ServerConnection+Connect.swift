// SignalBox: the way to the service: address, TLS, upgrade request
// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import NIOCore
import NIOPosix
import NIOSSL
import SignalRWire

extension ServerConnection {
    /// Connects and stays until the end.
    /// - Throws: what keeps it from a TCP connection.
    func live() async throws -> End {
        do {
            try await connect()
        } catch {
            onLoop { self.end("\(error)") }
            throw error
        }
        return try await withTaskCancellationHandler {
            try await closed.get()
        } onCancel: {
            close()
        }
    }

    private func connect() async throws {
        let address = try ServiceAddress(link.endpoint.serverURL(connectionID: id, target: target))
        let socket = ServiceSocket(
            target: address.target, host: address.hostHeader, headers: headers, user: self)
        let tls = address.isSecure ? try NIOSSLContext(configuration: options.tls) : nil
        onLoop { self.begin(socket) }
        let bootstrap = ClientBootstrap(group: eventLoop)
            .connectTimeout(TimeAmount(options.handshakeTimeout))
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let pipeline = channel.pipeline.syncOperations
                    if let tls {
                        let name = address.isIPAddress ? nil : address.host
                        try pipeline.addHandler(NIOSSLClientHandler(context: tls, serverHostname: name))
                    }
                    try pipeline.addHandler(socket)
                }
            }
        _ = try await bootstrap.connect(host: address.host, port: address.port).get()
    }

    /// Service reference, "HTTP upgrade".
    private var headers: HTTPFields {
        [
            .authorization: "Bearer \(link.endpoint.serverToken(options.serverName))", .serverID: options.serverName,
            .asrsUserAgent: "SignalBox.ServiceLink (Swift)", .requestedWith: "XMLHttpRequest",
        ]
    }
}

extension HTTPField.Name {
    // `init(parsed:)` fails for a name that is no token only.
    static let serverID = Self(parsed: "x-asrs-server-id") ?? .server
    static let asrsUserAgent = Self(parsed: "asrs-user-agent") ?? .userAgent
    static let requestedWith = Self(parsed: "x-requested-with") ?? .from
}
