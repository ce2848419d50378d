// SignalBox: every conversation of hub-vectors.json, played on every transport with every protocol
// SPDX-License-Identifier: Apache-2.0

import SignalR
import Testing

@Suite struct ScenarioTests {
    @Test func `Every scenario has a script`() {
        #expect(Scenario.all.count == 27)
        #expect(Set(Scenario.all.map(\.name)) == Set(Script.all.keys))
    }

    @Test(arguments: Scenario.all.filter { !$0.isStateful }, Wire.all)
    func `A conversation`(scenario: Scenario, wire: Wire) async throws { try await play(scenario, wire) }

    @Test(arguments: Scenario.all.filter(\.isStateful), HubProtocol.allCases)
    func `A conversation with stateful reconnect`(scenario: Scenario, hubProtocol: HubProtocol) async throws {
        try await play(scenario, Wire(transport: .webSockets, hubProtocol: hubProtocol))
    }

    private func play(_ scenario: Scenario, _ wire: Wire) async throws {
        let script = try #require(Script.all[scenario.name])
        try await withServer {
            $0.detailedErrors = scenario.options?.detailedErrors == true
            $0.allowStatefulReconnects = scenario.isStateful
            script.change(&$0)
        } _: { server in
            try await Stage(scenario, wire, script, on: server).play(script)
        }
    }
}
