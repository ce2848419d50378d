// SignalBox: the options of signalbox serve as those of the service
// SPDX-License-Identifier: Apache-2.0

import SignalRClassic
import SignalRService

extension Serve {
    /// - Parameter key: the access key in use.
    func serviceOptions(key: String) throws -> SignalBoxService.Options {
        var options = SignalBoxService.Options(keys: AccessKeys(key, secondary: access.secondaryAccessKey))
        options.mode = access.mode
        options.requiresAuthentication = !access.noAuth
        options.connections = connections.hubOptions
        if !access.allowOrigin.isEmpty { options.allowedOrigins = access.allowOrigin }
        if !access.allowHub.isEmpty { options.allowedHubs = Set(access.allowHub.map { $0.lowercased() }) }
        options.hubs = try HubSetting.exceptions(access.hubSetting, from: options.connections)
        options.upstream = try serverless.options()
        options.limits = limits.serviceLimits
        options.classic.enableJSONP = access.classicJsonp
        options.classic.maximumOutboundQueue = connections.maximumQueue.bytes
        return options
    }
}
