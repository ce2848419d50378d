// SignalBox: which trace contexts go on, and in which form
// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import Testing

@testable import SignalR

@Suite struct TraceContextTests {
    private static let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

    @Test(arguments: [parent, "01" + parent.dropFirst(2), "01" + parent.dropFirst(2) + "-more"])
    func validOnesGoOnAsTheyCame(_ text: String) throws {
        let context = try #require(TraceContext(parent: text, state: "a=1,b=2"))
        #expect(context.parent == text)
        #expect(context.headers.map(\.value) == [text, "a=1,b=2"])
    }

    @Test(arguments: [
        "", "00", parent + "-more", parent + "0", String(parent.dropLast()), parent.uppercased(),
        "ff" + parent.dropFirst(2),
        "00-00000000000000000000000000000000-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
        "00_0af7651916cd43dd8448eb211c80319c_b7ad6b7169203331_01", "0g" + parent.dropFirst(2),
        "01" + parent.dropFirst(2) + String(repeating: "x", count: 300), String(repeating: "é", count: 55),
    ])
    func othersCountAsNone(_ text: String) { #expect(TraceContext(parent: text) == nil) }

    @Test(arguments: ["", String(repeating: "a", count: 513), "a=\u{7}"])
    func wrongStatesAreLeftOut(_ state: String) throws {
        let context = try #require(TraceContext(parent: Self.parent, state: state))
        #expect(context.state == nil)
        #expect(context.headers.count == 1)
    }

    @Test func aStateAloneIsNothing() {
        #expect(TraceContext(["tracestate": "a=1"]) == nil)
        #expect(TraceContext([:] as [String: String]) == nil)
    }

    @Test func namesOfMessageHeadersHaveAnyCase() {
        #expect(TraceContext(["TraceParent": Self.parent])?.parent == Self.parent)
    }

    @Test func madeOnesAreValidAndDiffer() {
        let made = (0..<100).map { _ in TraceContext.made().parent }
        #expect(Set(made).count == 100)
        for text in made { #expect(TraceContext(parent: text) != nil) }
    }

    @Test func aConnectionTakesItsNegotiationsTraceIfItHasNone() throws {
        let trace = try #require(TraceContext(parent: Self.parent, state: "a=1"))
        func features(_ headers: HTTPFields) -> HTTPFields {
            RequestFeatures(HubRequest(method: .get, path: "/", headers: headers), trace: trace).headers
        }
        #expect(TraceContext(features([:])) == trace)
        var own: HTTPFields = [:]
        let other = Self.parent.replacing("0af7", with: "1111")
        try own[#require(HTTPField.Name("traceparent"))] = other
        #expect(TraceContext(features(own))?.parent == other)
    }
}

@Suite struct CloseReasonMeaningTests {
    private static let all: [CloseReason] = [
        .clientClosed, .transportEnded, .transportFailed("x"), .aborted, .kicked(nil), .shutdown,
        .authenticationExpired,
        .clientTimeout, .idle, .slowConsumerBytes, .slowConsumerTime, .handshakeFailed("x"), .serverLost,
        .serverClosed(nil), .serverSilent, .protocolError("x", detailed: false), .writeFailed("x"),
        .refused(HubError("x"), detailed: false), .rateLimited, .inboundQueueFull, .moved, .serviceClosed(nil),
        .serviceLost("x"), .clientClosed(because: "x"),
    ]

    @Test(arguments: all) func everyReasonIsExplained(_ reason: CloseReason) {
        #expect(CloseReason.meanings[reason.name]?.hasSuffix(".") == true)
    }
}
