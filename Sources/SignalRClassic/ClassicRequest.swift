// SignalBox: a request of a classic client: its action, and parameters from the query or a form
// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import NIOCore
import SignalR
import SignalRWire

/// What a path asks for, by its end: clients put all kinds of things between the mount point and it
/// (classic protocol reference, §2).
enum ClassicAction: Sendable {
    case negotiate, connect, reconnect, poll, start, send, abort, ping
    case script(HubScript.Flavour)
    /// Any other path is a receive request of the oldest clients.
    case other

    init(path: String) {
        let path = path.lowercased()
        let actions: [(String, ClassicAction)] = [
            ("/negotiate", .negotiate), ("/connect", .connect), ("/reconnect", .reconnect), ("/poll", .poll),
            ("/start", .start), ("/send", .send), ("/abort", .abort), ("/ping", .ping),
        ]
        if let found = actions.first(where: { path.hasSuffix($0.0) }) {
            self = found.1
        } else if let flavour = HubScript.Flavour(path: path) {
            self = .script(flavour)
        } else {
            self = .other
        }
    }
}

/// A request with its form, if it has one. The form's content type is not looked at, since clients forget it.
struct ClassicRequest: Sendable {
    let http: HubRequest
    private let form: String

    init(_ http: HubRequest) {
        self.http = http
        self.form = ""
    }

    private init(_ http: HubRequest, form: String) {
        self.http = http
        self.form = form
    }

    /// The same with its body.
    /// - Throws: when it is longer than `limit`, or the client goes away.
    func reading(atMost limit: Int) async throws -> ClassicRequest {
        guard self.http.method != .get else { return self }
        return ClassicRequest(self.http, form: String(buffer: try await self.http.body(limit)))
    }

    /// A parameter of the query, else of the form.
    subscript(name: String) -> String? { self.http.query(name) ?? Query.value(of: name, in: self.form) }

    /// The same, nil when it is empty.
    func text(_ name: String) -> String? { self[name].flatMap { $0.isEmpty ? nil : $0 } }

    var version: ClassicVersion { ClassicVersion(clientProtocol: self.http.query("clientProtocol")) }
}
