// SignalBox: the documents of the REST API, and that they tell the truth
// SPDX-License-Identifier: Apache-2.0

import Foundation
import HTTPTypes
import NIOCore
import SignalR
import SignalRWire
import Testing

@testable import SignalRService

@Suite struct OpenAPITests {
    private static let entries = RestCatalogEntry.versions.flatMap { RestCatalogEntry.entries(of: $0) }

    @Test(arguments: entries.indices)
    func whatIsDocumentedIsRouted(_ index: Int) throws {
        let entry = Self.entries[index]
        let method = try #require(HTTPRequest.Method(rawValue: entry.method.uppercased()))
        let path = entry.path.replacing(/\{[a-zA-Z]+\}/, with: "x")
        let route = try RestRoute(method, path: path)
        #expect(route.dialect == (entry.path.hasPrefix("/api/v1") ? .v1 : .dated))
        #expect(route.hub == (entry.path.contains("{hub}") ? "x" : ""))
    }

    @Test(arguments: ["v1", "2022-06-01", "2024-12-01"])
    func everyVersionHasItsDocument(_ version: String) async throws {
        let response = await makeRest(.get, "/api/swagger/\(version)/swagger.json")
        #expect(response.status == .ok)
        let document = try JSON.value(from: response.body)
        #expect(document["openapi"] == "3.0.3")
        #expect(document["info"]?["version"] == .string(version))
        guard case .map(let paths)? = document["paths"] else { return #expect(Bool(false), "no paths") }
        #expect(paths.map(\.key).contains("/api/hubs/{hub}/:send") == (version != "v1"))
        #expect(paths.map(\.key).contains("/api/hubs/{hub}/:execute") == (version == "2024-12-01"))
        // References lead somewhere.
        let text = String(buffer: response.body)
        for reference in text.matches(of: /"#\/components\/schemas\/([A-Za-z]+)"/) {
            #expect(document["components"]?["schemas"]?[String(reference.1)] != nil)
        }
    }

    @Test func theNewestIsTheOneWithoutAVersion() async throws {
        let document = try JSON.value(from: await makeRest(.get, "/api/swagger/swagger.json").body)
        #expect(document["info"]?["version"] == "2024-12-01")
        #expect(await makeRest(.get, "/api/swagger/2020-01-01/swagger.json").status == .notFound)
        #expect(await makeRest(.post, "/api/swagger/swagger.json").status == .methodNotAllowed)
    }

    @Test(arguments: ["/api/swagger", "/api/swagger/"])
    func thePageIsOneFile(_ path: String) async {
        let response = await makeRest(.get, path)
        #expect(response.status == .ok)
        #expect(response.headers[.contentType] == "text/html; charset=utf-8")
        let page = String(buffer: response.body)
        #expect(page.contains("</script>"))
        #expect(!page.contains("https://") && !page.contains("http://"))
    }

    private func makeRest(_ method: HTTPRequest.Method, _ path: String) async -> HubResponse {
        do {
            return try await makeService().rest(method, path, token: "")
        } catch {
            return HubResponse(.internalServerError)
        }
    }
}
