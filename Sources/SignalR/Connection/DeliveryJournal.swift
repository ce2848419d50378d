// SignalBox: the seam to clients that resume by a cursor: messages get numbers, and are kept for those that come back
// SPDX-License-Identifier: Apache-2.0

package import NIOCore
package import SignalRWire

/// Sees every delivery of one event loop before its receivers do. Used on that event loop only.
package protocol DeliveryJournal: AnyObject {
    /// Keeps the message, and gives what to deliver in its place; nil when no client that resumes is concerned.
    func record(_ message: Outgoing, to target: HubTarget, except: Exclusion) -> Outgoing?
}

/// A message that has a number on one event loop.
package protocol NumberedMessage: AnyObject, Sendable {
    var original: Outgoing { get }
    /// The bytes with the number for formats that carry it, those of ``original`` for all others; nil when there are none.
    func encode(_ format: Format, _ codecs: [any HubCodec]) -> ByteBuffer?
}
