// SignalBox: how far a classic client has come, as the client carries it
// SPDX-License-Identifier: Apache-2.0

public import NIOCore

/// A place in the stream of messages of one event loop of one process: everything up to it has reached the client.
///
/// Written `d-<process>-<loop>,<number>`, like the cursors of the original's default bus (classic protocol reference, §17); needs no
/// escaping in JSON. Opaque to clients, and not secret: a cursor gives access to nothing.
public struct MessageCursor: Sendable, Hashable {
    /// Random per process: numbers of another process mean nothing here.
    public var process: UInt32
    public var loop: Int
    public var sequence: UInt64

    public init(process: UInt32, loop: Int, sequence: UInt64) {
        self.process = process
        self.loop = loop
        self.sequence = sequence
    }

    private static let letters = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789".utf8)

    /// All of the text but the number, which is the same for every message of an event loop.
    public static func prefix(process: UInt32, loop: Int) -> String {
        var key: [UInt8] = []
        var rest = loop
        repeat {
            key.append(self.letters[rest % self.letters.count])
            rest /= self.letters.count
        } while rest > 0
        return "d-\(String(process, radix: 16, uppercase: true))-\(String(decoding: key.reversed(), as: UTF8.self)),"
    }

    public func write(into buffer: inout ByteBuffer) {
        buffer.writeString(Self.prefix(process: self.process, loop: self.loop))
        buffer.writeString(String(self.sequence, radix: 16, uppercase: true))
    }

    /// Reads what a client hands back.
    ///
    /// - Parameter process: The number of this process.
    /// - Returns: nil for no cursor, and for one of another process or another kind of bus.
    /// - Throws: `HubProtocolError` for a cursor that begins like one of this process and is none.
    public static func read(_ text: String, process: UInt32) throws(HubProtocolError) -> MessageCursor? {
        let prefix = "d-\(String(process, radix: 16, uppercase: true))-"
        guard text.hasPrefix(prefix) else { return nil }
        let parts = text.utf8.dropFirst(prefix.utf8.count)
            .split(separator: UInt8(ascii: ","), omittingEmptySubsequences: false)
        guard parts.count == 2, let loop = self.loop(parts[0]), let sequence = self.number(parts[1]) else {
            throw HubProtocolError("The message id is malformed.")
        }
        return MessageCursor(process: process, loop: loop, sequence: sequence)
    }

    private static func loop(_ key: Substring.UTF8View) -> Int? {
        guard (1...4).contains(key.count) else { return nil }
        var loop = 0
        for letter in key {
            guard let digit = self.letters.firstIndex(of: letter) else { return nil }
            loop = loop * self.letters.count + digit
        }
        return loop
    }

    /// Upper-case hexadecimal digits and nothing else.
    private static func number(_ digits: Substring.UTF8View) -> UInt64? {
        guard (1...16).contains(digits.count) else { return nil }
        var number: UInt64 = 0
        for digit in digits {
            switch digit {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): number = number << 4 | UInt64(digit - UInt8(ascii: "0"))
            case UInt8(ascii: "A")...UInt8(ascii: "F"): number = number << 4 | UInt64(digit - UInt8(ascii: "A") + 10)
            default: return nil
            }
        }
        return number
    }
}
