// SignalBox: the service's routes in a Hummingbird router
// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import Hummingbird
import Logging
import NIOCore
import NIOEmbedded
import Testing

@testable import SignalRService

@Suite struct RouterTests {
    private func respond(
        _ service: SignalBoxService, _ method: HTTPRequest.Method, _ path: String, token: String
    ) async throws -> Response {
        let router = Router()
        router.serve(service)
        let head = HTTPRequest(
            method: method, scheme: "http", authority: "localhost", path: path,
            headerFields: [.authorization: "Bearer \(token)"])
        let context = BasicRequestContext(
            source: ApplicationRequestContextSource(channel: EmbeddedChannel(), logger: Logger(label: "test")))
        return try await router.buildResponder().respond(
            to: Request(head: head, body: RequestBody(buffer: ByteBuffer())), context: context)
    }

    @Test(arguments: ["/client/negotiate?hub=chat", "/client/negotiate/?hub=chat"])
    func negotiate(_ path: String) async throws {
        let service = try makeService()
        let token = service.options.keys.clientToken(hub: "chat", endpoint: "http://h")
        #expect(try await respond(service, .post, path, token: token).status == .ok)
        #expect(try await respond(service, .post, path, token: "").status == .unauthorized)
    }

    @Test(arguments: ["/client?hub=chat", "/client/?hub=chat"])
    func transports(_ path: String) async throws {
        let service = try makeService()
        let token = service.options.keys.clientToken(hub: "chat", endpoint: "http://h")
        // A poll without a connection id is what the endpoint itself refuses.
        #expect(try await respond(service, .get, path, token: token).status == .badRequest)
        #expect(try await respond(service, .get, path + "&id=unknown", token: token).status == .notFound)
    }

    @Test func restIdsMayHoldAnEscapedSlash() async throws {
        let service = try makeService()
        let path = "/api/hubs/chat/users/a%2Fb/groups/g%2Fh"
        let token = service.options.keys.restToken(path: path, endpoint: "http://h")
        #expect(try await respond(service, .put, path + "?api-version=2022-06-01", token: token).status == .ok)
        #expect(try await respond(service, .get, path, token: token).status == .ok)
        #expect(try await respond(service, .head, "/api/health", token: "").status == .ok)
    }
}
