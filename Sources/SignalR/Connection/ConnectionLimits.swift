// SignalBox: the limits of an endpoint that its connections need
// SPDX-License-Identifier: Apache-2.0

/// The limits of an endpoint that its connections need, once for all of them.
package final class ConnectionLimits: Sendable {
    package let maximumOutboundQueue: Int
    let transportMaximumBufferSize: Int
    let maximumWebSocketFrameSize: Int
    let webSocketCloseTimeout: Duration
    /// In seconds, like everything that the heartbeat watches.
    let sendTimeout: UInt32
    let disconnectTimeout: UInt32

    package init(_ options: HubOptions) {
        self.maximumOutboundQueue = options.maximumOutboundQueue
        self.transportMaximumBufferSize = max(1, options.transportMaximumBufferSize)
        self.maximumWebSocketFrameSize = options.maximumWebSocketFrameSize
        self.webSocketCloseTimeout = options.webSocketCloseTimeout
        self.sendTimeout = options.sendTimeout.wholeSeconds
        self.disconnectTimeout = options.disconnectTimeout.wholeSeconds
    }
}

extension Duration {
    /// Rounded up, at least one: the resolution of the heartbeat.
    package var wholeSeconds: UInt32 {
        let (seconds, rest) = components
        return UInt32(clamping: max(1, rest > 0 ? seconds + 1 : seconds))
    }
}
