// SignalBox: the admin API: which endpoint a request asks for, and who may ask
// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import NIOCore
package import SignalR
import SignalRWire

/// Answers operators: what is connected, what happened, and what to do about it. Meant for a listener of its own.
///
/// Everything below `/api`, and `/metrics`, needs the admin key; `/live` and `/ready` do not.
package struct AdminAPI: Sendable {
    static let maximumBody = 1 << 20

    let service: SignalBoxService
    let observation: Observation
    let version: String
    private let key: AdminKey
    private let metrics: @Sendable () -> String
    /// The public URL, once it is known.
    let endpoint: @Sendable () -> String?

    /// - Parameters:
    ///   - endpoint: the URL of the public listener; nil while it is not known.
    ///   - metrics: further lines of `/metrics`, in Prometheus's text format.
    package init(
        _ service: SignalBoxService, _ observation: Observation, key: AdminKey, version: String,
        endpoint: @escaping @Sendable () -> String? = { nil }, metrics: @escaping @Sendable () -> String = { "" }
    ) {
        self.endpoint = endpoint
        self.service = service
        self.observation = observation
        self.key = key
        self.version = version
        self.metrics = metrics
    }

    package func respond(to request: HubRequest) async -> HubResponse {
        var response: HubResponse
        do throws(AdminError) {
            response = try await answer(request)
        } catch {
            response = error.response
        }
        if request.method == .head { response.body.clear() }
        response.headers[.xContentTypeOptions] = "nosniff"
        return response.uncached()
    }

    private func answer(_ request: HubRequest) async throws(AdminError) -> HubResponse {
        let path = request.path.split(separator: "/", omittingEmptySubsequences: true).map(String.init)
        switch path.first {
        case "live", "ready":
            guard path.count == 1 else { throw .unknownPath }
            return try service.health(isReadiness: path[0] == "ready", request.method)
        default: break
        }
        guard key.opens(request) else { throw .unauthorized }
        let isRead = request.method == .get || request.method == .head
        switch path.first {
        case "metrics" where path.count == 1:
            guard isRead else { throw .wrongMethod("GET") }
            return await metricsPage()
        case "api" where path.count >= 2:
            if let work = Self.writes[path[1]], path.count == 2 {
                guard request.method == .post else { throw .wrongMethod("POST") }
                return .json(.ok, try await work(self)(try await body(of: request)).json)
            }
            guard isRead else { throw .wrongMethod("GET") }
            if path[1] == "trace", path.count == 2 { return try trace(request) }
            return .json(.ok, try await read(Array(path.dropFirst()), Question(request)).json)
        default: throw .unknownPath
        }
    }

    private func read(_ path: [String], _ question: Question) async throws(AdminError) -> HubValue {
        switch (path[0], path.count) {
        case ("overview", 1): return await overview()
        case ("history", 1): return history()
        case ("hubs", 1): return try await hubs(question)
        case ("connections", 1): return try await connections(question)
        case ("connections", 2): return try await connection(path[1])
        case ("groups", 1): return try await groups(question)
        case ("users", 1): return try await users(question)
        case ("servers", 1): return try await servers(question)
        case ("upstream", 1): return try deliveries(question)
        case ("keys", 1): return keys()
        default: throw .unknownPath
        }
    }

    private static let writes: [String: @Sendable (AdminAPI) -> (HubValue) async throws(AdminError) -> HubValue] = [
        "disconnect": { api in { body async throws(AdminError) in try await api.disconnect(body) } },
        "send": { api in { body async throws(AdminError) in try await api.send(body) } },
        "token": { api in { body async throws(AdminError) in try api.token(body) } },
        "drain": { api in { body async throws(AdminError) in try await api.drain(body) } },
    ]

    private func body(of request: HubRequest) async throws(AdminError) -> HubValue {
        let bytes: ByteBuffer
        do {
            bytes = try await request.body(Self.maximumBody)
        } catch {
            throw .invalid("The body could not be read, or is larger than 1 MiB.")
        }
        if bytes.readableBytes == 0 { return .map([]) }
        guard let value = try? JSON.value(from: bytes), case .map = value else {
            throw .invalid("The body must be a JSON object.")
        }
        return value
    }

    /// The hubs of the service and of this process, by name.
    var allHubs: [ObservedHub] {
        (service.observedHubs + observation.hubsOfProcess).sorted { $0.name < $1.name }
    }

    /// The hub of that name; all without a name.
    func hubs(named name: String?) throws(AdminError) -> [ObservedHub] {
        guard let name else { return allHubs }
        let hubs = allHubs.filter { $0.name.lowercased() == name.lowercased() }
        guard !hubs.isEmpty else { throw .missing("There is no hub '\(name)'.") }
        return hubs
    }

    // MARK: Metrics

    private func metricsPage() async -> HubResponse {
        let text = await serviceMetrics() + metrics()
        return HubResponse(
            .ok, headers: [.contentType: "text/plain; version=0.0.4; charset=utf-8"], body: ByteBuffer(string: text))
    }
}

/// The query of a list.
struct Question: Sendable {
    let hub: String?
    let user: String?
    let group: String?
    let connection: ConnectionID?
    let after: String?
    let limit: Int

    private static let limits = 1...1_000

    init(_ request: HubRequest) throws(AdminError) {
        func value(_ name: String) -> String? { request.query(name).flatMap { $0.isEmpty ? nil : $0 } }
        self.hub = value("hub")
        self.user = value("user")
        self.group = value("group")
        self.after = value("after")
        self.connection = try Self.id(value("connection"), "connection")
        guard let text = value("limit") else {
            self.limit = 100
            return
        }
        guard let limit = Int(text), Self.limits.contains(limit) else {
            throw .invalid("'limit' must be a number from 1 to 1000.")
        }
        self.limit = limit
    }

    static func id(_ text: String?, _ name: String) throws(AdminError) -> ConnectionID? {
        guard let text else { return nil }
        guard let id = ConnectionID(text) else { throw .invalid("'\(name)' is no connection id.") }
        return id
    }

    /// One page of a list that is in the order of its keys, and the key to go on behind.
    func page<Element>(_ all: [Element], key: (Element) -> String) -> (page: ArraySlice<Element>, after: String?) {
        let rest = after.map { last in all.drop { key($0) <= last } } ?? all[...]
        let page = rest.prefix(limit)
        return (page, page.count < rest.count ? page.last.map(key) : nil)
    }
}
