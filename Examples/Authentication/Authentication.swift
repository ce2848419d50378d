// SignalBox: who may connect and who may call: JWT bearer tokens, policies, users
// SPDX-License-Identifier: Apache-2.0

import Hummingbird
import SignalR
import SignalRAuthentication
import SignalRHummingbird

@Hub struct Desk {
    func whoAmI(context: HubCallerContext) -> String { context.userID ?? "nobody" }

    /// Reaches every connection of that user, on whatever device.
    func whisper(to user: String, text: String, context: HubCallerContext) async throws {
        try await context.clients.user(user).send("whisper", context.userID, text)
    }

    @HubMethod(policy: "administrators")
    func announce(text: String, context: HubCallerContext) async throws {
        try await context.clients.all.send("announcement", text)
    }
}

@main struct AuthenticationApp {
    static func main() async throws {
        var options = HubOptions()
        options.authenticator = await JWTBearer(hs256: "replace-this-secret-with-32-characters-or-more")
        options.requiresAuthentication = true
        options.closeOnAuthenticationExpiration = true
        options.policies["administrators"] = { call in call.context.user?.roles.contains("admin") ?? false }
        let router = Router()
        try router.signalR("/desk", hub: Desk(), options: options)
        try await Application(router: router, server: .signalR(router)).runService()
    }
}
