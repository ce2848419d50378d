// SignalBox: code around every call, connect and disconnect of a hub
// SPDX-License-Identifier: Apache-2.0

public import SignalRWire

/// One call as filters and policies see it.
public struct HubInvocation: Sendable {
    public let context: HubCallerContext
    /// The method's declared name.
    public let method: String
    /// The arguments as the client sent them. A filter that replaces them makes the call bind again.
    public var arguments: HubArguments

    /// The argument at `index`.
    /// - Throws: when there is none or it has another type.
    public func argument<T: Decodable>(_ index: Int, as type: T.Type = T.self) throws -> T {
        var reader = arguments.makeReader()
        for _ in 0..<index { _ = try reader.next() }
        return try reader.next().decode(type)
    }
}

/// Wraps hub calls and connection events. Runs after binding and authorization; may skip `next`, change arguments,
/// replace the reply or swallow an error.
public protocol HubFilter: Sendable {
    func invoke(_ invocation: HubInvocation, next: (HubInvocation) async throws -> HubReply) async throws -> HubReply
    func connected(_ context: HubCallerContext, next: (HubCallerContext) async throws -> Void) async throws
    func disconnected(
        _ context: HubCallerContext, reason: (any Error)?, next: (HubCallerContext, (any Error)?) async throws -> Void
    ) async throws
}

extension HubFilter {
    public func invoke(
        _ invocation: HubInvocation, next: (HubInvocation) async throws -> HubReply
    ) async throws -> HubReply { try await next(invocation) }

    public func connected(_ context: HubCallerContext, next: (HubCallerContext) async throws -> Void) async throws {
        try await next(context)
    }

    public func disconnected(
        _ context: HubCallerContext, reason: (any Error)?, next: (HubCallerContext, (any Error)?) async throws -> Void
    ) async throws { try await next(context, reason) }
}
