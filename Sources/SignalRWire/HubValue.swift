// SignalBox: one decoded value, whichever hub protocol carried it
// SPDX-License-Identifier: Apache-2.0

/// One argument, item or result of a hub message, decoded.
///
/// JSON and MessagePack meet here. What only one of them can express is kept as that protocol reads it, and written
/// in the other by the rules of the reference's payload types: binary as base64, a timestamp as ISO 8601 text.
public enum HubValue: Sendable, Hashable {
    case null
    case bool(Bool)
    case int(Int64)
    /// Only for numbers above `Int64.max`; everything smaller is an `int`.
    case uint(UInt64)
    case float(Float)
    case double(Double)
    case string(String)
    case binary([UInt8])
    case array([HubValue])
    /// Members in the order of the wire; a key may be there twice.
    case map([Member])
    /// Time since 1970-01-01T00:00:00Z; `nanoseconds` is below 1,000,000,000.
    case timestamp(seconds: Int64, nanoseconds: UInt32)
    /// A MessagePack extension other than the timestamp (type -1). JSON cannot express it.
    case ext(type: Int8, data: [UInt8])

    public struct Member: Sendable, Hashable {
        public var key: String
        public var value: HubValue

        public init(key: String, value: HubValue) {
            self.key = key
            self.value = value
        }
    }

    /// The member of a map, the last one when the key is there twice; nil for other values and keys.
    public subscript(key: String) -> HubValue? {
        guard case .map(let members) = self else { return nil }
        return members.last { $0.key == key }?.value
    }
}

extension HubValue: ExpressibleByNilLiteral {
    public init(nilLiteral: ()) { self = .null }
}

extension HubValue: ExpressibleByBooleanLiteral {
    public init(booleanLiteral value: Bool) { self = .bool(value) }
}

extension HubValue: ExpressibleByIntegerLiteral {
    public init(integerLiteral value: Int64) { self = .int(value) }
}

extension HubValue: ExpressibleByFloatLiteral {
    public init(floatLiteral value: Double) { self = .double(value) }
}

extension HubValue: ExpressibleByStringLiteral {
    public init(stringLiteral value: String) { self = .string(value) }
}

extension HubValue: ExpressibleByArrayLiteral {
    public init(arrayLiteral elements: HubValue...) { self = .array(elements) }
}

extension HubValue: ExpressibleByDictionaryLiteral {
    public init(dictionaryLiteral elements: (String, HubValue)...) {
        self = .map(elements.map { Member(key: $0, value: $1) })
    }
}

extension HubValue {
    /// An `int` when the number fits, else a `uint`.
    init(unsigned number: UInt64) {
        self = Int64(exactly: number).map(HubValue.int) ?? .uint(number)
    }
}
