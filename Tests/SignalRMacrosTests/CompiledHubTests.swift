// SignalBox: the method tables that compiled hubs have
// SPDX-License-Identifier: Apache-2.0

#if HubMacro
import SignalR
import Testing

@Suite struct CompiledHubTests {
    @Test func everyCallableMethodIsListedInOrder() {
        #expect(
            EveryShape.methods.map(\.name) == [
                "plain", "throwing", "throwingTyped", "throwingNever", "async", "asyncThrowing", "onMainActor",
                "default", "caller",
                "types", "elsewhere", "renamed", "secured", "twice", "stream", "streamThrowing", "streamOptional",
                "streamOpaque",
                "streamOpaqueOptional", "streamExistential", "streamMapped", "streamAliased", "streamBack", "upload",
                "uploadOpaque", "uploadExistential", "uploadTwo",
            ]
        )
    }

    @Test func streamingMethodsAreThoseThatReturnASequence() {
        for method in EveryShape.methods {
            #expect(method.kind == (method.name.hasPrefix("stream") ? .stream : .invocation), "\(method.name)")
        }
    }

    @Test(arguments: [
        ("plain", 0, 0), ("caller", 2, 0), ("types", 6, 0), ("stream", 1, 0), ("upload", 1, 1), ("uploadTwo", 0, 2),
        ("uploadOpaque", 0, 1), ("uploadExistential", 0, 1), ("streamBack", 0, 1),
    ])
    func counts(name: String, parameters: Int, streams: Int) throws {
        let method = try #require(EveryShape.methods.first { $0.name == name })
        #expect(method.parameterCount == parameters)
        #expect(method.streamCount == streams)
    }

    @Test func policies() {
        let secured = EveryShape.methods.filter { !$0.policies.isEmpty }.map { [$0.name] + $0.policies }
        #expect(secured == [["secured", "admin"], ["twice", "a", "b"]])
    }

    @Test func otherTypes() {
        #expect(PublicClassHub.methods.map(\.name) == ["draw", "clear"])
        #expect(PublicActorHub.methods.count == 7)
        #expect(MainActorHub.methods.map(\.name) == ["set", "get", "constant"])
        #expect(GenericHub<Int>.methods.map(\.parameterCount) == [1])
        #expect(GenericHub<Int>.Room.HubInExtension.methods.count == 1)
        #expect(Nesting.PackageHub.methods.count == 1)
        #expect(ConformingHub.methods.count == 1)
    }
}
#endif
