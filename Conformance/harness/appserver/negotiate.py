# SignalBox: the app's own endpoint: it sends clients on to the service (service reference §3.2).
# SPDX-License-Identifier: Apache-2.0

import json
import threading
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlencode, urlsplit

from harness.appserver.app import AppServer
from harness.appserver.endpoint import user_claims

# The SDK refuses to make longer ones, and the app answers 413 (§3).
LONGEST_TOKEN = 4096


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    app: AppServer
    stickiness: str | None

    def do_GET(self):
        """A classic app: it answers negotiate with a redirect (§18.1)."""
        parts = urlsplit(self.path)
        if not parts.path.endswith("/negotiate"):
            self._answer(404)
            return
        asked = dict(parse_qsl(parts.query))
        version = tuple(int(part) for part in asked.get("clientProtocol", "1.2").split("."))
        kept = {name: value for name, value in asked.items()
                if name not in ("clientProtocol", "connectionToken", "connectionData")}
        query = urlencode(kept | {"asrs_request_id": uuid.uuid4().hex, "asrs.op": parts.path.removesuffix("/negotiate")})
        claims = user_claims([("nameid", asked["user"])]) if "user" in asked else []
        token = self.app.endpoint.classic_client_token(self.app.application, claims)
        url = self.app.endpoint.classic_client_url(query if version >= (2, 1) else "")
        self._answer(200, json.dumps(
            {"ProtocolVersion": "2.0", "RedirectUrl": url, "AccessToken": token, "TryWebSockets": True}).encode())

    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = urlsplit(self.path)
        path = parts.path.rstrip("/")
        if not path.endswith("/negotiate"):
            self._answer(404)
        elif not self.app.is_connected:
            self._answer(500, b"Azure SignalR Service is not connected yet, please try again later.")
        else:
            self._redirect(path.removesuffix("/negotiate"), parts.query)

    def _redirect(self, path: str, query: str):
        asked = dict(parse_qsl(query))
        claims = [("asrs.s.uid", asked["user"])] if "user" in asked else []
        if self.stickiness:
            claims += [("asrs.s.sn", self.app.name), ("asrs.s.ssticky", self.stickiness)]
        if "user" in asked:
            claims += user_claims([("nameid", asked["user"]), ("unique_name", asked["user"])])
        claims += user_claims([("role", role) for role in asked.get("roles", "").split(",") if role])
        token = self.app.endpoint.client_token(self.app.hub, claims)
        if len(token) > LONGEST_TOKEN:
            self._answer(413)
            return
        request_id = uuid.uuid4().hex
        url = self.app.endpoint.client_url(self.app.hub, path, query, request_id)
        self._answer(200, json.dumps({"url": url, "accessToken": token, "availableTransports": []}).encode())

    def _answer(self, status: int, body: bytes = b""):
        self.send_response(status)
        self.send_header("Content-Type", "application/json" if status == 200 else "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True
    # As many may knock at once as a test has clients.
    request_queue_size = 1024


def serve(app: AppServer, port: int, stickiness: str | None) -> int:
    """Answers in threads of its own, for as long as the process lives; gives the port."""
    handler = type("AppHandler", (Handler,), {"app": app, "stickiness": stickiness})
    server = Server(("127.0.0.1", port), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_address[1]
