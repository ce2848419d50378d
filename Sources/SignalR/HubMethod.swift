// SignalBox: one callable method of a hub: its name, how its arguments bind, what it answers
// SPDX-License-Identifier: Apache-2.0

package import SignalRWire

/// A method of a hub as the dispatcher sees it.
///
/// ```swift
/// static let methods: [HubMethodDefinition<Chat>] = [
///     HubMethodDefinition("add", parameters: 2) { arguments in
///         let a = try arguments.next(Int.self)
///         let b = try arguments.next(Int.self)
///         return { hub, context in try .value(hub.add(a, b)) }
///     }
/// ]
/// ```
public struct HubMethodDefinition<H: Hub>: Sendable {
    public enum Kind: Sendable {
        /// Answers once.
        case invocation
        /// Answers with a stream of items.
        case stream
    }

    /// A call whose arguments are bound. It goes on where its caller is, so that a method which does not suspend costs no look for an executor.
    public typealias Call = nonisolated(nonsending) @Sendable (H, HubCallerContext) async throws -> HubReply

    /// The name that clients use; compared without regard to case.
    public let name: String
    /// How many arguments a client must send, exactly.
    public let parameterCount: Int
    /// How many streams a client must upload, exactly.
    public let streamCount: Int
    public let kind: Kind
    /// Names of the policies in ``HubOptions/policies`` that must all allow a call.
    public let policies: [String]
    let bind: @Sendable (inout HubArgumentDecoder) throws -> Call

    /// - Parameter bind: takes the arguments in order and returns the call; what it throws is a binding failure, which the client
    ///   sees as an error of the call.
    public init(
        _ name: String,
        parameters: Int = 0,
        streams: Int = 0,
        kind: Kind = .invocation,
        policies: [String] = [],
        bind: @escaping @Sendable (inout HubArgumentDecoder) throws -> Call
    ) {
        self.name = name
        self.parameterCount = parameters
        self.streamCount = streams
        self.kind = kind
        self.policies = policies
        self.bind = bind
    }
}

/// Reads the arguments of a call one after another as the types that the method declares.
public struct HubArgumentDecoder {
    var reader: HubArgumentReader
    var uploads: ArraySlice<UploadStream>

    /// The next argument.
    /// - Throws: when it is missing or of another type.
    public mutating func next<T: Decodable>(_ type: T.Type = T.self) throws -> T {
        try reader.next().decode(type)
    }

    /// The next uploaded stream, in the order of the call's `streamIds` (core protocol, client-to-server streaming).
    public mutating func nextStream<T: Decodable & Sendable>(of type: T.Type = T.self) throws -> HubStream<T> {
        guard let upload = uploads.popFirst() else { throw HubProtocolError("A stream is missing.") }
        return HubStream(upload)
    }
}

/// What a hub method answers.
public struct HubReply: Sendable {
    package enum Content: Sendable {
        case value(HubPayload)
        case stream(StreamSource)
        case noStream
    }

    package let content: Content

    /// The answer of a method without a result; on the wire an explicit null, as .NET writes it.
    public static let void = HubReply(content: .value(.value(.null)))

    /// - Throws: `EncodingError` when `value` has no representation in the hub protocols.
    public static func value<T: Encodable>(_ value: T) throws -> HubReply {
        HubReply(content: .value(try HubPayload(encoding: value)))
    }

    /// Items leave as fast as the connection takes them; cancelling the stream cancels the task that iterates `items`.
    public static func stream<S: AsyncSequence & Sendable>(_ items: S) -> HubReply where S.Element: Encodable {
        HubReply(content: .stream(StreamSource(items)))
    }

    /// nil fails the call: a streaming method must return a stream.
    public static func stream<S: AsyncSequence & Sendable>(_ items: S?) -> HubReply where S.Element: Encodable {
        items.map { .stream($0) } ?? HubReply(content: .noStream)
    }
}

/// A sequence of items, type-erased to a loop that hands each encoded item to `yield` and waits for it.
package struct StreamSource: Sendable {
    package let forEach: @Sendable (_ yield: (HubPayload) async throws -> Void) async throws -> Void

    init(forEach: @escaping @Sendable (_ yield: (HubPayload) async throws -> Void) async throws -> Void) {
        self.forEach = forEach
    }

    init<S: AsyncSequence & Sendable>(_ items: S) where S.Element: Encodable {
        self.forEach = { yield in
            for try await item in items {
                try await yield(HubPayload(encoding: item))
            }
        }
    }
}
