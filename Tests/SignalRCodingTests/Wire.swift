// SignalBox: the ways a payload can travel in these tests
// SPDX-License-Identifier: Apache-2.0

import NIOCore
import SignalR
import SignalRWire

/// How a payload gets from its encoder to its decoder.
enum Wire: CaseIterable {
    case memory, json, messagePack

    func carry(_ payload: HubPayload) throws -> HubPayload {
        var buffer = ByteBuffer()
        switch self {
        case .memory:
            return payload
        case .json:
            try JSON.write(payload.value(), into: &buffer)
            return .json(buffer)
        case .messagePack:
            try MessagePack.write(payload.value(), into: &buffer)
            return .messagePack(buffer)
        }
    }

    func roundTrip<T: Codable>(_ value: T) throws -> T {
        try self.carry(HubPayload(encoding: value)).decode(T.self)
    }
}

/// What `value` is encoded as.
func encoded<T: Encodable>(_ value: T) throws -> HubValue {
    try HubPayload(encoding: value).value()
}

func decoded<T: Decodable>(_ type: T.Type = T.self, _ value: HubValue) throws -> T {
    try HubPayload.value(value).decode(type)
}

func json(_ text: String) -> HubPayload {
    .json(ByteBuffer(string: text))
}

func map(_ members: (String, HubValue)...) -> HubValue {
    .map(members.map { .init(key: $0, value: $1) })
}
