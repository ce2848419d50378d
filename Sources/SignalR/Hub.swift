// SignalBox: what a hub is: a value whose methods clients call, and its lifetime hooks
// SPDX-License-Identifier: Apache-2.0

/// A set of methods that connected clients call by name.
///
/// Write a `struct`, `final class` or `actor` and attach ``Hub()``: every method that is not `private` becomes callable.
/// One value serves all calls of all connections, concurrently; state that belongs to a connection goes to
/// ``HubCallerContext/items``, state shared by all of them into an actor.
///
/// A method starts on its connection's event loop and leaves it at its first suspension: do not block in it.
public protocol Hub: Sendable {
    /// The methods that clients may call. ``Hub()`` generates it; writing it by hand is equally possible.
    static var methods: [HubMethodDefinition<Self>] { get }

    /// Runs once per connection, after the handshake and before its first message. Throwing refuses the connection:
    /// the client gets a Close message with the error and ``onDisconnected(_:reason:)`` is not called.
    func onConnected(_ context: HubCallerContext) async throws

    /// Runs when a client of ASP.NET SignalR 2.x came back on a new transport. Such clients come back to a server that was restarted, too,
    /// so it may run without ``onConnected(_:)`` before it. Clients of ASP.NET Core that resume do so unnoticed.
    func onReconnected(_ context: HubCallerContext) async throws

    /// Runs once for every connection whose ``onConnected(_:)`` succeeded. Groups still exist; sends to the caller are dropped.
    /// - Parameter reason: nil after a graceful end, otherwise what ended the connection.
    func onDisconnected(_ context: HubCallerContext, reason: (any Error)?) async throws
}

extension Hub {
    public func onConnected(_ context: HubCallerContext) async throws {}
    public func onReconnected(_ context: HubCallerContext) async throws {}
    public func onDisconnected(_ context: HubCallerContext, reason: (any Error)?) async throws {}
}

#if HubMacro
/// Makes a `struct`, `final class` or `actor` a ``Hub``: generates `methods` from its functions.
///
/// ```swift
/// @Hub struct Chat {
///     func send(user: String, message: String, _ context: HubCallerContext) async throws {
///         try await context.clients.all.send("receive", user, message)
///     }
///     func countdown(from n: Int) -> AsyncStream<Int> { … }
/// }
/// ```
///
/// - Every function in the type's body that is not `private`, `fileprivate` or `static` is callable, by its name
///   without regard to case. Functions in extensions are not.
/// - Parameters are `Decodable & Sendable`; clients send every one, so default values never apply. A parameter of type
///   ``HubCallerContext`` receives the caller; one of type ``HubStream`` (or `some AsyncSequence<T, any Error>`)
///   receives a stream that the client uploads; neither counts as an argument.
/// - The result is `Encodable & Sendable`. Returning `AsyncStream`, `AsyncThrowingStream`, another `Async…Sequence` or
///   `some AsyncSequence<T, any Error> & Sendable`, or an optional of them, makes it a streaming method.
/// - Functions on a global actor are called there if the actor's name ends in `Actor`; mark those on other global
///   actors `async`.
@attached(member, names: named(methods))
@attached(extension, conformances: Hub)
public macro Hub() = #externalMacro(module: "SignalRMacros", type: "HubMacro")

/// Renames a hub method, puts it behind an authorization policy, or says that it streams. On a method of a
/// ``HubClient()`` protocol it renames.
/// - Parameters:
///   - name: what clients call it, a string literal; default the function's name, which is not callable beside a new
///     one.
///   - policy: a policy of ``HubOptions/policies`` that must allow each call; repeat the attribute to require several.
///   - streaming: true when the result is an async sequence and its type, an alias perhaps, does not show it.
@attached(peer)
public macro HubMethod(_ name: String? = nil, policy: String? = nil, streaming: Bool = false) =
    #externalMacro(module: "SignalRMacros", type: "HubMethodMacro")

/// Generates `<Protocol>Proxy`, whose methods call the client: one without a result sends, one with a result invokes
/// and waits.
///
/// ```swift
/// @HubClient protocol ChatClient {
///     func receive(user: String, message: String) async throws
///     func ask(_ question: String) async throws -> Int
/// }
/// ```
///
/// Every method is `async throws`, its parameters are `Encodable & Sendable`, its result `Decodable & Sendable`. The
/// method's base name and the arguments in their order travel, labels do not.
@attached(peer, names: suffixed(Proxy))
public macro HubClient() = #externalMacro(module: "SignalRMacros", type: "HubClientMacro")
#endif
