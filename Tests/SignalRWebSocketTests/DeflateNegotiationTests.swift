// SignalBox: offers of permessage-deflate, RFC 7692 §7.1
// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import Testing
import _SignalRWebSocket

@Suite struct DeflateNegotiationTests {
    private func offer(_ value: String) -> PerMessageDeflate.Offer? {
        PerMessageDeflate.Offer([.secWebSocketExtensions: value])
    }

    @Test(arguments: [
        "permessage-deflate",
        "permessage-deflate; client_max_window_bits",
        "permessage-deflate;client_max_window_bits=8",
        "permessage-deflate; client_max_window_bits=\"10\"",
        "permessage-deflate; client_max_window_bits=\"1\\0\"",
        "permessage-deflate ; server_no_context_takeover ;\tclient_no_context_takeover",
        "permessage-bzip2, permessage-deflate",
        "x; a=\"b\"; c, , permessage-deflate",
        // The first offer is declined, the second taken.
        "permessage-deflate; server_max_window_bits=10, permessage-deflate",
        "permessage-deflate; unknown, permessage-deflate; client_max_window_bits",
    ])
    func taken(value: String) {
        let answer = offer(value).map(PerMessageDeflate.Parameters.init)
        #expect(answer?.headerValue == "permessage-deflate; server_no_context_takeover; client_no_context_takeover")
    }

    @Test func windowOfTheServerIsConfirmed() {
        let answer = offer("permessage-deflate; server_max_window_bits=15").map(PerMessageDeflate.Parameters.init)
        #expect(answer?.headerValue.hasSuffix("; server_max_window_bits=15") == true)
    }

    @Test(arguments: [
        "",
        "permessage-bzip2",
        "Permessage-Deflate",
        "permessage-deflate; unknown",
        "permessage-deflate; server_no_context_takeover; server_no_context_takeover",
        "permessage-deflate; client_max_window_bits; client_max_window_bits=10",
        "permessage-deflate; server_no_context_takeover=true",
        "permessage-deflate; client_no_context_takeover=1",
        "permessage-deflate; client_max_window_bits=7",
        "permessage-deflate; client_max_window_bits=16",
        "permessage-deflate; client_max_window_bits=08",
        "permessage-deflate; client_max_window_bits=+9",
        "permessage-deflate; client_max_window_bits=99999999999999999999",
        "permessage-deflate; server_max_window_bits",
        "permessage-deflate; server_max_window_bits=14",
        "permessage-deflate; server_max_window_bits=8",
    ])
    func declined(value: String) { #expect(offer(value) == nil) }

    @Test(arguments: [
        "permessage-deflate;", "permessage-deflate; =1", "permessage-deflate; client_max_window_bits=",
        "permessage-deflate; client_max_window_bits=\"10", "permessage-deflate; client_max_window_bits=\"\"",
        "permessage-deflate; client_max_window_bits=\"1 0\"", "permessage-deflate x", "permessage-deflate, ;", "é",
        "permessage-deflate; client_max_window_bits=\"10\\",
    ])
    func illFormed(value: String) { #expect(offer(value) == nil) }

    @Test func noHeader() { #expect(PerMessageDeflate.Offer([:]) == nil) }

    @Test func offersOverTwoFields() {
        var fields = HTTPFields()
        fields[values: .secWebSocketExtensions] = ["permessage-deflate; unknown", "permessage-deflate"]
        #expect(PerMessageDeflate.Offer(fields) != nil)
    }
}
