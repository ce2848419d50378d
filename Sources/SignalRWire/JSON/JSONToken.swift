// SignalBox: strings and numbers of JSON as Swift values
// SPDX-License-Identifier: Apache-2.0

/// A string the scanner has passed, without its quotes. It must not outlive the scanned memory.
struct JSONString {
    let content: UnsafeRawBufferPointer
    let hasEscapes: Bool

    /// - Throws: `HubProtocolError` when an escaped surrogate has no partner.
    func text() throws(HubProtocolError) -> String {
        guard self.hasEscapes else { return String(decoding: self.content, as: UTF8.self) }
        var unescaped: [UInt8] = []
        unescaped.reserveCapacity(self.content.count)
        var position = 0
        while position < self.content.count {
            let run = self.content.endOfPlainText(from: position, stopsAtNonASCII: false)
            unescaped.append(contentsOf: self.content[position..<run])
            position = run
            if position < self.content.count { try self.unescape(at: &position, into: &unescaped) }
        }
        return String(decoding: unescaped, as: UTF8.self)
    }

    private func unescape(at position: inout Int, into unescaped: inout [UInt8]) throws(HubProtocolError) {
        let letter = self.content[position + 1]
        position += 2
        switch letter {
        case UInt8(ascii: "b"): unescaped.append(0x08)
        case UInt8(ascii: "f"): unescaped.append(0x0C)
        case UInt8(ascii: "n"): unescaped.append(0x0A)
        case UInt8(ascii: "r"): unescaped.append(0x0D)
        case UInt8(ascii: "t"): unescaped.append(0x09)
        case UInt8(ascii: "u"): unescaped.append(contentsOf: UTF8.encode(try self.scalar(at: &position)) ?? .init())
        default: unescaped.append(letter)
        }
    }

    /// The character that one or two `\u` escapes stand for; `position` is after the first `u`.
    private func scalar(at position: inout Int) throws(HubProtocolError) -> Unicode.Scalar {
        guard let first = self.content.hexadecimal(at: position) else { throw .json }
        position += 4
        if let scalar = Unicode.Scalar(first) { return scalar }
        // A high surrogate needs a low one in another escape right after it.
        guard UTF16.isLeadSurrogate(first), position + 1 < self.content.count,
            self.content[position] == UInt8(ascii: "\\"), self.content[position + 1] == UInt8(ascii: "u"),
            let second = self.content.hexadecimal(at: position + 2), UTF16.isTrailSurrogate(second)
        else { throw .json }
        position += 6
        return UTF16.decode(UTF16.EncodedScalar([first, second]))
    }
}

/// A number the scanner has passed. It must not outlive the scanned memory.
struct JSONNumber {
    let digits: UnsafeRawBufferPointer
    /// Whether there is neither a fraction nor an exponent.
    let isInteger: Bool

    /// The integer if it is written as one and fits 64 bits, else a double.
    ///
    /// - Throws: `HubProtocolError` when not even a double can hold it.
    func value() throws(HubProtocolError) -> HubValue {
        if let integer { return .int(integer) }
        if let magnitude, !self.isNegative { return .uint(magnitude) }
        guard let double = Double(String(decoding: self.digits, as: UTF8.self)), double.isFinite else {
            throw HubProtocolError("The JSON number is out of range.")
        }
        return .double(double)
    }

    var integer: Int64? {
        guard let magnitude else { return nil }
        guard self.isNegative else { return Int64(exactly: magnitude) }
        return magnitude <= Int64.min.magnitude ? Int64(truncatingIfNeeded: 0 &- magnitude) : nil
    }

    private var isNegative: Bool { self.digits.first == UInt8(ascii: "-") }

    private var magnitude: UInt64? {
        guard self.isInteger else { return nil }
        var number: UInt64 = 0
        for digit in self.digits[(self.isNegative ? 1 : 0)...] {
            let (product, productOverflows) = number.multipliedReportingOverflow(by: 10)
            let (sum, sumOverflows) = product.addingReportingOverflow(UInt64(digit &- UInt8(ascii: "0")))
            if productOverflows || sumOverflows { return nil }
            number = sum
        }
        return number
    }
}
