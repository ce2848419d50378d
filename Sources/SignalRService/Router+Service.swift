// SignalBox: router.serve(service): the client endpoint and the REST API as routes of a Hummingbird app
// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
public import Hummingbird
import SignalR
import SignalRHummingbird

extension RouterMethods {
    /// Serves clients at `/client`, app servers at `/server` and REST callers below `/api`; clients of ASP.NET SignalR 2.x at `/aspnetclient`,
    /// and their app servers at `/aspnetserver`; `/ready` says whether clients may come. The app must be started with
    /// `server: .signalR(router)`.
    public func serve(_ service: SignalBoxService) {
        serve(service.classic, at: "/aspnetclient")
        let rest = RestAPI(service)
        let methods: [HTTPRequest.Method] = [.get, .post, .delete, .options, .put, .patch, .head, .trace]
        for method in methods {
            on("/client", method: method) { request, _ in await service.respond(to: request, isNegotiate: false) }
            on("/client/negotiate", method: method) { request, _ in
                await service.respond(to: request, isNegotiate: true)
            }
            on("/ready", method: method) { _, _ in Response(service.readiness()) }
            for path in ["/server", "/aspnetserver"] as [RouterPath] {
                on(path, method: method) { request, _ in await service.respondToServer(request) }
            }
            // The router decodes segments; the API splits the path first, since ids may hold an escaped slash.
            on("/api/**", method: method) { request, _ in
                Response(await rest.respond(to: HubRequest(request, from: nil), at: service.base(of: request)))
            }
        }
    }
}

extension SignalBoxService {
    /// Scheme and authority by which a caller reached the service; what is no authority does not get into links.
    fileprivate func base(of request: Request) -> String {
        let authority = request.head.authority.flatMap { name in
            let isSafe = name.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: ":"),
                    UInt8(ascii: "["), UInt8(ascii: "]"):
                    true
                default: false
                }
            }
            return isSafe && !name.isEmpty ? name : nil
        }
        let scheme = request.head.scheme == "https" ? "https" : options.scheme
        return "\(scheme)://\(authority ?? "localhost")"
    }

    fileprivate func respond(to request: Request, isNegotiate: Bool) async -> Response {
        await respond(to: request, isNegotiate: isNegotiate, at: door(for: HubRequest(request, from: nil)))
    }

    fileprivate func respondToServer(_ request: Request) async -> Response {
        await respond(to: request, isNegotiate: false, at: serverDoor(for: HubRequest(request, from: nil)))
    }

    private func respond(to request: Request, isNegotiate: Bool, at door: Door) async -> Response {
        switch door {
        case .endpoint(let endpoint): await endpoint.respond(to: request, isNegotiate: isNegotiate)
        case .refusal(let refusal): Response(refusal)
        }
    }
}
