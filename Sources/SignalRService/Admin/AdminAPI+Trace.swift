// SignalBox: admin: the live trace over HTTP, a JSON object per line
// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import NIOCore
import SignalR
import SignalRWire

extension AdminAPI {
    /// Events as they happen, until the reader leaves. Silence is broken by an empty line now and then, so that both sides notice the
    /// other's end.
    func trace(_ request: HubRequest) throws(AdminError) -> HubResponse {
        var filter = WatchFilter()
        let question = try Question(request)
        (filter.hub, filter.user, filter.connection) = (question.hub, question.user, question.connection)
        filter.kinds = try WatchFilter.kinds(request.query("kinds")?.split(separator: ",").map(String.init) ?? [])
        filter.payloads = request.query("payloads")?.lowercased() == "true"
        guard let watch = observation.watches.begin(filter) else {
            throw AdminError(status: .serviceUnavailable, text: "As many follow the trace as may.")
        }
        let events = watch.makeAsyncIterator()
        var response = HubResponse(
            .ok, headers: [.contentType: "application/x-ndjson", .xAccelBuffering: "no"])
        if request.method == .head { return response }
        response.stream = { write in
            // Lets the head leave.
            try await write(ByteBuffer(string: "\n"))
            while let event = await events.next() {
                var line = event == .null ? ByteBuffer() : event.json
                line.writeStaticString("\n")
                try await write(line)
            }
        }
        return response
    }
}

extension WatchFilter {
    /// nil for an empty list.
    static func kinds(_ names: [String]) throws(AdminError) -> Set<ConnectionEventKind>? {
        guard !names.isEmpty else { return nil }
        var kinds: Set<ConnectionEventKind> = []
        for name in names {
            guard let kind = ConnectionEventKind(rawValue: name) else {
                let all = ConnectionEventKind.allCases.map(\.rawValue).joined(separator: ", ")
                throw .invalid("'\(ServiceEvent.cut(name, 40))' is no kind of event; there are \(all).")
            }
            kinds.insert(kind)
        }
        return kinds
    }

    /// As clients of the admin hub write it.
    init(_ value: HubValue) throws(AdminError) {
        self.init()
        guard case .map = value else {
            guard value == .null else { throw .invalid("The filter must be an object.") }
            return
        }
        self.hub = value["hub"]?.text
        self.user = value["user"]?.text
        self.connection = try Question.id(value["connection"]?.text, "connection")
        self.payloads = try AdminAPI.flag("payloads", in: value) ?? false
        switch value["kinds"] {
        case nil, .null: break
        case .array(let names): self.kinds = try Self.kinds(names.compactMap(\.text))
        default: throw .invalid("'kinds' must be an array.")
        }
    }
}
