// SignalBox: tables, the notes of running services, metrics and JSON logs
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import CoreMetrics
import Foundation
import Logging
import NIOConcurrencyHelpers
import NIOCore
import SignalRWire
import Testing

@testable import SignalBoxCommands

@Suite struct TableTests {
    private let table = Table(columns: [.init("NAME", "name"), .init("COUNT", "count", isNumber: true)])

    @Test func columnsAreAligned() {
        let lines = table.lines(
            [["name": "a", "count": 5], ["name": "long name", "count": 1234]], width: nil)
        #expect(lines == ["NAME       COUNT", "a              5", "long name   1234"])
    }

    @Test func aNarrowTerminalCutsTheWidest() {
        let lines = table.lines([["name": "a very long name indeed", "count": 1234]], width: 20)
        #expect(lines.allSatisfy { $0.count <= 20 })
        #expect(lines[1] == "a very long …   1234")
    }

    @Test(arguments: ["\u{1B}[2J", "\n", "\u{202E}", "\u{9B}31m", "\u{2028}", "\u{0}"])
    func controlCharactersAreShown(_ text: String) {
        let plain = Table.plain("a\(text)b")
        #expect(plain.hasPrefix("a\\u{"))
        #expect(plain.unicodeScalars.allSatisfy { $0.value >= 0x20 && $0.value < 0x7F })
    }
}

@Suite struct RunningServicesTests {
    @Test func onlyThoseAliveAreListed() throws {
        let path = FileManager.default.temporaryDirectory.appending(path: "signalbox-\(UUID().uuidString)").path
        defer { try? FileManager.default.removeItem(atPath: path) }
        let running = RunningServices(DataFolder(path: path))
        #expect(running.all().isEmpty)
        let own = ProcessInfo.processInfo.processIdentifier
        let entry = RunningServices.Entry(endpoint: "http://a", admin: "http://b", process: own)
        try running.add(entry, port: 1)
        try running.add(.init(endpoint: "http://c", admin: "http://d", process: .max), port: 2)
        #expect(running.all() == [entry])
        running.remove(port: 1)
        #expect(running.all().isEmpty)
    }
}

@Suite struct TailTests {
    @Test func anEventIsALine() {
        let event: HubValue = [
            "time": "2026-01-02T03:04:05.678Z", "kind": "message", "hub": "chat", "connectionId": "id",
            "user": "a\u{1B}b",
            "text": "in call send", "detail": ["direction": "in", "bytes": 12, "arguments": ["x"]],
        ]
        #expect(
            Tail.text(of: event, hasColour: false)
                == #"03:04:05.678  message     chat a\u{1b}b id  in call send (12 bytes) ["x"]"#)
        #expect(Tail.text(of: ["kind": "lost", "count": 3], hasColour: false) == "… 3 events were lost")
    }
}

@Suite struct PrometheusMetricsTests {
    @Test func instrumentsAreShownByName() {
        let metrics = PrometheusMetrics()
        Counter(label: "a.b", dimensions: [("x.y", "1")], factory: metrics).increment(by: 2)
        Counter(label: "a.b", dimensions: [("x.y", "1")], factory: metrics).increment()
        Recorder(label: "level", dimensions: [], aggregate: false, factory: metrics).record(1.5)
        #expect(metrics.text.contains("# TYPE a_b_total counter\na_b_total{x_y=\"1\"} 3\n"))
        #expect(metrics.text.contains("# TYPE level gauge\nlevel 1.5\n"))
    }

    @Test func timersAreHistogramsInSeconds() {
        let metrics = PrometheusMetrics()
        let timer = CoreMetrics.Timer(label: "t", factory: metrics)
        for milliseconds in [5, 15, 400_000] { timer.recordMilliseconds(Int64(milliseconds)) }
        let text = metrics.text
        #expect(text.contains("t_seconds_bucket{le=\"0.01\"} 1\n"))
        #expect(text.contains("t_seconds_bucket{le=\"0.02\"} 2\n"))
        #expect(text.contains("t_seconds_bucket{le=\"300\"} 2\n"))
        #expect(text.contains("t_seconds_bucket{le=\"+Inf\"} 3\n"))
        #expect(text.contains("t_seconds_count 3\n"))
    }

    @Test func thereAreOnlySoManySeries() {
        let metrics = PrometheusMetrics(maximumSeries: 2)
        for number in 0..<5 { Counter(label: "c", dimensions: [("n", "\(number)")], factory: metrics).increment() }
        #expect(metrics.text.contains("signalbox_metrics_refused_series 3\n"))
        #expect(metrics.text.matches(of: /c_total\{/).count == 2)
    }

    @Test func oneThatIsDestroyedGoes() {
        let metrics = PrometheusMetrics(maximumSeries: 1)
        Counter(label: "a", factory: metrics).destroy()
        Counter(label: "b", factory: metrics).increment()
        #expect(!metrics.text.contains("a_total") && metrics.text.contains("b_total 1\n"))
    }
}

@Suite struct JSONLogTests {
    @Test func anEntryIsOneLineOfJSON() throws {
        let lines = NIOLockedValueBox<[ByteBuffer]>([])
        var handler = JSONLogHandler(label: "test", logLevel: .debug)
        handler.write = { line in lines.withLockedValue { $0.append(line) } }
        var logger = Logger(label: "test") { [handler] _ in handler }
        logger[metadataKey: "own"] = "1"
        logger.info("Hello\n\"you\"", metadata: ["list": ["a", "b"], "map": ["k": "v"]])
        logger.trace("not this")
        let line = try #require(lines.withLockedValue { $0.first })
        #expect(lines.withLockedValue { $0.count } == 1)
        #expect(String(buffer: line).hasSuffix("}\n") && String(buffer: line).filter { $0 == "\n" }.count == 1)
        let entry = try JSON.value(from: line)
        #expect(entry["level"] == "info" && entry["message"] == "Hello\n\"you\"" && entry["logger"] == "test")
        #expect(entry["metadata"] == ["list": ["a", "b"], "map": ["k": "v"], "own": "1"])
    }
}

@Suite struct AdminOptionTests {
    @Test(arguments: [
        ["--admin-key", "short"], ["--admin-port", "70000"], ["--admin-port", "x"], ["--log-format", "xml"],
    ])
    func mistakesAreUsageErrors(_ options: [String]) {
        #expect(throws: (any Error).self) { try SignalBox.parseAsRoot(["serve"] + options) }
    }

    @Test func withoutAKeyCommandsSayWhatToDo() throws {
        let access = try AdminAccess.parse(["--data-folder", "/nonexistent"])
        let error = #expect(throws: Failure.self) { try access.client() }
        #expect(error?.description.contains("--admin-key") == true)
    }

    @Test func theAddressMayEndInASlash() throws {
        #expect(try AdminAccess.parse(["--admin", "http://h:1/", "--admin-key", "k"]).client().url == "http://h:1")
        #expect(throws: (any Error).self) { try AdminAccess.parse(["--admin", "h:1"]) }
    }
}
