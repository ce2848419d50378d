// SignalBox: what a transport writes: straight to the socket while nothing waits in the channel
// SPDX-License-Identifier: Apache-2.0

package import NIOCore

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// The way out of a taken-over channel.
///
/// A broadcast to many sockets is bound by memory: every object that a write passes is one to fetch into the cache, and evicts what the
/// kernel needs next. A lone write through the channel visits about ten of them and costs half as much again as the system call, so bytes
/// go to the socket directly as long as the channel holds none. What the socket does not take goes through the channel, which waits, tells
/// of back-pressure and finds errors as always; until it is empty again, everything goes that way.
package enum SocketOutput: Sendable {
    /// Through the channel, for good: there are handlers between it and the socket (TLS), it has no socket, or it ends.
    case channel
    /// Through the channel until its writes, this many, are done; can go to `socket` or `channel`.
    case waiting(Int)
    /// The channel is empty and open; can go to `waiting` or `channel`. The latter before the channel is closed: from then on the
    /// number may be another socket's.
    case socket(NIOBSDSocket.Handle)

    /// - Returns: how many bytes the socket took. An error is found again by the channel, which knows what to do about it.
    static func send(_ bytes: UnsafeRawBufferPointer, to socket: NIOBSDSocket.Handle) -> Int {
        max(0, systemSend(socket, bytes))
    }
}

#if canImport(Darwin)
// The channel has set SO_NOSIGPIPE.
private let flags = MSG_DONTWAIT
#else
private let flags = Int32(MSG_DONTWAIT) | Int32(MSG_NOSIGNAL)
#endif

private func systemSend(_ socket: NIOBSDSocket.Handle, _ bytes: UnsafeRawBufferPointer) -> Int {
    send(socket, bytes.baseAddress, bytes.count, flags)
}

/// A transport that is the only writer of its channel.
package protocol SocketTransport: Transport {
    /// The connection must hear of changes, by ``Connection/updateLane()``.
    var output: SocketOutput { get set }
}

extension SocketTransport {
    /// Writes and flushes, in the order of the calls. On the channel's event loop.
    package func put(_ bytes: ByteBuffer, _ context: ChannelHandlerContext) {
        guard let socket = idleSocket else { return queue(bytes, context) }
        var rest = bytes
        rest.moveReaderIndex(forwardBy: bytes.withUnsafeReadableBytes { SocketOutput.send($0, to: socket) })
        if rest.readableBytes > 0 { queue(rest, context) }
    }

    package var idleSocket: NIOBSDSocket.Handle? { if case .socket(let socket) = output { socket } else { nil } }

    private func queue(_ bytes: ByteBuffer, _ context: ChannelHandlerContext) {
        switch output {
        case .channel: return context.writeAndFlush(NIOAny(bytes), promise: nil)
        case .waiting(let count): output = .waiting(count + 1)
        case .socket: output = .waiting(1)
        }
        let channel = context.channel
        context.writeAndFlush(NIOAny(bytes)).assumeIsolated().whenComplete { [self] result in
            guard case .waiting(let count) = output else { return }
            switch result {
            case .success: output = count > 1 ? .waiting(count - 1) : .direct(channel)
            // Before the channel tells that it is closed.
            case .failure: output = .channel
            }
        }
    }
}

extension SocketOutput {
    fileprivate static func direct(_ channel: any Channel) -> SocketOutput {
        let pipeline = channel.pipeline.syncOperations
        let socket = try? pipeline.withUnsafeTransportIfAvailable(of: NIOBSDSocket.Handle.self) { $0 }
        return socket.map { .socket($0) } ?? .channel
    }
}
