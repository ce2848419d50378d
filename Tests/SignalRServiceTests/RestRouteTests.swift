// SignalBox: paths of the REST API and the operations that they name
// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import SignalR
import Testing

@testable import SignalRService

@Suite struct RestRouteTests {
    struct Case: Sendable, CustomTestStringConvertible {
        let method: HTTPRequest.Method
        let path: String
        let operation: RestOperation
        var testDescription: String { "\(method) \(path)" }
        init(_ method: HTTPRequest.Method, _ path: String, _ operation: RestOperation) {
            (self.method, self.path, self.operation) = (method, path, operation)
        }
    }

    private static let resources: [Case] = [
        Case(.post, "/:send", .send(.all)), Case(.post, "/users/u/:send", .send(.users(["u"]))),
        Case(.post, "/connections/c/:send", .send(.connections(["c"]))),
        Case(.post, "/groups/g/:send", .send(.groups(["g"]))),
        Case(.post, "/:closeConnections", .close(.all)),
        Case(.post, "/users/u/:closeConnections", .close(.users(["u"]))),
        Case(.post, "/groups/g/:closeConnections", .close(.groups(["g"]))),
        Case(.delete, "/connections/c", .closeConnection("c")),
        Case(.head, "/connections/c", .exists(.connections(["c"]))),
        Case(.get, "/connections/c", .exists(.connections(["c"]))), Case(.head, "/groups/g", .exists(.groups(["g"]))),
        Case(.head, "/users/u", .exists(.users(["u"]))),
        Case(.put, "/groups/g/connections/c", .join(connection: "c", group: "g")),
        Case(.put, "/connections/c/groups/g", .join(connection: "c", group: "g")),
        Case(.delete, "/groups/g/connections/c", .leave(connection: "c", group: "g")),
        Case(.delete, "/connections/c/groups", .leaveAll(connection: "c")),
        Case(.put, "/users/u/groups/g", .addUser("u", group: "g")),
        Case(.put, "/groups/g/users/u", .addUser("u", group: "g")),
        Case(.delete, "/users/u/groups/g", .removeUser("u", group: "g")),
        Case(.get, "/users/u/groups/g", .isMember(user: "u", group: "g")),
        Case(.head, "/groups/g/users/u", .isMember(user: "u", group: "g")),
        Case(.delete, "/users/u/groups", .removeUserFromAll("u")), Case(.post, "/:generateToken", .makeToken),
        Case(.post, "", .send(.all)), Case(.post, "/", .send(.all)), Case(.post, "/users/u", .send(.users(["u"]))),
        Case(.post, "/users/a%2Fb%20c/:send", .send(.users(["a/b c"]))),
        Case(.post, "/users/:send/:send", .send(.users([":send"]))),
    ]

    @Test(arguments: resources)
    func bothDialects(_ resource: Case) throws {
        let dated = try RestRoute(resource.method, path: "/api/hubs/Chat" + resource.path)
        #expect((dated.dialect, dated.hub, dated.operation) == (.dated, "Chat", resource.operation))
        let v1 = try RestRoute(resource.method, path: "/api/v1/hubs/Chat" + resource.path)
        #expect((v1.dialect, v1.hub, v1.operation) == (.v1, "Chat", resource.operation))
    }

    @Test(arguments: [
        Case(.post, "", .send(.all)), Case(.post, "/user/u", .send(.users(["u"]))),
        Case(.post, "/users/a,b", .send(.users(["a", "b"]))),
        Case(.post, "/group/g", .send(.groups(["g"]))), Case(.post, "/groups/a,b", .send(.groups(["a", "b"]))),
    ])
    func preview(_ resource: Case) throws {
        #expect(
            try RestRoute(resource.method, path: "/api/v1-preview/hub/chat" + resource.path).operation
                == resource.operation)
    }

    @Test(arguments: ["/api/health", "/api/v1/health"])
    func health(_ path: String) throws {
        for method in [HTTPRequest.Method.get, .head] {
            #expect(try RestRoute(method, path: path).operation == .health)
        }
    }

    @Test(arguments: Vectors.all.restUrls)
    func sdkURL(_ vector: Vectors.RestURL) throws {
        let path = String(vector.urlAndAudience.dropFirst("https://abc".count).prefix { $0 != "?" })
        let (method, operation): (HTTPRequest.Method, RestOperation) =
            switch vector.op {
            case "broadcast": (.post, .send(.all))
            case "sendToUser": (.post, .send(.users([vector.user])))
            case "sendToGroup": (.post, .send(.groups([vector.group])))
            case "sendToConnection": (.post, .send(.connections([vector.connection])))
            case "userGroup": (.put, .addUser(vector.user, group: vector.group))
            default: (.put, .join(connection: vector.connection, group: vector.group))
            }
        let route = try RestRoute(method, path: path)
        #expect(route.operation == operation)
        #expect(route.hub == vector.hub.lowercased())
    }

    @Test(arguments: [
        "/api", "/api/", "/api/hubs", "/api/nothing/chat", "/api/hubs/chat/rooms/r",
        "/api/hubs/chat/users/u/groups/g/x",
        "/api/v2/hubs/chat", "/api/hubs/chat/users/u/users/u", "/other/hubs/chat", "", "/",
    ])
    func unknownPathsAre404(_ path: String) {
        #expect(throws: RestError.unknownPath) { try RestRoute(.post, path: path) }
    }

    @Test func wrongMethodsAre405AndNameTheRightOnes() {
        let error = #expect(throws: RestError.self) { try RestRoute(.patch, path: "/api/hubs/chat/connections/c") }
        #expect(error?.status == .methodNotAllowed)
        #expect(error?.headers[.allow] == "DELETE, GET, HEAD, POST")
    }

    @Test(
        arguments: [
            (.post, "/groups/%20%20/:send"), (.post, "/groups//:send"),
            (.put, "/groups/\(String(repeating: "g", count: 1025))/connections/c"),
            (.post, "/users//:send"), (.put, "/groups/g/connections/"),
        ] as [(HTTPRequest.Method, String)])
    func namesThatBreakTheRulesAre400(method: HTTPRequest.Method, path: String) {
        let error = #expect(throws: RestError.self) { try RestRoute(method, path: "/api/hubs/chat" + path) }
        #expect(error?.status == .badRequest || path.hasSuffix("connections/"))
    }
}
