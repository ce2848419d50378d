// SignalBox: the same hub over TLS
// SPDX-License-Identifier: Apache-2.0

import NIOSSL
import SignalR
import SignalRWire
import Testing

@Suite struct TLSTests {
    @Test(arguments: Wire.all)
    func `Every transport works over TLS`(wire: Wire) async throws {
        let certificate = try TestCertificate()
        var app = TestApp()
        app.tls = try certificate.configurations()
        try await app.run { server in
            let client = try await server.client(wire)
            let long = HubValue.string(String(repeating: "TLS", count: 9000))
            #expect(try await client.invoke("Echo", long) == .result("1", long))
            try await server.hub.context.clients.all.send("Message", "to all")
            #expect(try await client.next() == .call("Message", ["to all"]))
            try await client.send(.close())
            #expect(try await client.next() == .close())
            #expect(try await client.next() == nil)
            try await server.bulletin.wait(for: "disconnected in order")
        }
    }

    @Test func `A shutdown says goodbye over TLS`() async throws {
        let certificate = try TestCertificate()
        var app = TestApp()
        app.tls = try certificate.configurations()
        try await app.run { server in
            let client = try await server.client()
            await server.shutDown()
            #expect(try await client.next() == .close(allowReconnect: true))
            #expect(try await client.next() == nil)
        }
    }

    @Test func `A client that does not speak TLS gets nowhere`() async throws {
        let certificate = try TestCertificate()
        var app = TestApp()
        app.tls = try certificate.configurations()
        try await app.run { server in
            let plain = try await Socket.connect(port: server.port)
            try await plain.write(Socket.request("GET", "/hub"))
            _ = try await plain.untilEnd()
            #expect(try await server.client().invoke("AddTwo", 1, 2) == .result("1", 3))
        }
    }
}
