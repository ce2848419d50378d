// SignalBox: the endless page of the forever frame transport
// SPDX-License-Identifier: Apache-2.0

public import NIOCore

/// HTML for a hidden frame in the application's page, whose scripts hand everything on to the client there
/// (classic protocol reference, §8.3).
public enum ForeverFrame {
    /// The page up to its first message: looks the connection up, and tells it that the transport is there. Harmless without a client.
    /// - Parameter id: the client's number for the frame.
    public static func writeOpening(id: UInt32, into buffer: inout ByteBuffer) {
        buffer.writeString(
            """
            <!doctype html><html><head><meta charset="utf-8"><title>SignalR</title><script>\
            (function(){var q=window.parent&&window.parent.jQuery,t=q&&q.signalR&&q.signalR.transports.foreverFrame,\
            c=t&&t.getConnection("\(id)"),r=t&&t.receive;\
            window.f=function(d){if(c)r.call(t,c,d);};if(c)t.started(c);})();\
            </script></head><body>\r\n
            """)
    }

    /// Appends one script element with one frame.
    public static func write(_ frame: ByteBuffer, into buffer: inout ByteBuffer) {
        buffer.writeStaticString("<script>f(")
        self.writeEscaped(frame, into: &buffer)
        buffer.writeStaticString(");</script>\r\n")
    }

    /// The same JSON for a place inside of a script: no angle brackets, and none of the two characters that end lines in older scripts.
    public static func writeEscaped(_ json: ByteBuffer, into buffer: inout ByteBuffer) {
        let view = json.readableBytesView
        var position = view.startIndex
        while position < view.endIndex {
            let run = view[position...].firstIndex { $0 == 0x3C || $0 == 0x3E || $0 == 0xE2 } ?? view.endIndex
            buffer.writeBytes(view[position..<run])
            guard run < view.endIndex else { return }
            position = run + 1
            switch view[run] {
            case 0x3C: buffer.writeStaticString("\\u003c")
            case 0x3E: buffer.writeStaticString("\\u003e")
            default:
                let next = view[position...].prefix(2)
                if next.elementsEqual([0x80, 0xA8]) {
                    buffer.writeStaticString("\\u2028")
                } else if next.elementsEqual([0x80, 0xA9]) {
                    buffer.writeStaticString("\\u2029")
                } else {
                    buffer.writeInteger(UInt8(0xE2))
                    continue
                }
                position += 2
            }
        }
    }
}
