// SignalBox: what an endpoint answers: an HTTP response, or a channel to take over
// SPDX-License-Identifier: Apache-2.0

public import HTTPTypes
public import NIOCore

/// The answer to a ``HubRequest``.
public struct HubResponse: Sendable {
    public var status: HTTPResponse.Status
    public var headers: HTTPFields
    public var body: ByteBuffer
    /// Set for WebSockets and Server-Sent Events: after the head was sent, the host removes its handlers from the channel and calls
    /// this on the channel's event loop. No body follows, and the head must leave unchanged in meaning.
    package var takeOver: (@Sendable (HostChannel) throws -> Void)?

    package init(
        _ status: HTTPResponse.Status, headers: HTTPFields = [:], body: ByteBuffer = ByteBuffer(),
        takeOver: (@Sendable (HostChannel) throws -> Void)? = nil
    ) {
        self.status = status
        self.headers = headers
        self.body = body
        self.takeOver = takeOver
    }

    package static func text(_ status: HTTPResponse.Status, _ text: String = "") -> HubResponse {
        HubResponse(status, headers: [.contentType: "text/plain"], body: ByteBuffer(string: text))
    }

    package static func json(_ status: HTTPResponse.Status, _ body: ByteBuffer) -> HubResponse {
        HubResponse(status, headers: [.contentType: "application/json"], body: body)
    }

    /// Answers of the transports must not be cached (core protocol reference, status matrix).
    func uncached() -> HubResponse {
        var response = self
        response.headers[.cacheControl] = "no-cache, no-store"
        response.headers[.pragma] = "no-cache"
        response.headers[.expires] = "Thu, 01 Jan 1970 00:00:00 GMT"
        return response
    }
}

extension HTTPField.Name {
    // Header names that HTTPTypes does not define. The initializer fails for names that are no token only, which these are.
    static let pragma = Self("Pragma") ?? .cacheControl
    static let xAccelBuffering = Self("X-Accel-Buffering") ?? .cacheControl
}
