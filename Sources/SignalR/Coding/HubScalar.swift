// SignalBox: the types that are one value on the wire, in a form of their own
// SPDX-License-Identifier: Apache-2.0

import SignalRWire

/// A type that the hub protocols write as one value, whatever its own `Codable` code would do (core protocol reference,
/// payload types).
protocol HubScalar: Codable {
    /// - Throws: `HubMismatch` when `value` is of another type or outside the range of this one.
    init(hubValue value: HubValue) throws
    /// - Throws: `HubMismatch` when the hub protocols cannot express the value.
    func hubValue() throws -> HubValue
    /// Reads straight from the bytes; nil when that is not possible, then the payload's value decides.
    static func read(_ payload: HubPayload) -> Self?
}

extension HubScalar {
    static func read(_ payload: HubPayload) -> Self? { nil }
}

/// Why a scalar does not fit; becomes a `DecodingError` or an `EncodingError` where the coding path is known.
enum HubMismatch: Error {
    case type
    /// - Parameter shown: what an `EncodingError` shows instead of the value, if that is not fit to be printed.
    case value(String, shown: (any Sendable)? = nil)

    func decodingError(_ type: any Any.Type, _ value: HubValue, at path: CodingPath) -> DecodingError {
        switch self {
        case .value(let reason, _): .dataCorrupted(.init(codingPath: path.keys, debugDescription: reason))
        case .type: .mismatch("\(type)", type, value, at: path)
        }
    }

    func encodingError(_ value: Any, at path: CodingPath) -> EncodingError {
        func error(_ value: Any, _ reason: String) -> EncodingError {
            .invalidValue(value, .init(codingPath: path.keys, debugDescription: reason))
        }
        return switch self {
        case .value(let reason, let shown?): error(shown, reason)
        case .value(let reason, nil): error(value, reason)
        case .type: error(value, "The hub protocols cannot express it.")
        }
    }
}

extension DecodingError {
    static func mismatch(
        _ expected: String,
        _ type: any Any.Type,
        _ value: HubValue,
        at path: CodingPath
    ) -> DecodingError {
        let context = Context(codingPath: path.keys, debugDescription: "Expected \(expected), found \(value.kind).")
        return if case .null = value { .valueNotFound(type, context) } else { .typeMismatch(type, context) }
    }

    static func tooDeep(at path: CodingPath) -> DecodingError {
        .dataCorrupted(.init(codingPath: path.keys, debugDescription: HubValue.tooDeep))
    }
}

extension HubValue {
    static let tooDeep = "The value is nested deeper than \(CodingPath.maximumDepth) levels."

    /// What the value is, for error texts.
    var kind: String {
        switch self {
        case .null: "null"
        case .bool: "a boolean"
        case .int, .uint: "an integer"
        case .float, .double: "a floating-point number"
        case .string: "a string"
        case .binary: "binary data"
        case .array: "an array"
        case .map: "an object"
        case .timestamp: "a timestamp"
        case .ext: "a MessagePack extension"
        }
    }
}

extension String: HubScalar {
    init(hubValue value: HubValue) throws {
        guard case .string(let text) = value else { throw HubMismatch.type }
        self = text
    }

    func hubValue() -> HubValue { .string(self) }
    static func read(_ payload: HubPayload) -> String? { payload.string() }
}

extension Bool: HubScalar {
    init(hubValue value: HubValue) throws {
        guard case .bool(let flag) = value else { throw HubMismatch.type }
        self = flag
    }

    func hubValue() -> HubValue { .bool(self) }
    static func read(_ payload: HubPayload) -> Bool? { payload.bool() }
}

extension Optional: HubScalar where Wrapped: HubScalar {
    init(hubValue value: HubValue) throws {
        if case .null = value { self = nil } else { self = try Wrapped(hubValue: value) }
    }

    func hubValue() throws -> HubValue { try self?.hubValue() ?? .null }

    static func read(_ payload: HubPayload) -> Wrapped?? {
        payload.isNull ? .some(nil) : Wrapped.read(payload).map(Optional.some)
    }
}

/// Bytes are an array of numbers unless `Data` says otherwise, but MessagePack peers send binary data here too.
extension [UInt8]: HubScalar {
    init(hubValue value: HubValue) throws {
        switch value {
        case .binary(let bytes): self = bytes
        case .array(let items): self = try items.map(Self.byte)
        default: throw HubMismatch.type
        }
    }

    private static func byte(_ value: HubValue) throws -> UInt8 {
        guard case .int(let number) = value, let byte = UInt8(exactly: number) else {
            throw HubMismatch.value("An item of the array is not a byte.")
        }
        return byte
    }

    func hubValue() -> HubValue { .array(self.map { .int(Int64($0)) }) }
}

extension HubValue: HubScalar {
    init(hubValue value: HubValue) { self = value }
    func hubValue() -> HubValue { self }
}

extension HubPayload: HubScalar {
    init(hubValue value: HubValue) { self = .value(value) }
    func hubValue() throws -> HubValue { try self.value() }
    static func read(_ payload: HubPayload) -> HubPayload? { payload }
}
