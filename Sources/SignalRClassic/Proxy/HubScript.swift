// SignalBox: the scripts that know the hubs: JavaScript for jQuery, an ES module, and its TypeScript declarations
// SPDX-License-Identifier: Apache-2.0

import NIOCore
import SignalR
import SignalRWire

/// Generated proxies of all hubs of an endpoint (classic protocol reference, §13).
struct HubScript: Sendable {
    static let contentType = "application/javascript; charset=UTF-8"

    /// Which script a path asks for.
    enum Flavour: Sendable {
        /// `/hubs` and `/js`, for pages with jQuery and jquery.signalR.
        case jQuery
        /// `/hubs.mjs`, for modules that have a connection of jquery.signalR.
        case module
        /// `/hubs.d.mts`, what TypeScript knows of the module.
        case declarations

        fileprivate static let ends: [(String, Flavour)] = [
            ("/hubs", .jQuery), ("/js", .jQuery), ("/hubs.mjs", .module), ("/hubs.d.mts", .declarations),
        ]

        /// - Parameter path: in lower case; slashes at its end do not matter.
        init?(path: String) {
            var path = path[...]
            while path.last == "/" { path.removeLast() }
            guard let found = Self.ends.first(where: { path.hasSuffix($0.0) }) else { return nil }
            self = found.1
        }

        /// The path of the endpoint, of a path that asks for a script.
        func mount(of path: String) -> String {
            var rest = path[...]
            while rest.last == "/" { rest.removeLast() }
            let lower = rest.lowercased()
            let end = Self.ends.first { lower.hasSuffix($0.0) }?.0 ?? ""
            return String(rest.dropLast(end.count))
        }
    }

    struct Hub: Sendable {
        /// What scripts call it.
        let key: String
        let methods: [(key: String, name: String, parameters: Int)]
    }

    let hubs: [Hub]

    init(_ hubs: [ClassicHub]) {
        self.hubs = hubs.map { hub in
            Hub(
                key: hub.hasOwnName ? hub.name : Self.camelCase(hub.name),
                methods: hub.server.methodList.filter { $0.streamCount == 0 }.map {
                    (Self.camelCase($0.name), $0.name, $0.parameterCount)
                })
        }.sorted { $0.key < $1.key }
    }

    private static func camelCase(_ name: String) -> String { name.prefix(1).lowercased() + name.dropFirst() }

    /// - Parameter mount: the path of the endpoint as the client sees it.
    func text(_ flavour: Flavour, mount: String) -> String {
        switch flavour {
        case .jQuery: self.jQuery(mount)
        case .module: self.module(mount)
        case .declarations: self.declarations()
        }
    }

    /// What pages get when scripts are switched off.
    static let disabled = """
        throw new Error("SignalR: this server generates no proxies. Use $.hubConnection() and createHubProxy().");

        """

    /// A string literal that is safe in JavaScript, wherever the script ends up.
    static func quote(_ text: String) -> String {
        var (json, escaped) = (ByteBuffer(), ByteBuffer())
        JSON.write(string: text, into: &json)
        ForeverFrame.writeEscaped(json, into: &escaped)
        return String(buffer: escaped)
    }

    /// `["chatHub",[["send","send"], …]], …`
    private var table: String {
        self.hubs.map { hub in
            let methods = hub.methods.map { "[\(Self.quote($0.key)),\(Self.quote($0.name))]" }
            return "        [\(Self.quote(hub.key)), [\(methods.joined(separator: ", "))]]"
        }.joined(separator: ",\n")
    }

    /// The handler of `starting` must be there before the first proxy is made: making one adds the handler that lists the hubs with
    /// subscriptions.
    private func jQuery(_ mount: String) -> String {
        """
        // Proxies of this server's hubs, for jquery.signalR 2. Generated: changes are lost.
        (function ($) {
            "use strict";
            if (typeof $.signalR !== "function") {
                throw new Error("SignalR: load jquery.signalR before this script.");
            }
            var hubs = [
        \(self.table)
            ];

            // Calls the function with the proxy as `this`.
            function bound(proxy, callback) {
                return function () { callback.apply(proxy, arguments); };
            }

            // Switches all functions in `client` of all proxies on or off.
            function subscribe(proxies, verb) {
                $.each(proxies, function (_, proxy) {
                    $.each(proxy.client, function (name, callback) {
                        if (typeof callback === "function") { proxy[verb](name, bound(proxy, callback), callback); }
                    });
                });
            }

            function method(proxy, name) {
                return function () { return proxy.invoke.apply(proxy, [name].concat($.makeArray(arguments))); };
            }

            $.hubConnection.prototype.createHubProxies = function () {
                var connection = this, proxies = {};
                connection.starting(function () {
                    subscribe(proxies, "on");
                    connection._registerSubscribedHubs();
                }).disconnected(function () {
                    subscribe(proxies, "off");
                });
                $.each(hubs, function (_, hub) {
                    var proxy = proxies[hub[0]] = connection.createHubProxy(hub[0]);
                    proxy.client = {};
                    proxy.server = {};
                    $.each(hub[1], function (_, names) { proxy.server[names[0]] = method(proxy, names[1]); });
                });
                return proxies;
            };

            $.signalR.hub = $.hubConnection(\(Self.quote(mount)), { useDefaultPath: false });
            $.extend($.signalR, $.signalR.hub.createHubProxies());
        }(window.jQuery));

        """
    }
}
