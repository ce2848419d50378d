// SignalBox: router.signalR("/chat", hub:, service:)
// SPDX-License-Identifier: Apache-2.0

public import Hummingbird
public import Logging
public import NIOCore
public import NIOPosix
public import SignalR
import SignalRHummingbird

extension RouterMethods {
    /// Serves a hub whose clients are at a service: Azure SignalR Service, or SignalBox. Here they negotiate only.
    ///
    /// - Parameters:
    ///   - service: the connection string, `Endpoint=…;AccessKey=…;Version=1.0;`. It holds a secret: take it from the environment.
    ///   - options: authentication, limits and policies of the hub; clients' transports are the service's business.
    /// - Returns: the link; add it to the app's services (`app.addServices(chat)`), since it connects when it runs.
    /// - Throws: `HubDefinitionError`, `ConnectionStringError`.
    @discardableResult
    public func signalR<H: Hub>(
        _ path: RouterPath, hub: H, service: String, options: HubOptions = HubOptions(),
        link: ServiceLinkOptions = ServiceLinkOptions(),
        eventLoopGroup: any EventLoopGroup = MultiThreadedEventLoopGroup.singleton,
        logger: Logger = Logger(label: "SignalR")
    ) throws -> ServiceLink {
        let link = try ServiceLink(
            hub, service: service, options: options, link: link, eventLoopGroup: eventLoopGroup, logger: logger)
        serve(link.makeEndpoint(), at: path)
        return link
    }
}
