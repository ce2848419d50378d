// SignalBox: who answers what clients of the service call
// SPDX-License-Identifier: Apache-2.0

/// How the service treats clients (service reference, "Modes").
public enum ServiceMode: String, Sendable, Hashable, CaseIterable {
    /// App servers answer: a client is routed to one for its life, and refused while none is there.
    case `default`
    /// The service serves clients itself and calls upstream; app servers may send, but own no clients.
    case serverless
    /// Decided for each client when it connects: routed where an app server is there, else served without upstream.
    case classic
}
