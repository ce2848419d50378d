// SignalBox: how far a classic client has come, as the client carries it
// SPDX-License-Identifier: Apache-2.0

public import NIOCore

/// A place in the stream of messages of one event loop of one process, and in the streams that the process shares with others:
/// everything up to it has reached the client.
///
/// Written `d-<process>-<loop>,<number>`, like the cursors of the original's default bus (classic protocol reference, §17), and
/// `~<stream>,<position>` behind it for each shared stream; needs no escaping in JSON. Opaque to clients, and not secret: a cursor gives
/// access to nothing.
public struct MessageCursor: Sendable, Hashable {
    /// How far the client has come in what nodes share.
    public struct Place: Sendable, Hashable {
        /// Random per stream.
        public var stream: UInt32
        public var position: UInt64

        public init(stream: UInt32, position: UInt64) {
            self.stream = stream
            self.position = position
        }

        /// The place as it stands in a cursor.
        public var text: String { "~\(MessageCursor.hex(self.stream)),\(MessageCursor.hex(self.position))" }
    }

    /// Random per process: numbers of another process mean nothing here.
    public var process: UInt32
    public var loop: Int
    public var sequence: UInt64
    /// These mean the same on all nodes of a backplane; none without one.
    public var places: [Place]

    public init(process: UInt32, loop: Int, sequence: UInt64, places: [Place] = []) {
        self.process = process
        self.loop = loop
        self.sequence = sequence
        self.places = places
    }

    /// Places of one cursor: no connection has more hubs.
    private static let maximumPlaces = 64
    private static let letters = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789".utf8)

    private static func hex(_ number: some BinaryInteger) -> String { String(number, radix: 16, uppercase: true) }

    /// All of the text but the number, which is the same for every message of an event loop.
    public static func prefix(process: UInt32, loop: Int) -> String {
        var key: [UInt8] = []
        var rest = loop
        repeat {
            key.append(self.letters[rest % self.letters.count])
            rest /= self.letters.count
        } while rest > 0
        return "d-\(self.hex(process))-\(String(decoding: key.reversed(), as: UTF8.self)),"
    }

    public func write(into buffer: inout ByteBuffer) {
        buffer.writeString(Self.prefix(process: self.process, loop: self.loop))
        buffer.writeString(Self.hex(self.sequence))
        for place in self.places { buffer.writeString(place.text) }
    }

    /// Reads what a client hands back.
    ///
    /// - Parameter process: The number of this process.
    /// - Returns: nil for no cursor, for one of another kind of bus, and for one of another process that shared nothing.
    /// - Throws: `HubProtocolError` for a cursor that begins like one of this process and is none.
    public static func read(_ text: String, process: UInt32) throws(HubProtocolError) -> MessageCursor? {
        let isOwn = text.hasPrefix("d-\(self.hex(process))-")
        guard let cursor = self.read(text.utf8) else {
            if isOwn { throw HubProtocolError("The message id is malformed.") }
            return nil
        }
        return isOwn || !cursor.places.isEmpty ? cursor : nil
    }

    private static func read(_ text: String.UTF8View) -> MessageCursor? {
        let names = text.split(separator: UInt8(ascii: "-"), omittingEmptySubsequences: false)
        guard names.count == 3, names[0].elementsEqual("d".utf8), let process = self.word(names[1]) else { return nil }
        let parts = names[2].split(separator: UInt8(ascii: "~"), omittingEmptySubsequences: false)
        guard parts.count <= self.maximumPlaces + 1, let (key, digits) = self.pair(parts[0]),
            let loop = self.loop(key), let sequence = self.number(digits)
        else { return nil }
        var cursor = MessageCursor(process: process, loop: loop, sequence: sequence)
        for part in parts.dropFirst() {
            guard let (stream, digits) = self.pair(part), let stream = self.word(stream),
                let position = self.number(digits)
            else { return nil }
            cursor.places.append(Place(stream: stream, position: position))
        }
        return cursor
    }

    private static func pair(_ text: Substring.UTF8View) -> (Substring.UTF8View, Substring.UTF8View)? {
        let parts = text.split(separator: UInt8(ascii: ","), omittingEmptySubsequences: false)
        return parts.count == 2 ? (parts[0], parts[1]) : nil
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

    /// A number that is written in the one way in which it would be written here.
    private static func word(_ digits: Substring.UTF8View) -> UInt32? {
        guard let number = self.number(digits), let word = UInt32(exactly: number),
            self.hex(word).utf8.elementsEqual(digits)
        else { return nil }
        return word
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
