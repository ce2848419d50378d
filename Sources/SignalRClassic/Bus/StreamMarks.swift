// SignalBox: where the messages of a backplane's stream lie among those of one event loop
// SPDX-License-Identifier: Apache-2.0

import NIOCore
import SignalR
import SignalRWire

/// Translates between positions in a stream, which mean the same on every node, and numbers of one event loop, which mean something
/// only there. Both grow with each message, so that a translation is a search.
struct StreamMarks {
    private struct Mark {
        let position: UInt64
        let sequence: UInt64
    }

    /// As in the original, whose map from ids to places has the same bound per stream.
    private static let capacity = 65_535

    let stream: UInt32
    private var marks: CircularBuffer<Mark> = []
    /// What lies behind this is known, without exception.
    private var base: Mark

    init(_ stream: BackplaneStream, since sequence: UInt64) {
        self.stream = stream.id
        self.base = Mark(position: stream.position, sequence: sequence)
    }

    /// The last position that was delivered here.
    var last: UInt64 { self.marks.last?.position ?? self.base.position }

    mutating func append(_ position: UInt64, _ sequence: UInt64) {
        // One message to several connections.
        if let newest = self.marks.last, newest.position == position { return }
        if position <= self.last {
            // It was under way when this journal began, which is fine; or the stream began anew, and what was is of no use.
            self.marks.removeAll()
            self.base = Mark(position: position > 0 ? position - 1 : 0, sequence: sequence > 0 ? sequence - 1 : 0)
        }
        if self.marks.count == Self.capacity { self.base = self.marks.removeFirst() }
        self.marks.append(Mark(position: position, sequence: sequence))
    }

    /// The number up to which a client has everything that had everything up to `position`; nil when nobody knows any more.
    func sequence(at position: UInt64) -> UInt64? {
        guard position >= self.base.position else { return nil }
        return self.lastMark { $0.position <= position }.sequence
    }

    /// The other way around, for a client that has everything up to the number.
    func place(at sequence: UInt64) -> MessageCursor.Place {
        MessageCursor.Place(stream: self.stream, position: self.lastMark { $0.sequence <= sequence }.position)
    }

    private func lastMark(where isBefore: (Mark) -> Bool) -> Mark {
        var (low, high) = (0, self.marks.count)
        while low < high {
            let middle = (low + high) / 2
            let index = self.marks.index(self.marks.startIndex, offsetBy: middle)
            if isBefore(self.marks[index]) { low = middle + 1 } else { high = middle }
        }
        return low == 0 ? self.base : self.marks[self.marks.index(self.marks.startIndex, offsetBy: low - 1)]
    }
}
