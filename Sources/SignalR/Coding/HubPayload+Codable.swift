// SignalBox: any Encodable or Decodable type as the payload of a hub message
// SPDX-License-Identifier: Apache-2.0

public import SignalRWire

extension HubPayload {
    /// The payload that stands for `value` in every hub protocol.
    ///
    /// `Data` becomes binary, `Date` a timestamp, `UUID` its lower-case text, `URL` its text; other types become what
    /// their `Codable` code writes (core protocol reference, payload types).
    /// - Throws: `EncodingError` when `value` is nested deeper than 64 levels or out of the range that the protocols
    ///   can express, and whatever its own code throws.
    public init<T: Encodable>(encoding value: T) throws {
        if T.self == HubPayload.self, let payload = value as? HubPayload {
            self = payload
        } else {
            self = .value(try .encode(value, at: .root))
        }
    }

    /// The payload as a type; member names match exactly or else without regard to case.
    ///
    /// - Throws: `DecodingError` with the coding path when the payload is of another type; `HubProtocolError` when it
    ///   cannot be read at all.
    public func decode<T: Decodable>(_ type: T.Type) throws -> T {
        // The commonest types by identity, which takes half the time of looking up a conformance.
        if T.self == String.self, let text = self.string(), let value = text as? T { return value }
        if T.self == Int.self, let number = self.int64().flatMap(Int.init(exactly:)), let value = number as? T {
            return value
        }
        if T.self == Double.self, let number = self.double(), let value = number as? T { return value }
        if T.self == Bool.self, let flag = self.bool(), let value = flag as? T { return value }
        if let scalar = T.self as? any HubScalar.Type, let read = scalar.read(self), let value = read as? T {
            return value
        }
        return try self.value().decode(type, at: .root)
    }
}
