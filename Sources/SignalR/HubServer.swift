// SignalBox: one hub at work: its method table, its connections, and what runs a call
// SPDX-License-Identifier: Apache-2.0

public import Logging
public import NIOCore
package import SignalRWire
import Tracing

/// Serves one hub: finds methods, binds arguments, asks policies, runs filters and the method.
public final class HubServer: Sendable {
    package let registry: ConnectionRegistry
    package let results: ClientResults
    package let backplane: any Backplane
    package let options: HubOptions
    package let logger: Logger
    /// The hub's type, without what it is nested in.
    package let name: String
    private let methods: [String: HubMethod]
    /// One per method, by name.
    package let methodList: [HubMethod]
    private let onReconnected: @Sendable (HubCallerContext) async throws -> Void
    private let onConnected: @Sendable (HubCallerContext) async throws -> Void
    private let onDisconnected: @Sendable (HubCallerContext, (any Error)?) async throws -> Void
    /// What spans call the hub: its type with its module; nil when nobody records spans.
    let tracedName: String?
    /// Who takes calls of methods that do not exist; nil to refuse them.
    let callTaker: (any HubCallTaker)?
    /// What the caller of a method that does not exist is told.
    let unknownMethod: @Sendable (_ target: String) -> String

    /// - Throws: ``HubDefinitionError`` when two methods have the same name.
    public convenience init<H: Hub>(
        _ hub: H, options: HubOptions = HubOptions(), eventLoopGroup: any EventLoopGroup,
        logger: Logger = Logger(label: "SignalR")
    ) throws(HubDefinitionError) {
        try self.init(
            hub, options: options, eventLoopGroup: eventLoopGroup, logger: logger,
            makeBackplane: MemoryBackplane.init)
    }

    package init<H: Hub>(
        _ hub: H, options: HubOptions, eventLoopGroup: any EventLoopGroup, logger: Logger,
        callTaker: (any HubCallTaker)? = nil, unknownMethod: (@Sendable (_ target: String) -> String)? = nil,
        makeBackplane: (ConnectionRegistry, ClientResults) -> any Backplane = MemoryBackplane.init
    ) throws(HubDefinitionError) {
        self.callTaker = callTaker
        self.unknownMethod = unknownMethod ?? ErrorText.unknownMethod
        var methods: [String: HubMethod] = [:]
        for definition in H.methods {
            let method = HubMethod(definition, of: hub)
            guard methods.updateValue(method, forKey: definition.name.lowercased()) == nil else {
                throw HubDefinitionError("Duplicate definitions of '\(definition.name)'. Overloading is not supported.")
            }
            // The spelling that clients most likely use is found without making a lower-case copy.
            methods[definition.name] = method
        }
        self.methods = methods
        self.methodList = H.methods.compactMap { methods[$0.name] }.sorted { $0.name < $1.name }
        self.name = "\(H.self)"
        self.options = options
        self.logger = logger
        self.registry = ConnectionRegistry(
            group: eventLoopGroup, codecs: options.codecs + [ClassicHubCodec()], logger: logger,
            observer: options.observer)
        self.results = ClientResults()
        self.backplane = makeBackplane(registry, results)
        self.tracedName = InstrumentationSystem.tracer is NoOpTracer ? nil : typeName(H.self)
        let filters = options.filters
        self.onReconnected = { context in try await hub.onReconnected(context) }
        self.onConnected = { context in
            try await Self.connect(context, filters[...]) { try await hub.onConnected($0) }
        }
        self.onDisconnected = { context, reason in
            try await Self.disconnect(context, reason, filters[...]) { try await hub.onDisconnected($0, reason: $1) }
        }
    }

    /// The same hub, connections and all, under other options for connections to come. Codecs, policies and filters stay as they were.
    package init(_ other: HubServer, options: HubOptions) {
        var options = options
        options.codecs = other.options.codecs
        options.policies = other.options.policies
        options.filters = other.options.filters
        self.registry = other.registry
        self.results = other.results
        self.backplane = other.backplane
        self.options = options
        self.logger = other.logger
        self.name = other.name
        self.methods = other.methods
        self.methodList = other.methodList
        self.onReconnected = other.onReconnected
        self.onConnected = other.onConnected
        self.onDisconnected = other.onDisconnected
        self.tracedName = other.tracedName
        self.callTaker = other.callTaker
        self.unknownMethod = other.unknownMethod
    }

    /// What runs the hub for one connection.
    package func makeSession(_ connection: Connection) -> any ConnectionSession { HubSession(connection, server: self) }

    /// The hub for code outside of its methods.
    public var context: HubContext { HubContext(server: self) }

    package func method(named target: String) -> HubMethod? { methods[target] ?? methods[target.lowercased()] }

    // MARK: Calls

    /// Binds, authorizes and runs a call.
    nonisolated(nonsending) package func run(
        _ method: HubMethod, _ invocation: HubMessage.Invocation, uploads: [UploadStream], in context: HubCallerContext
    ) async -> CallOutcome {
        let call: HubMethod.Call
        do {
            var decoder = HubArgumentDecoder(reader: invocation.arguments.makeReader(), uploads: uploads[...])
            call = try method.bind(&decoder)
        } catch {
            return .failure(
                ErrorText.bindingFailed(invocation.target)
                    + (options.detailedErrors ? " \(ErrorText.argumentTypes)" : ""), error)
        }
        let details = HubInvocation(context: context, method: method.name, arguments: invocation.arguments)
        do {
            for policy in method.policies {
                guard let decide = options.policies[policy], try await decide(details) else {
                    return .failure(ErrorText.unauthorized(invocation.target), nil)
                }
            }
            let reply = try await traced(method, invocation, details, call, uploads)
            return .reply(reply)
        } catch {
            return .failure(
                ErrorText.methodThrew(invocation.target)
                    + ErrorText.detail(of: error, detailed: options.detailedErrors), error)
        }
    }

    nonisolated(nonsending) func filtered(
        _ method: HubMethod, _ details: HubInvocation, _ call: @escaping HubMethod.Call, _ uploads: [UploadStream]
    ) async throws -> HubReply {
        guard !options.filters.isEmpty else { return try await call(details.context) }
        return try await Self.invoke(details, options.filters[...]) { changed in
            guard changed.arguments != details.arguments else { return try await call(changed.context) }
            var decoder = HubArgumentDecoder(reader: changed.arguments.makeReader(), uploads: uploads[...])
            return try await method.bind(&decoder)(changed.context)
        }
    }

    private static func invoke(
        _ invocation: HubInvocation, _ filters: ArraySlice<any HubFilter>,
        _ body: (HubInvocation) async throws -> HubReply
    ) async throws -> HubReply {
        guard let filter = filters.first else { return try await body(invocation) }
        return try await filter.invoke(invocation) { try await invoke($0, filters.dropFirst(), body) }
    }

    // MARK: Lifetime

    package func connected(_ context: HubCallerContext) async throws {
        try await spanned("OnConnected") { try await onConnected(context) }
    }

    /// A client of ASP.NET SignalR came back on a new transport.
    package func reconnected(_ context: HubCallerContext) async throws {
        try await spanned("OnReconnected") { try await onReconnected(context) }
    }

    package func disconnected(_ context: HubCallerContext, _ reason: (any Error)?) async throws {
        try await spanned("OnDisconnected") { try await onDisconnected(context, reason) }
    }

    private static func connect(
        _ context: HubCallerContext, _ filters: ArraySlice<any HubFilter>,
        _ body: (HubCallerContext) async throws -> Void
    ) async throws {
        guard let filter = filters.first else { return try await body(context) }
        try await filter.connected(context) { try await connect($0, filters.dropFirst(), body) }
    }

    private static func disconnect(
        _ context: HubCallerContext, _ reason: (any Error)?, _ filters: ArraySlice<any HubFilter>,
        _ body: (HubCallerContext, (any Error)?) async throws -> Void
    ) async throws {
        guard let filter = filters.first else { return try await body(context, reason) }
        try await filter.disconnected(context, reason: reason) {
            try await disconnect($0, $1, filters.dropFirst(), body)
        }
    }

    // MARK: Client results

    func askClient(
        _ connectionID: String, method: String, arguments: [HubPayload], in scope: CallScope?
    ) async throws -> HubPayload {
        let invocation = HubMessage.Invocation(
            id: results.nextID(), target: method, arguments: .payloads(arguments))
        switch try await backplane.ask(connectionID, invocation, in: scope) {
        case .result(let payload): return payload
        case .failure(let message): throw HubError(message)
        case .void: return .value(.null)
        }
    }
}

/// A hub that cannot be served as it is written.
public struct HubDefinitionError: Error, Sendable, CustomStringConvertible {
    public let description: String
    package init(_ description: String) { self.description = description }
}

/// How a call ended: with a reply, or with the text that its caller sees and the error behind it.
package enum CallOutcome: Sendable {
    case reply(HubReply)
    case failure(String, (any Error)?)
}

/// A method of a particular hub value, without the hub's type.
package struct HubMethod: Sendable {
    typealias Call = nonisolated(nonsending) @Sendable (HubCallerContext) async throws -> HubReply
    package let name: String
    package let parameterCount: Int
    package let streamCount: Int
    package let isStreaming: Bool
    let policies: [String]
    let bind: @Sendable (inout HubArgumentDecoder) throws -> Call

    init<H: Hub>(_ definition: HubMethodDefinition<H>, of hub: H) {
        self.name = definition.name
        self.parameterCount = definition.parameterCount
        self.streamCount = definition.streamCount
        self.isStreaming = definition.kind == .stream
        self.policies = definition.policies
        self.bind = { decoder in
            let call = try definition.bind(&decoder)
            return { context in try await call(hub, context) }
        }
    }
}
