// SignalBox: the JSON grammar
// SPDX-License-Identifier: Apache-2.0

/// Walks over one JSON text (RFC 8259) and checks every byte it passes.
///
/// All JSON reading goes through here. It must not outlive the memory it is given.
struct JSONScanner {
    /// How many arrays and objects may be inside each other, those around the payload included.
    static let maximumDepth = 64

    enum Kind {
        case object, array, string, number, `true`, `false`, null
    }

    let bytes: UnsafeRawBufferPointer
    private(set) var position = 0
    private var levelsLeft: Int

    init(_ bytes: UnsafeRawBufferPointer, maximumDepth: Int = Self.maximumDepth) {
        self.bytes = bytes
        self.levelsLeft = maximumDepth
    }

    /// What the next value is, by its first byte. White space before it is passed.
    mutating func kind() throws(HubProtocolError) -> Kind {
        switch try self.nextByte() {
        case UInt8(ascii: "{"): return .object
        case UInt8(ascii: "["): return .array
        case UInt8(ascii: "\""): return .string
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): return .number
        case UInt8(ascii: "t"): return .true
        case UInt8(ascii: "f"): return .false
        case UInt8(ascii: "n"): return .null
        default: throw .json
        }
    }

    /// Passes a value of any kind and returns where it is.
    @discardableResult
    mutating func value() throws(HubProtocolError) -> Range<Int> {
        let kind = try self.kind()
        let start = self.position
        switch kind {
        case .object: try self.object { scanner, _ throws(HubProtocolError) in try scanner.value() }
        case .array: try self.array { scanner throws(HubProtocolError) in try scanner.value() }
        case .string: try self.string()
        case .number: try self.number()
        case .true: try self.literal("true")
        case .false: try self.literal("false")
        case .null: try self.literal("null")
        }
        return start..<self.position
    }

    /// Passes the object that is next; `member` has to pass each value.
    mutating func object(
        _ member: (inout JSONScanner, JSONString) throws(HubProtocolError) -> Void
    ) throws(HubProtocolError) {
        try self.items(closedBy: UInt8(ascii: "}")) { scanner throws(HubProtocolError) in
            guard try scanner.kind() == .string else { throw .json }
            let key = try scanner.string()
            guard try scanner.nextByte() == UInt8(ascii: ":") else { throw .json }
            scanner.position += 1
            try member(&scanner, key)
        }
    }

    /// Passes the array that is next; `item` has to pass each value.
    mutating func array(
        _ item: (inout JSONScanner) throws(HubProtocolError) -> Void
    ) throws(HubProtocolError) {
        try self.items(closedBy: UInt8(ascii: "]"), item)
    }

    /// Passes `true`, `false` or `null`.
    mutating func literal(_ text: StaticString) throws(HubProtocolError) {
        let end = self.position + text.utf8CodeUnitCount
        guard end <= self.bytes.count else { throw .json }
        guard UnsafeRawBufferPointer(rebasing: self.bytes[self.position..<end]).equals(text) else { throw .json }
        self.position = end
    }

    /// Nothing but white space may follow.
    mutating func end() throws(HubProtocolError) {
        self.skipWhiteSpace()
        guard self.position == self.bytes.count else { throw .json }
    }

    /// Passes what comes after an item of an array whose opening bracket is not among the bytes.
    mutating func separatorOrClosingBracket() throws(HubProtocolError) {
        let byte = try self.nextByte()
        guard byte == UInt8(ascii: ",") || byte == UInt8(ascii: "]") else { throw .json }
        self.position += 1
    }

    private mutating func items(
        closedBy close: UInt8,
        _ item: (inout JSONScanner) throws(HubProtocolError) -> Void
    ) throws(HubProtocolError) {
        guard self.levelsLeft > 0 else { throw .json }
        self.levelsLeft -= 1
        self.position += 1
        if try self.nextByte() != close {
            while true {
                try item(&self)
                let byte = try self.nextByte()
                if byte == close { break }
                guard byte == UInt8(ascii: ",") else { throw .json }
                self.position += 1
            }
        }
        self.position += 1
        self.levelsLeft += 1
    }

    private mutating func nextByte() throws(HubProtocolError) -> UInt8 {
        self.skipWhiteSpace()
        guard self.position < self.bytes.count else { throw .json }
        return self.bytes[self.position]
    }

    private mutating func skipWhiteSpace() {
        while self.position < self.bytes.count {
            switch self.bytes[self.position] {
            case UInt8(ascii: " "), UInt8(ascii: "\n"), UInt8(ascii: "\r"), UInt8(ascii: "\t"): self.position += 1
            default: return
            }
        }
    }
}

// MARK: Numbers

extension JSONScanner {
    @discardableResult
    mutating func number() throws(HubProtocolError) -> JSONNumber {
        let start = self.position
        _ = self.passes(UInt8(ascii: "-"))
        if !self.passes(UInt8(ascii: "0")) { try self.digits() }
        var isInteger = true
        if self.passes(UInt8(ascii: ".")) {
            isInteger = false
            try self.digits()
        }
        if self.passes(UInt8(ascii: "e")) || self.passes(UInt8(ascii: "E")) {
            isInteger = false
            if !self.passes(UInt8(ascii: "+")) { _ = self.passes(UInt8(ascii: "-")) }
            try self.digits()
        }
        return JSONNumber(
            digits: UnsafeRawBufferPointer(rebasing: self.bytes[start..<self.position]),
            isInteger: isInteger
        )
    }

    private mutating func digits() throws(HubProtocolError) {
        let start = self.position
        while self.position < self.bytes.count, self.bytes[self.position].isASCIIDigit { self.position += 1 }
        guard self.position > start else { throw .json }
    }

    private mutating func passes(_ byte: UInt8) -> Bool {
        guard self.position < self.bytes.count, self.bytes[self.position] == byte else { return false }
        self.position += 1
        return true
    }
}

// MARK: Strings

extension JSONScanner {
    /// Passes the string that is next. Its bytes are valid UTF-8 afterwards; whether its escapes make sense as UTF-16
    /// shows when it is decoded.
    @discardableResult
    mutating func string() throws(HubProtocolError) -> JSONString {
        let start = self.position + 1
        var hasEscapes = false
        self.position = start
        while true {
            self.position = self.bytes.endOfPlainText(from: self.position, stopsAtNonASCII: true)
            guard self.position < self.bytes.count else { throw .json }
            switch self.bytes[self.position] {
            case UInt8(ascii: "\""):
                let content = UnsafeRawBufferPointer(rebasing: self.bytes[start..<self.position])
                self.position += 1
                return JSONString(content: content, hasEscapes: hasEscapes)
            case UInt8(ascii: "\\"):
                hasEscapes = true
                try self.escape()
            case 0x80...: try self.multiByteCharacter()
            default: throw .json
            }
        }
    }

    private mutating func escape() throws(HubProtocolError) {
        guard self.position + 1 < self.bytes.count else { throw .json }
        switch self.bytes[self.position + 1] {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"), UInt8(ascii: "b"), UInt8(ascii: "f"),
            UInt8(ascii: "n"), UInt8(ascii: "r"), UInt8(ascii: "t"):
            self.position += 2
        case UInt8(ascii: "u"):
            guard self.bytes.hexadecimal(at: self.position + 2) != nil else { throw .json }
            self.position += 6
        default: throw .json
        }
    }

    /// Passes one character of two to four bytes (The Unicode Standard, table 3-7).
    private mutating func multiByteCharacter() throws(HubProtocolError) {
        let lead = self.bytes[self.position]
        let length: Int
        var second: ClosedRange<UInt8> = 0x80...0xBF
        switch lead {
        case 0xC2...0xDF: length = 2
        case 0xE0...0xEF:
            length = 3
            if lead == 0xE0 { second = 0xA0...0xBF }
            if lead == 0xED { second = 0x80...0x9F }
        case 0xF0...0xF4:
            length = 4
            if lead == 0xF0 { second = 0x90...0xBF }
            if lead == 0xF4 { second = 0x80...0x8F }
        default: throw .json
        }
        guard self.position + length <= self.bytes.count else { throw .json }
        guard second.contains(self.bytes[self.position + 1]) else { throw .json }
        for index in 2..<max(2, length) {
            guard self.bytes[self.position + index] & 0xC0 == 0x80 else { throw .json }
        }
        self.position += length
    }
}

extension UInt8 {
    var isASCIIDigit: Bool { self >= UInt8(ascii: "0") && self <= UInt8(ascii: "9") }
}

extension UnsafeRawBufferPointer {
    func equals(_ text: StaticString) -> Bool {
        guard self.count == text.utf8CodeUnitCount else { return false }
        for index in 0..<self.count where self[index] != text.utf8Start[index] { return false }
        return true
    }

    /// The number that four hexadecimal digits at `index` stand for; nil when there are not four.
    func hexadecimal(at index: Int) -> UInt16? {
        guard index + 4 <= self.count else { return nil }
        var number: UInt16 = 0
        for byte in self[index..<index + 4] {
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): number = number << 4 | UInt16(byte - UInt8(ascii: "0"))
            case UInt8(ascii: "a")...UInt8(ascii: "f"): number = number << 4 | UInt16(byte - UInt8(ascii: "a") + 10)
            case UInt8(ascii: "A")...UInt8(ascii: "F"): number = number << 4 | UInt16(byte - UInt8(ascii: "A") + 10)
            default: return nil
            }
        }
        return number
    }
}
