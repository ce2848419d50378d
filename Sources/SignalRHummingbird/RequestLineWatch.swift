// SignalBox: tells a request line that is too long from headers that are
// SPDX-License-Identifier: Apache-2.0

import NIOCore

/// Sees bytes before the HTTP decoder, which does not say where it found too many of them. Looks no further than the end of the first line.
final class RequestLineWatch: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer

    /// Whether the request line of the request in progress is there as a whole.
    private(set) var isPast = false

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        if !isPast { isPast = unwrapInboundIn(data).readableBytesView.contains(UInt8(ascii: "\n")) }
        context.fireChannelRead(data)
    }

    /// A request is there as a whole; what comes is the next one.
    func requestEnded() { isPast = false }
}
