// SignalBox: the pages that are built into the program
// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import Hummingbird
import NIOCore

/// A file of the program itself. Browsers ask every time whether it changed, since another version may run tomorrow.
struct WebFile: Sendable {
    private let type: String
    private let content: ByteBuffer
    private let tag: String
    private let extra: HTTPFields

    private init(_ type: String, _ content: [UInt8], _ extra: HTTPFields = [:]) {
        self.type = type
        self.extra = extra
        self.content = ByteBuffer(bytes: content)
        // FNV-1a: tells versions apart, which is all that a tag is for.
        let hash = content.reduce(UInt64(0xcbf2_9ce4_8422_2325)) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
        self.tag = "\"\(String(hash, radix: 16))\""
    }

    /// The browser module is always served; `/` is the playground where it is on.
    static func addRoutes(to router: Router<BasicRequestContext>, playground: Bool) {
        WebFile(javaScript, PackageResources.signalbox_js).serve("/signalbox.js", on: router)
        guard playground else {
            let text = """
                SignalBox, a SignalR service.
                Clients connect to /client/?hub=…, REST callers use /api/hubs/…, and /signalbox.js is the browser module.
                Start it with --playground to see a chat and a whiteboard here.

                """
            return WebFile("text/plain; charset=utf-8", Array(text.utf8)).serve("/", on: router)
        }
        WebFile(html, PackageResources.playground_html).serve("/", on: router)
        WebFile(css, PackageResources.signalbox_css).serve("/signalbox.css", on: router)
        WebFile(css, PackageResources.playground_css).serve("/playground.css", on: router)
        WebFile(javaScript, PackageResources.playground_js).serve("/playground.js", on: router)
    }

    /// The dashboard's page and modules, none of which holds a secret: the page asks for the admin key.
    static func addDashboard(to router: Router<BasicRequestContext>) {
        // A page with buttons that disconnect people must not be drawn inside another one, invisible below the pointer.
        let alone: HTTPFields = [.contentSecurityPolicy: "frame-ancestors 'none'", referrerPolicy: "no-referrer"]
        WebFile(html, PackageResources.dashboard_html, alone).serve("/", on: router)
        WebFile(css, PackageResources.signalbox_css).serve("/signalbox.css", on: router)
        WebFile(css, PackageResources.dashboard_css).serve("/dashboard.css", on: router)
        let modules: [(String, [UInt8])] = [
            ("signalbox", PackageResources.signalbox_js),
            ("dashboard", PackageResources.dashboard_js),
            ("dashboard-chart", PackageResources.dashboard_chart_js),
            ("dashboard-connection", PackageResources.dashboard_connection_js),
            ("dashboard-console", PackageResources.dashboard_console_js),
            ("dashboard-elements", PackageResources.dashboard_elements_js),
            ("dashboard-lists", PackageResources.dashboard_lists_js),
            ("dashboard-overview", PackageResources.dashboard_overview_js),
            ("dashboard-service", PackageResources.dashboard_service_js),
            ("dashboard-trace", PackageResources.dashboard_trace_js),
        ]
        for (name, content) in modules {
            WebFile(javaScript, content).serve(RouterPath("/\(name).js"), on: router)
        }
    }

    private static let html = "text/html; charset=utf-8"
    private static let css = "text/css; charset=utf-8"
    private static let javaScript = "text/javascript; charset=utf-8"
    private static let referrerPolicy = HTTPField.Name("Referrer-Policy")!

    private func serve(_ path: RouterPath, on router: Router<BasicRequestContext>) {
        for method in [HTTPRequest.Method.get, .head] {
            router.on(path, method: method) { request, _ in response(to: request) }
        }
    }

    private func response(to request: Request) -> Response {
        var headers: HTTPFields = [.eTag: tag, .cacheControl: "no-cache", .xContentTypeOptions: "nosniff"]
        if request.headers[values: .ifNoneMatch].contains(where: { $0 == "*" || $0.contains(tag) }) {
            return Response(status: .notModified, headers: headers)
        }
        headers[.contentType] = type
        headers.append(contentsOf: extra)
        return Response(status: .ok, headers: headers, body: .init(byteBuffer: content))
    }
}
