// SignalBox: the metrics and spans that operators see
// SPDX-License-Identifier: Apache-2.0

import InMemoryTracing
import Metrics
import MetricsTestKit
import SignalR
import SignalRService
import SignalRWire
import Testing
import Tracing

/// The process has one of each, shared with every test that runs at the same time.
private enum Process {
    static let metrics: TestMetrics = {
        let metrics = TestMetrics()
        MetricsSystem.bootstrap(metrics)
        return metrics
    }()

    static let tracer: InMemoryTracer = {
        let tracer = InMemoryTracer()
        InstrumentationSystem.bootstrap(tracer)
        return tracer
    }()
}

@Suite struct ObservabilityTests {
    @Test(arguments: [
        (TransportKind.webSockets, "web_sockets"), (.serverSentEvents, "server_sent_events"),
        (.longPolling, "long_polling"),
    ])
    func `Connections are counted and timed by transport and end`(kind: TransportKind, name: String) async throws {
        let metrics = Process.metrics
        try await withServer { server in
            let client = try await server.client(Wire(transport: kind, hubProtocol: .json))
            let transport = ("signalr.transport", name)
            let active = try metrics.expectGauge("signalr.server.active_connections", [transport])
            #expect(active.values.contains { $0 >= 1 })
            let closed = [("signalr.close.reason", "client_closed")]
            let before = metrics.counterTotal(label: "signalr.server.connections.closed", dimensions: closed)
            try await client.send(.close())
            while try await client.next() != nil {}
            try await until {
                metrics.counterTotal(label: "signalr.server.connections.closed", dimensions: closed) > before
            }
            let duration = try metrics.expectTimer(
                "signalr.server.connection.duration", [("signalr.connection.status", "normal_closure"), transport])
            #expect(!duration.values.isEmpty)
        }
    }

    @Test func `Refusals are counted by reason`() async throws {
        let metrics = Process.metrics
        let reason = [("signalr.refusal.reason", "connections")]
        let before = metrics.counterTotal(label: "signalr.server.refused", dimensions: reason)
        try await withService {
            $0.limits.connections = 0
        } _: { world in
            let headers = [("Authorization", "Bearer \(world.token())")]
            let reply = try await world.server.request(
                "POST", "/client/negotiate?hub=chat", headers: headers, body: "")
            #expect(reply.status == 429)
        }
        #expect(metrics.counterTotal(label: "signalr.server.refused", dimensions: reason) > before)
    }

    @Test func `A call has a span, whose parent comes with the message`() async throws {
        let tracer = Process.tracer
        try await withServer { server in
            let client = try await server.client()
            let parent = [
                InMemoryTracer.traceIDKey: "trace-of-the-caller", InMemoryTracer.spanIDKey: "span-of-the-caller",
            ]
            for (target, arguments) in [("Echo", ["x"]), ("ThrowException", ["boom"])] as [(String, [HubValue])] {
                try await client.send(
                    .invocation(
                        .init(id: target, target: target, arguments: .values(arguments), headers: parent)))
                _ = try await client.next()
            }
            let spans = tracer.finishedSpans.filter { $0.traceID == "trace-of-the-caller" }
            #expect(
                spans.map(\.operationName).sorted() == [
                    "EndToEndTests.TestHub/Echo", "EndToEndTests.TestHub/ThrowException",
                ])
            for span in spans {
                #expect(span.kind == .server)
                #expect(span.parentSpanID == "span-of-the-caller")
                #expect(span.attributes["rpc.system"]?.toSpanAttribute() == .string("signalr"))
                #expect(span.attributes["rpc.service"]?.toSpanAttribute() == .string("EndToEndTests.TestHub"))
            }
            let failed = try #require(spans.first { $0.operationName.hasSuffix("Exception") })
            #expect(
                failed.attributes["error.type"]?.toSpanAttribute() == .string("EndToEndTests.InvalidOperationException")
            )
            #expect(failed.status?.code == .error)
            #expect(!failed.errors.isEmpty)
        }
    }

    @Test func `The span of a stream lasts until its end`() async throws {
        let tracer = Process.tracer
        try await withServer { server in
            let client = try await server.client()
            func parent(_ trace: String) -> HubHeaders {
                [InMemoryTracer.traceIDKey: trace, InMemoryTracer.spanIDKey: "span-of-\(trace)"]
            }
            func spans(_ trace: String) -> [FinishedInMemorySpan] {
                tracer.finishedSpans.filter { $0.traceID == trace }
            }
            try await client.send(
                .streamInvocation(
                    .init(id: "1", target: "InfiniteStream", arguments: .values([]), headers: parent("endless"))))
            try await server.bulletin.wait(for: "streaming")
            #expect(try await client.invoke("AddTwo", 1, 2, id: "2") == .result("2", 3))
            #expect(spans("endless").isEmpty)
            try await client.send(.cancel("1"))
            #expect(try await client.next() == .end("1"))
            #expect(spans("endless").map(\.operationName) == ["EndToEndTests.TestHub/InfiniteStream"])
            #expect(spans("endless").first?.status == nil)

            try await client.send(
                .streamInvocation(
                    .init(
                        id: "3", target: "FailingStream", arguments: .values([true]), headers: parent("failing"))))
            #expect(try await client.next() == .item("3", "a"))
            _ = try await client.next()
            let failed = try #require(spans("failing").first)
            #expect(failed.attributes["error.type"]?.toSpanAttribute() == .string("SignalR.HubError"))
            #expect(failed.status?.code == .error)
        }
    }
}
