// SignalBox: one place where the program listens
// SPDX-License-Identifier: Apache-2.0

import Foundation
import Hummingbird
import HummingbirdCore
import HummingbirdTLS
import Logging
import NIOCore
import NIOPosix
import ServiceLifecycle
import SignalRHummingbird

/// A listener with the certificate that it shows.
struct Door {
    let listener: Listener
    let identity: TLSIdentity?

    /// - Throws: ``Failure`` when the certificate or its key cannot be read.
    init(_ listener: Listener) throws {
        self.listener = listener
        self.identity = try listener.tls.map { try TLSIdentity($0) }
    }

    /// What serves `router` here. It fails with a ``Failure`` when the place cannot be had.
    func service(
        _ router: Router<BasicRequestContext>, group: MultiThreadedEventLoopGroup, logger: Logger,
        onReady: @escaping @Sendable (any Channel) -> Void
    ) throws -> any Service {
        var configuration = HTTPConnectionConfiguration()
        configuration.isSecure = identity != nil
        var server = HTTPServerBuilder.signalR(router, configuration: configuration)
        if let identity { server = try .tls(server, tlsConfiguration: identity.configuration) }
        let app = Application(
            router: router, server: server,
            configuration: .init(address: .hostname(listener.host, port: listener.port), backlog: 1024),
            onServerRunning: onReady, eventLoopGroupProvider: .shared(group), logger: logger)
        return OpenDoor(listener: listener) { try await app.run() }
    }

    /// The URL by which it can be reached from this machine.
    func url(of channel: any Channel) -> String {
        let host =
            switch listener.host {
            // An address that stands for all of them is no place to connect to.
            case "0.0.0.0": "127.0.0.1"
            case "::": "[::1]"
            default: listener.host.contains(":") ? "[\(listener.host)]" : listener.host
            }
        return "\(listener.scheme)://\(host):\(channel.localAddress?.port ?? listener.port)"
    }
}

/// Serves at a place, and says what is in the way.
private struct OpenDoor: Service {
    let listener: Listener
    let work: @Sendable () async throws -> Void

    func run() async throws {
        do {
            try await work()
        } catch let error as IOError {
            throw Failure(.unavailable, explain(error))
        }
    }

    private func explain(_ error: IOError) -> String {
        let place = "\(listener.host):\(listener.port)"
        return switch error.errnoCode {
        case EADDRINUSE: "\(place) is in use by another program; choose another --port, or 0 for a free one"
        case EACCES: "not allowed to listen on \(place); ports below 1024 need special rights"
        case EADDRNOTAVAIL: "\(listener.host) is not an address of this machine"
        default: "cannot listen on \(place): \(String(cString: strerror(error.errnoCode)))"
        }
    }
}
