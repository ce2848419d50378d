// SignalBox: a span around one hop, where the program has a tracer
// SPDX-License-Identifier: Apache-2.0

import Tracing

extension TraceContext {
    /// Runs `work` with the context to send on: that of a new span where a tracer is bootstrapped, else `parent`, else one made for it.
    package static func hop<Result>(
        _ name: String, from parent: TraceContext?, isolation: isolated (any Actor)? = #isolation,
        _ work: (TraceContext) async throws -> Result
    ) async rethrows -> Result {
        guard !(InstrumentationSystem.tracer is NoOpTracer) else { return try await work(parent ?? made()) }
        var context = ServiceContext.topLevel
        InstrumentationSystem.instrument.extract(parent.carrier, into: &context, using: CarrierAccess())
        return try await withSpan(name, context: context, ofKind: .client) { span in
            try await work(current(span.context) ?? parent ?? made())
        }
    }

    /// The same for a hop that nobody waits for: the span ends at once.
    package static func handedOn(_ name: String, from parent: TraceContext?) -> TraceContext? {
        guard !(InstrumentationSystem.tracer is NoOpTracer) else { return parent }
        var context = ServiceContext.topLevel
        InstrumentationSystem.instrument.extract(parent.carrier, into: &context, using: CarrierAccess())
        let span = startSpan(name, context: context, ofKind: .producer)
        defer { span.end() }
        return current(span.context) ?? parent
    }

    private static func current(_ context: ServiceContext) -> TraceContext? {
        var carrier: [String: String] = [:]
        InstrumentationSystem.instrument.inject(context, into: &carrier, using: CarrierAccess())
        return TraceContext(carrier)
    }
}

extension TraceContext? {
    fileprivate var carrier: [String: String] {
        Dictionary((self?.headers ?? []).map { ($0.name, $0.value) }, uniquingKeysWith: { first, _ in first })
    }
}

private struct CarrierAccess: Extractor, Injector {
    func extract(key: String, from carrier: [String: String]) -> String? { carrier[key] }
    func inject(_ value: String, forKey key: String, into carrier: inout [String: String]) {
        carrier[key.lowercased()] = value
    }
}
