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

    private init(_ type: String, _ content: [UInt8]) {
        self.type = type
        self.content = ByteBuffer(bytes: content)
        // FNV-1a: tells versions apart, which is all that a tag is for.
        let hash = content.reduce(UInt64(0xcbf2_9ce4_8422_2325)) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
        self.tag = "\"\(String(hash, radix: 16))\""
    }

    /// The browser module is always served; `/` is the playground where it is on.
    static func addRoutes(to router: Router<BasicRequestContext>, playground: Bool) {
        WebFile("text/javascript; charset=utf-8", PackageResources.signalbox_js).serve("/signalbox.js", on: router)
        guard playground else {
            let text = """
                SignalBox, a SignalR service.
                Clients connect to /client/?hub=…, REST callers use /api/hubs/…, and /signalbox.js is the browser module.
                Start it with --playground to see a chat and a whiteboard here.

                """
            return WebFile("text/plain; charset=utf-8", Array(text.utf8)).serve("/", on: router)
        }
        WebFile("text/html; charset=utf-8", PackageResources.playground_html).serve("/", on: router)
        WebFile("text/css; charset=utf-8", PackageResources.playground_css).serve("/playground.css", on: router)
        WebFile("text/javascript; charset=utf-8", PackageResources.playground_js).serve("/playground.js", on: router)
    }

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
        return Response(status: .ok, headers: headers, body: .init(byteBuffer: content))
    }
}
