// SignalBox: the hub proxies as an ES module, with TypeScript declarations
// SPDX-License-Identifier: Apache-2.0

import SignalR

extension HubScript {
    func module(_ mount: String) -> String {
        let hubs = self.hubs.map { hub in
            let methods = hub.methods.map {
                "            \(Self.quote($0.key)): (...values) => proxy.invoke(\(Self.quote($0.name)), ...values),\n"
            }
            return """
                    \(Self.quote(hub.key)): wrap(connection.createHubProxy(\(Self.quote(hub.key))), (proxy) => ({
                \(methods.joined())        })),

                """
        }
        return """
            // Proxies of this server's hubs for a connection of jquery.signalR 2. Generated: changes are lost.
            // Subscribe with `on` before the connection starts, then call what is in `server`.

            /** Where the hubs are: `$.hubConnection(url, { useDefaultPath: false })`. */
            export const url = \(Self.quote(mount));

            const wrap = (proxy, methods) => ({
                proxy,
                server: methods(proxy),
                on(name, callback) { proxy.on(name, callback); return this; },
                off(name, callback) { proxy.off(name, callback); return this; },
                get state() { return proxy.state; },
            });

            /** The proxies of all hubs on a connection, by name. */
            export function createHubProxies(connection) {
                return {
            \(hubs.joined())    };
            }

            """
    }

    func declarations() -> String {
        let hubs = self.hubs.map { hub in
            let methods = hub.methods.map { method in
                let parameters = (0..<method.parameters).map { "value\($0 + 1): unknown" }.joined(separator: ", ")
                return "        \(Self.quote(method.key))(\(parameters)): PromiseLike<unknown>;\n"
            }
            return "    readonly \(Self.quote(hub.key)): HubProxy<{\n\(methods.joined())    }>;\n"
        }
        return """
            // What TypeScript knows of hubs.mjs. Generated: changes are lost.

            export declare const url: string;

            export interface HubProxy<Server> {
                /** The proxy of jquery.signalR. */
                readonly proxy: unknown;
                readonly server: Server;
                /** What travels with each call, both ways. */
                readonly state: Record<string, unknown>;
                on(name: string, callback: (...values: any[]) => void): this;
                off(name: string, callback: (...values: any[]) => void): this;
            }

            export interface Hubs {
            \(hubs.joined())}

            export declare function createHubProxies(connection: unknown): Hubs;

            """
    }
}
