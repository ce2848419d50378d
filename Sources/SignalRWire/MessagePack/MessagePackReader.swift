// SignalBox: the MessagePack grammar
// SPDX-License-Identifier: Apache-2.0

/// Walks over MessagePack values and checks every length against the bytes that are there.
///
/// All MessagePack reading goes through here. The typed functions return nil when the next value is of another type or
/// not complete; the position is then undefined. It must not outlive the memory it is given.
struct MessagePackReader {
    /// How many arrays and maps may be inside each other, those around the payload included.
    static let maximumDepth = 64

    /// The head of a value. The content of a string, binary or extension follows it, as do the items of an array and
    /// the keys and values of a map.
    enum Head {
        case null
        case bool(Bool)
        case int(Int64)
        case uint(UInt64)
        case float(Float)
        case double(Double)
        case string(length: Int)
        case binary(length: Int)
        case array(count: Int)
        case map(count: Int)
        case ext(type: Int8, length: Int)
    }

    private let bytes: UnsafeRawBufferPointer
    private(set) var position = 0

    init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

    var isAtEnd: Bool { self.position == self.bytes.count }

    private var remaining: Int { self.bytes.count - self.position }

    /// Passes the head of the next value. Whatever length it declares is there; an item is at least one byte.
    mutating func head() -> Head? {
        guard let format = self.integer(UInt8.self) else { return nil }
        switch format {
        case 0x00...0x7F: return .int(Int64(format))
        case 0x80...0x8F: return self.map(Int(format & 0x0F))
        case 0x90...0x9F: return self.array(Int(format & 0x0F))
        case 0xA0...0xBF: return self.string(Int(format & 0x1F))
        case MessagePack.Format.nil: return .null
        case 0xC2: return .bool(false)
        case 0xC3: return .bool(true)
        case 0xC4...0xC6: return self.length(width: format - 0xC4).flatMap(self.binary)
        case 0xC7...0xC9: return self.length(width: format - 0xC7).flatMap { self.ext($0) }
        case 0xCA: return self.integer(UInt32.self).map { .float(Float(bitPattern: $0)) }
        case 0xCB: return self.integer(UInt64.self).map { .double(Double(bitPattern: $0)) }
        case 0xCC...0xCE: return self.length(width: format - 0xCC).map { .int(Int64($0)) }
        case 0xCF:
            return self.integer(UInt64.self).map { number in Int64(exactly: number).map { .int($0) } ?? .uint(number) }
        case 0xD0: return self.integer(Int8.self).map { .int(Int64($0)) }
        case 0xD1: return self.integer(Int16.self).map { .int(Int64($0)) }
        case 0xD2: return self.integer(Int32.self).map { .int(Int64($0)) }
        case 0xD3: return self.integer(Int64.self).map { .int($0) }
        case 0xD4...0xD8: return self.ext(1 << Int(format - 0xD4))
        case 0xD9...0xDB: return self.length(width: format - 0xD9).flatMap(self.string)
        case 0xDC...0xDD: return self.length(width: format - 0xDC + 1).flatMap(self.array)
        case 0xDE...0xDF: return self.length(width: format - 0xDE + 1).flatMap(self.map)
        case 0xE0...0xFF: return .int(Int64(Int8(bitPattern: format)))
        default: return nil
        }
    }

    /// The next `length` bytes, which a head has promised.
    mutating func content(_ length: Int) -> UnsafeRawBufferPointer {
        let start = self.position
        self.position += length
        return UnsafeRawBufferPointer(rebasing: self.bytes[start..<self.position])
    }

    private func string(_ length: Int) -> Head? { length <= self.remaining ? .string(length: length) : nil }
    private func binary(_ length: Int) -> Head? { length <= self.remaining ? .binary(length: length) : nil }
    private func array(_ count: Int) -> Head? { count <= self.remaining ? .array(count: count) : nil }
    private func map(_ count: Int) -> Head? { count <= self.remaining / 2 ? .map(count: count) : nil }

    private mutating func ext(_ length: Int) -> Head? {
        guard let type = self.integer(Int8.self), length <= self.remaining else { return nil }
        return .ext(type: type, length: length)
    }

    /// An unsigned number of one, two or four bytes.
    private mutating func length(width: UInt8) -> Int? {
        switch width {
        case 0: self.integer(UInt8.self).map { Int($0) }
        case 1: self.integer(UInt16.self).map { Int($0) }
        default: self.integer(UInt32.self).map { Int($0) }
        }
    }

    private mutating func integer<Number: FixedWidthInteger & BitwiseCopyable>(_ type: Number.Type) -> Number? {
        guard self.remaining >= MemoryLayout<Number>.size else { return nil }
        defer { self.position += MemoryLayout<Number>.size }
        return Number(bigEndian: self.bytes.loadUnaligned(fromByteOffset: self.position, as: Number.self))
    }
}

// MARK: Typed values

extension MessagePackReader {
    /// Passes a nil if that is next.
    mutating func passesNil() -> Bool {
        guard self.position < self.bytes.count, self.bytes[self.position] == MessagePack.Format.nil else {
            return false
        }
        self.position += 1
        return true
    }

    /// nil also for text that is not UTF-8.
    mutating func string() -> String? {
        guard case .string(let length)? = self.head() else { return nil }
        return String(validating: self.content(length), as: UTF8.self)
    }

    mutating func integer() -> Int64? {
        guard case .int(let number)? = self.head() else { return nil }
        return number
    }

    mutating func number() -> HubValue? {
        switch self.head() {
        case .int(let number): .int(number)
        case .uint(let number): .uint(number)
        case .float(let number): .float(number)
        case .double(let number): .double(number)
        default: nil
        }
    }

    mutating func bool() -> Bool? {
        guard case .bool(let flag)? = self.head() else { return nil }
        return flag
    }

    mutating func arrayCount() -> Int? {
        guard case .array(let count)? = self.head() else { return nil }
        return count
    }

    mutating func mapCount() -> Int? {
        guard case .map(let count)? = self.head() else { return nil }
        return count
    }

    /// Passes one value of any kind; false when it is not well-formed or nested deeper than `levelsLeft`.
    mutating func skip(levelsLeft: Int = Self.maximumDepth) -> Bool {
        switch self.head() {
        case nil: return false
        case .string(let length), .binary(let length), .ext(_, let length): self.position += length
        case .array(let count): return self.skip(count, levelsLeft: levelsLeft)
        case .map(let count): return self.skip(count * 2, levelsLeft: levelsLeft)
        case .null, .bool, .int, .uint, .float, .double: break
        }
        return true
    }

    private mutating func skip(_ count: Int, levelsLeft: Int) -> Bool {
        guard levelsLeft > 0 else { return false }
        for _ in 0..<count where !self.skip(levelsLeft: levelsLeft - 1) { return false }
        return true
    }
}
