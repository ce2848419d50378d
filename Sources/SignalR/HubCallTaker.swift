// SignalBox: who takes the calls that are none of a hub's methods
// SPDX-License-Identifier: Apache-2.0

package import SignalRWire

/// Takes the calls that no method of a hub takes, and answers them with whatever it sends to the caller's connection.
package protocol HubCallTaker: Sendable {
    /// A call, in the order of the caller and on its event loop. Must not block.
    /// - Returns: false to get no further message of this caller until ``HubCallerContext/takeMore()`` is called, later or from
    ///   another thread.
    func take(_ invocation: HubMessage.Invocation, asStream: Bool, from caller: HubCallerContext) -> Bool
}
