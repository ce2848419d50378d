// SignalBox: a hub value of any kind, as a parameter or result of a hub method and in other coders
// SPDX-License-Identifier: Apache-2.0

import NIOCore
public import SignalRWire

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

extension HubValue: Codable {
    public init(from decoder: any Decoder) throws {
        if let decoder = decoder as? HubValueDecoder {
            self = decoder.value
        } else if let members = try? decoder.container(keyedBy: HubMemberKey.self) {
            try Self.checkDepth(members.codingPath)
            self = .map(
                try members.allKeys.map {
                    .init(key: $0.stringValue, value: try members.decode(HubValue.self, forKey: $0))
                }
            )
        } else if var items = try? decoder.unkeyedContainer() {
            try Self.checkDepth(items.codingPath)
            var values: [HubValue] = []
            while !items.isAtEnd { values.append(try items.decode(HubValue.self)) }
            self = .array(values)
        } else {
            self = try HubValue(single: decoder.singleValueContainer())
        }
    }

    /// Other decoders allow more levels than a hub value can have.
    private static func checkDepth(_ path: [any CodingKey]) throws {
        guard path.count < CodingPath.maximumDepth else {
            throw DecodingError.dataCorrupted(.init(codingPath: path, debugDescription: Self.tooDeep))
        }
    }

    private init(single container: any SingleValueDecodingContainer) throws {
        if container.decodeNil() {
            self = .null
        } else if let flag = try? container.decode(Bool.self) {
            self = .bool(flag)
        } else if let number = try? container.decode(Int64.self) {
            self = .int(number)
        } else if let number = try? container.decode(UInt64.self) {
            self = .uint(number)
        } else if let number = try? container.decode(Double.self) {
            self = .double(number)
        } else {
            self = .string(try container.decode(String.self))
        }
    }

    /// Binary data and timestamps become what the JSON hub protocol makes of them.
    public func encode(to encoder: any Encoder) throws {
        if let encoder = encoder as? HubValueEncoder { return try encoder.encode(self) }
        switch self {
        case .map(let members):
            var container = encoder.container(keyedBy: HubMemberKey.self)
            for member in members { try container.encode(member.value, forKey: HubMemberKey(stringValue: member.key)) }
        case .array(let items):
            var container = encoder.unkeyedContainer()
            for item in items { try container.encode(item) }
        default:
            var container = encoder.singleValueContainer()
            try self.encode(into: &container)
        }
    }

    private func encode(into container: inout any SingleValueEncodingContainer) throws {
        switch self {
        case .bool(let flag): try container.encode(flag)
        case .int(let number): try container.encode(number)
        case .uint(let number): try container.encode(number)
        case .float(let number): try container.encode(number)
        case .double(let number): try container.encode(number)
        case .string(let text): try container.encode(text)
        case .binary, .timestamp, .ext: try container.encode(self.jsonText())
        case .null, .array, .map: try container.encodeNil()
        }
    }

    /// The text of a value that JSON has as a string.
    private func jsonText() throws -> String {
        var buffer = ByteBuffer()
        try JSON.write(self, into: &buffer)
        return try HubPayload.json(buffer).decode(String.self)
    }
}

/// A payload passes through a hub method unread when it is a parameter or a result.
extension HubPayload: Codable {
    public init(from decoder: any Decoder) throws { self = .value(try HubValue(from: decoder)) }
    public func encode(to encoder: any Encoder) throws { try self.value().encode(to: encoder) }
}

private struct HubMemberKey: CodingKey {
    let stringValue: String
    var intValue: Int? { nil }

    init(stringValue: String) { self.stringValue = stringValue }
    init?(intValue: Int) { nil }
}
