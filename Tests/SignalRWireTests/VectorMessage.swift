// SignalBox: hub messages as the test vectors describe them
// SPDX-License-Identifier: Apache-2.0

import NIOCore
import SignalRWire

extension HubMessage {
    /// The message with these members, by their JSON names.
    init?(vector: HubValue) {
        let id = vector["invocationId"]?.text
        let headers = Dictionary(
            uniqueKeysWithValues: (vector["headers"]?.members ?? []).map { ($0.key, $0.value.text ?? "") }
        )
        switch vector["type"]?.number {
        case 1: self = .invocation(Invocation(id: id, vector, headers))
        case 2: self = .streamItem(.init(id: id ?? "", item: .value(.init(vector["item"])), headers: headers))
        case 3: self = .completion(.init(id: id ?? "", outcome: .init(vector), headers: headers))
        case 4: self = .streamInvocation(Invocation(id: id, vector, headers))
        case 5: self = .cancelInvocation(.init(id: id ?? "", headers: headers))
        case 6: self = .ping
        case 7:
            self = .close(.init(error: vector["error"]?.text, allowReconnect: vector["allowReconnect"] == .bool(true)))
        case 8: self = .ack(Int64(vector["sequenceId"]?.number ?? 0))
        case 9: self = .sequence(Int64(vector["sequenceId"]?.number ?? 0))
        default: return nil
        }
    }

    /// The messages of a vector that has one or several.
    static func all(in vector: HubValue) -> [HubMessage] {
        (vector.items.isEmpty ? [vector] : vector.items).compactMap(HubMessage.init(vector:))
    }

    /// The same message with its payloads decoded, to compare messages whatever carried them.
    func decoded() throws -> HubMessage {
        switch self {
        case .invocation(var invocation):
            try invocation.decode()
            return .invocation(invocation)
        case .streamInvocation(var invocation):
            try invocation.decode()
            return .streamInvocation(invocation)
        case .streamItem(var item):
            item.item = .value(try item.item.value())
            return .streamItem(item)
        case .completion(var completion):
            if case .result(let result) = completion.outcome {
                completion.outcome = .result(.value(try result.value()))
            }
            return .completion(completion)
        default: return self
        }
    }
}

extension HubMessage {
    /// What an invocation of either kind asks for.
    var invocation: Invocation? {
        switch self {
        case .invocation(let invocation), .streamInvocation(let invocation): invocation
        default: nil
        }
    }

    var streamItem: StreamItem? { if case .streamItem(let item) = self { item } else { nil } }
    var completion: Completion? { if case .completion(let completion) = self { completion } else { nil } }
}

extension HubArguments {
    var isUnreadable: Bool { if case .unreadable = self { true } else { false } }
}

extension HubMessage.Invocation {
    fileprivate init(id: String?, _ vector: HubValue, _ headers: HubHeaders) {
        self.init(
            id: id,
            target: vector["target"]?.text ?? "",
            arguments: .values((vector["arguments"]?.items ?? []).map(HubValue.init)),
            streamIDs: (vector["streamIds"]?.items ?? []).compactMap(\.text),
            headers: headers
        )
    }

    fileprivate mutating func decode() throws {
        self.arguments = .values(try self.arguments.decoded())
    }
}

extension HubArguments {
    func decoded() throws -> [HubValue] {
        var reader = self.makeReader()
        var values: [HubValue] = []
        while reader.remaining > 0 { values.append(try reader.next().value()) }
        return values
    }
}

extension HubMessage.Completion.Outcome {
    fileprivate init(_ vector: HubValue) {
        if let error = vector["error"]?.text {
            self = .failure(error)
        } else if let result = vector["result"] {
            self = .result(.value(.init(result)))
        } else {
            self = .void
        }
    }
}

extension HubValue {
    /// Plain JSON, and objects with one `$` member for what JSON lacks.
    init(_ vector: HubValue?) {
        switch vector {
        case nil: self = .null
        case .array(let items)?: self = .array(items.map(HubValue.init))
        case .map(let members)?:
            self = HubValue(special: members) ?? .map(members.map { .init(key: $0.key, value: .init($0.value)) })
        case let plain?: self = plain
        }
    }

    private init?(special members: [Member]) {
        guard members.count == 1, let member = members.first else { return nil }
        switch member.key {
        case "$bin": self = .binary(Array(ByteBuffer(hex: member.value.text ?? "").readableBytesView))
        case "$f32": self = .float(Float(member.value.double ?? 0))
        case "$f64": self = .double(member.value.double ?? 0)
        case "$ts":
            self = .timestamp(
                seconds: Int64(member.value["seconds"]?.number ?? 0),
                nanoseconds: UInt32(member.value["nanoseconds"]?.number ?? 0)
            )
        default: return nil
        }
    }

    private var double: Double? { HubPayload.value(self).double() }
}
