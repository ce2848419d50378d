// SignalBox: generated scripts
// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import Logging
import NIOPosix
import SignalR
import SignalRClassic
import Testing

@Suite struct HubScriptTests {
    @Test(arguments: ["/signalr/hubs", "/signalr/js", "/signalr/JS//", "/signalr/hubs/"])
    func `Every name of the script`(path: String) async throws {
        let response = await (try Stage()).endpoint.request(path)
        #expect(response.status == .ok)
        #expect(response.headers[.contentType] == "application/javascript; charset=UTF-8")
        #expect(response.text.contains(#"$.hubConnection("/signalr", { useDefaultPath: false })"#))
    }

    @Test func `Hubs and methods are sorted, in camel case`() async throws {
        let script = await (try Stage()).endpoint.request("/signalr/hubs").text
        let chat = try #require(script.firstRange(of: #"["chatHub", [["abort","abort"], ["add","add"]"#))
        let news = try #require(script.firstRange(of: #"["newsHub", [["publish","publish"]]]"#))
        #expect(chat.lowerBound < news.lowerBound)
        // In the other order, connections list no hubs.
        let starting = try #require(script.firstRange(of: "connection.starting("))
        let proxies = try #require(script.firstRange(of: "connection.createHubProxy("))
        #expect(starting.lowerBound < proxies.lowerBound)
    }

    @Test func `A name of its own keeps its spelling, and paths are quoted`() async throws {
        let stage = try Stage()
        let server = try ClassicServer(
            hubs: [ClassicHub(stage.chat, name: "Demo")], eventLoopGroup: MultiThreadedEventLoopGroup.singleton,
            logger: quiet)
        let script = await server.endpoint.request("/a\"</script>/hubs").text
        #expect(script.contains(#"["Demo", ["#))
        #expect(script.contains(#"$.hubConnection("/a\"\u003c/script\u003e","#))
    }

    @Test func `Names that cannot be told apart, and names with a dot`() throws {
        let stage = try Stage()
        for names in [["a.b"], [""], ["a", "A"]] {
            #expect(throws: HubDefinitionError.self) {
                try ClassicServer(
                    hubs: names.map { ClassicHub(stage.chat, name: $0) },
                    eventLoopGroup: MultiThreadedEventLoopGroup.singleton, logger: quiet)
            }
        }
    }

    @Test func `The module and its types`() async throws {
        let endpoint = try Stage().endpoint
        let module = await endpoint.request("/signalr/hubs.mjs").text
        #expect(module.contains(#"export const url = "/signalr";"#))
        #expect(module.contains(#""add": (...values) => proxy.invoke("add", ...values),"#))
        let types = await endpoint.request("/signalr/hubs.d.mts").text
        #expect(types.contains(#""add"(value1: unknown, value2: unknown): PromiseLike<unknown>;"#))
    }

    @Test func `Switched off, the script throws`() async throws {
        let response = await (try Stage { $0.enableJavaScriptProxies = false }).endpoint.request("/signalr/hubs")
        #expect(response.status == .ok)
        #expect(response.text.hasPrefix("throw new Error("))
    }
}
