// SignalBox: numbers as hub values, checked for their range
// SPDX-License-Identifier: Apache-2.0

import SignalRWire

extension HubScalar where Self: FixedWidthInteger {
    /// A floating-point number is not an integer, not even `5.0`: .NET refuses it too.
    init(hubValue value: HubValue) throws {
        let exact: Self? =
            switch value {
            case .int(let number): Self(exactly: number)
            case .uint(let number): Self(exactly: number)
            default: throw HubMismatch.type
            }
        guard let exact else { throw HubMismatch.value("The number does not fit \(Self.self).") }
        self = exact
    }

    func hubValue() throws -> HubValue {
        if let number = Int64(exactly: self) { return .int(number) }
        if let number = UInt64(exactly: self) { return .uint(number) }
        throw HubMismatch.value("The number does not fit 64 bits.")
    }

    static func read(_ payload: HubPayload) -> Self? { payload.int64().flatMap(Self.init(exactly:)) }
}

extension Int: HubScalar {}
extension Int8: HubScalar {}
extension Int16: HubScalar {}
extension Int32: HubScalar {}
extension Int64: HubScalar {}
extension Int128: HubScalar {}
extension UInt: HubScalar {}
extension UInt8: HubScalar {}
extension UInt16: HubScalar {}
extension UInt32: HubScalar {}
extension UInt64: HubScalar {}
extension UInt128: HubScalar {}

extension Double: HubScalar {
    init(hubValue value: HubValue) throws {
        switch value {
        case .double(let number): self = number
        case .float(let number): self = Double(number)
        case .int(let number): self = Double(number)
        case .uint(let number): self = Double(number)
        default: throw HubMismatch.type
        }
    }

    func hubValue() -> HubValue { .double(self) }
    static func read(_ payload: HubPayload) -> Double? { payload.double() }
}

extension Float: HubScalar {
    init(hubValue value: HubValue) throws {
        switch value {
        case .float(let number): self = number
        case .double(let number):
            self = Float(number)
            if self.isInfinite, number.isFinite { throw HubMismatch.value("The number does not fit Float.") }
        case .int(let number): self = Float(number)
        case .uint(let number): self = Float(number)
        default: throw HubMismatch.type
        }
    }

    func hubValue() -> HubValue { .float(self) }
}
