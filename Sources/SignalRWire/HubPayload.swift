// SignalBox: one value of a hub message, still or already in bytes
// SPDX-License-Identifier: Apache-2.0

public import NIOCore

/// One argument, item or result as it came from the wire or as it will go there.
///
/// Bytes of the receiver's own protocol are passed on untouched; for the other protocol they are decoded and encoded.
public enum HubPayload: Sendable, Hashable {
    case value(HubValue)
    /// Exactly one JSON value without white space around it.
    case json(ByteBuffer)
    /// Exactly one MessagePack value. Empty stands for a value that the peer promised and did not send properly; it
    /// cannot be read or written.
    case messagePack(ByteBuffer)

    /// The decoded value.
    ///
    /// - Throws: `HubProtocolError` when the bytes are not one value of their protocol, are nested deeper than 64
    ///   levels, or contain text that is not Unicode.
    public func value() throws(HubProtocolError) -> HubValue {
        switch self {
        case .value(let value): value
        case .json(let text): try JSON.value(from: text)
        case .messagePack(let bytes): try MessagePack.value(from: bytes)
        }
    }
}

/// Ways around `HubValue` for the commonest types; nil means "of another type", and then `value()` has the answer.
extension HubPayload {
    public func string() -> String? {
        switch self {
        case .value(.string(let text)): text
        case .value: nil
        case .json(let text): JSON.scan(text) { scanner throws(HubProtocolError) in try scanner.stringValue() }
        case .messagePack(let bytes): MessagePack.read(bytes) { reader in reader.string() }
        }
    }

    /// The number when it is written as an integer and fits.
    public func int64() -> Int64? {
        switch self {
        case .value(.int(let number)): number
        case .value: nil
        case .json(let text): JSON.scan(text) { scanner throws(HubProtocolError) in try scanner.integerValue() }
        case .messagePack(let bytes): MessagePack.read(bytes) { reader in reader.integer() }
        }
    }

    /// Any finite number, also one that is written as an integer; the nearest double when it has more digits.
    public func double() -> Double? {
        switch self {
        case .value(let value): value.number
        case .json(let text): JSON.scan(text) { scanner throws(HubProtocolError) in try scanner.numberValue() }?.number
        case .messagePack(let bytes): MessagePack.read(bytes) { reader in reader.number() }?.number
        }
    }

    public func bool() -> Bool? {
        switch self {
        case .value(.bool(let flag)): flag
        case .value: nil
        case .json(let text): JSON.scan(text) { scanner throws(HubProtocolError) in try scanner.boolValue() }
        case .messagePack(let bytes): MessagePack.read(bytes) { reader in reader.bool() }
        }
    }

    public var isNull: Bool {
        switch self {
        case .value(let value): value == .null
        case .json(let text): text.readableBytesView.elementsEqual("null".utf8)
        case .messagePack(let bytes): bytes.readableBytesView.elementsEqual(CollectionOfOne(MessagePack.Format.nil))
        }
    }
}

extension HubValue {
    fileprivate var number: Double? {
        switch self {
        case .int(let number): Double(number)
        case .uint(let number): Double(number)
        case .float(let number): Double(number)
        case .double(let number): number
        default: nil
        }
    }
}
