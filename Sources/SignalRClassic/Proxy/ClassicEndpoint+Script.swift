// SignalBox: the answers to requests for generated scripts
// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import NIOCore
import SignalR

extension ClassicEndpoint {
    func answer(_ script: HubScript, _ flavour: HubScript.Flavour, _ request: HubRequest) -> HubResponse {
        let text =
            self.options.enableJavaScriptProxies
            ? script.text(flavour, mount: flavour.mount(of: request.path)) : HubScript.disabled
        return HubResponse(.ok, headers: [.contentType: HubScript.contentType], body: ByteBuffer(string: text))
    }
}
