// SignalBox: a factory of swift-metrics whose instruments can be read as Prometheus's text
// SPDX-License-Identifier: Apache-2.0

import CoreMetrics
import NIOConcurrencyHelpers
import SignalRService

/// Keeps every instrument that the libraries made. The number of series is bounded, whatever labels they think of.
final class PrometheusMetrics: MetricsFactory, Sendable {
    private struct Key: Hashable {
        let family: String
        let labels: [String]
    }

    private struct Family {
        let name: String
        let kind: PrometheusText.Kind
        let help: String
        var series: [Key: Instrument] = [:]
    }

    private struct State {
        var families: [String: Family] = [:]
        var seriesCount = 0
        var refused = 0
    }

    private let maximumSeries: Int
    private let state = NIOLockedValueBox(State())

    init(maximumSeries: Int = 10_000) { self.maximumSeries = maximumSeries }

    // MARK: Instruments

    private func instrument(
        _ label: String, _ dimensions: [(String, String)], _ kind: PrometheusText.Kind, suffix: String = ""
    ) -> Instrument {
        let base = PrometheusText.name(label)
        let name = base.hasSuffix(suffix) ? base : base + suffix
        let key = Key(family: name, labels: dimensions.flatMap { [$0.0, $0.1] })
        return state.withLockedValue { state in
            var family = state.families[name] ?? Family(name: name, kind: kind, help: Self.help(for: label))
            if let known = family.series[key] { return known }
            let made = Instrument(dimensions, buckets: kind == .histogram ? Self.buckets : [])
            // One of another kind, or one too many, works as ever and is not shown.
            guard family.kind == kind, state.seriesCount < maximumSeries else {
                state.refused += 1
                return made
            }
            state.seriesCount += 1
            family.series[key] = made
            state.families[name] = family
            return made
        }
    }

    func makeCounter(label: String, dimensions: [(String, String)]) -> any CounterHandler {
        instrument(label, dimensions, .counter, suffix: "_total")
    }

    func makeFloatingPointCounter(label: String, dimensions: [(String, String)]) -> any FloatingPointCounterHandler {
        instrument(label, dimensions, .counter, suffix: "_total")
    }

    func makeMeter(label: String, dimensions: [(String, String)]) -> any MeterHandler {
        instrument(label, dimensions, .gauge)
    }

    func makeRecorder(label: String, dimensions: [(String, String)], aggregate: Bool) -> any RecorderHandler {
        instrument(label, dimensions, aggregate ? .histogram : .gauge)
    }

    func makeTimer(label: String, dimensions: [(String, String)]) -> any TimerHandler {
        instrument(label, dimensions, .histogram, suffix: "_seconds")
    }

    func destroyCounter(_ handler: any CounterHandler) { destroy(handler) }
    func destroyFloatingPointCounter(_ handler: any FloatingPointCounterHandler) { destroy(handler) }
    func destroyMeter(_ handler: any MeterHandler) { destroy(handler) }
    func destroyRecorder(_ handler: any RecorderHandler) { destroy(handler) }
    func destroyTimer(_ handler: any TimerHandler) { destroy(handler) }

    private func destroy(_ handler: AnyObject) {
        state.withLockedValue { state in
            for (name, family) in state.families {
                guard let key = family.series.first(where: { $0.value === handler })?.key else { continue }
                state.families[name]?.series[key] = nil
                state.seriesCount -= 1
                return
            }
        }
    }

    // MARK: Text

    /// All instruments, by name.
    var text: String {
        let (families, refused) = state.withLockedValue { ($0.families, $0.refused) }
        var text = PrometheusText()
        for family in families.values.sorted(by: { $0.name < $1.name }) where !family.series.isEmpty {
            text.family(family.name, family.kind, family.help)
            for (_, instrument) in family.series.sorted(by: { $0.key.labels.lexicographicallyPrecedes($1.key.labels) })
            {
                instrument.write(family.name, into: &text)
            }
        }
        text.single(
            "signalbox_metrics_refused_series", .gauge, "Series that are not shown, since there are too many.",
            Double(refused))
        return text.text
    }

    /// In seconds; those that ASP.NET Core uses for the duration of connections.
    private static let buckets = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120, 300]

    private static func help(for label: String) -> String {
        switch label {
        case "signalr.server.connection.duration": "How long connections lasted."
        case "signalr.server.active_connections": "Connections that are there now, by transport."
        case "signalr.server.connections.closed": "Connections that ended, by reason."
        case "signalr.server.classic.gaps":
            "Clients of ASP.NET SignalR that came back too late for messages in between."
        default: label
        }
    }
}

/// One series, of any kind.
private final class Instrument: CounterHandler, FloatingPointCounterHandler, MeterHandler, RecorderHandler,
    TimerHandler
{
    private struct Value {
        var sum = 0.0
        /// Samples up to each bucket's bound that no smaller bucket has.
        var counts: [Int]
        /// Samples above all bounds.
        var rest = 0
    }

    private let labels: [(String, String)]
    private let buckets: [Double]
    private let value: NIOLockedValueBox<Value>

    init(_ labels: [(String, String)], buckets: [Double]) {
        self.labels = labels
        self.buckets = buckets
        self.value = NIOLockedValueBox(Value(counts: buckets.map { _ in 0 }))
    }

    func increment(by amount: Int64) { increment(by: Double(amount)) }
    func increment(by amount: Double) { value.withLockedValue { $0.sum += amount } }
    func decrement(by amount: Double) { increment(by: -amount) }
    func reset() { set(0.0) }
    func set(_ number: Int64) { set(Double(number)) }
    func set(_ number: Double) { value.withLockedValue { $0.sum = number } }
    func recordNanoseconds(_ duration: Int64) { record(Double(duration) / 1e9) }
    func record(_ number: Int64) { record(Double(number)) }

    func record(_ number: Double) {
        guard !buckets.isEmpty else { return set(number) }
        value.withLockedValue { value in
            value.sum += number
            if let index = buckets.firstIndex(where: { number <= $0 }) {
                value.counts[index] += 1
            } else {
                value.rest += 1
            }
        }
    }

    func write(_ name: String, into text: inout PrometheusText) {
        let value = value.withLockedValue { $0 }
        guard !buckets.isEmpty else { return text.sample(name, labels, value.sum) }
        var count = 0
        for (bound, samples) in zip(buckets, value.counts) {
            count += samples
            text.sample("\(name)_bucket", labels + [("le", PrometheusText.number(bound))], Double(count))
        }
        count += value.rest
        text.sample("\(name)_bucket", labels + [("le", "+Inf")], Double(count))
        text.sample("\(name)_sum", labels, value.sum)
        text.sample("\(name)_count", labels, Double(count))
    }
}
