// SignalBox: Foundation's values as hub values
// SPDX-License-Identifier: Apache-2.0

import SignalRWire

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

extension Data: HubScalar {
    /// JSON has no bytes, so a base64 string is read too: here the declared type tells that bytes are meant.
    init(hubValue value: HubValue) throws {
        switch value {
        case .binary(let bytes): self.init(bytes)
        case .string(let text):
            guard let data = Data(base64Encoded: text) else { throw HubMismatch.value("The string is not base64.") }
            self = data
        default: throw HubMismatch.type
        }
    }

    func hubValue() -> HubValue { .binary([UInt8](self)) }
}

extension UUID: HubScalar {
    init(hubValue value: HubValue) throws {
        guard let uuid = UUID(uuidString: try String(hubValue: value)) else {
            throw HubMismatch.value("The string is not a UUID.")
        }
        self = uuid
    }

    /// Lower case, as .NET writes a Guid.
    func hubValue() -> HubValue { .string(self.uuidString.lowercased()) }
}

extension URL: HubScalar {
    init(hubValue value: HubValue) throws {
        guard let url = URL(string: try String(hubValue: value)) else {
            throw HubMismatch.value("The string is not a URL.")
        }
        self = url
    }

    func hubValue() -> HubValue { .string(self.absoluteString) }
}

extension Decimal: HubScalar {
    /// By the shortest text of a floating-point number: 0.1 is meant, not the binary fraction next to it.
    init(hubValue value: HubValue) throws {
        let text: String
        switch value {
        case .int(let number):
            self = Decimal(number)
            return
        case .uint(let number):
            self = Decimal(number)
            return
        case .double(let number): text = number.description
        case .float(let number): text = number.description
        case .string(let string): text = string
        default: throw HubMismatch.type
        }
        guard let decimal = Decimal(number: text) else { throw HubMismatch.value("It is not a decimal number.") }
        self = decimal
    }

    /// .NET reads a decimal from a number in JSON and from a string in MessagePack; a hub value does not know where it
    /// goes. So it is a number when a double's shortest text names exactly this decimal, else the digits as a string,
    /// lest they are lost.
    func hubValue() throws -> HubValue {
        guard self.isFinite else { throw HubMismatch.value("It is not a number.") }
        let text = self.description
        if let number = Double(text), Decimal(number: number.description) == self { return .double(number) }
        return .string(text)
    }

    /// `Decimal(string:)` stops silently at the first character it does not understand.
    private init?(number text: String) {
        let isNumber =
            text.utf8.first != UInt8(ascii: "+") && text.utf8.count <= 64 && Double(text)?.isFinite == true
            && text.utf8.allSatisfy { (0x30...0x39).contains($0) || "+-.eE".utf8.contains($0) }
        guard isNumber, let decimal = Decimal(string: text), decimal.isFinite else { return nil }
        self = decimal
    }
}
