# SignalBox: a client that asks the app where to go, and goes there (service reference §3.2).
# SPDX-License-Identifier: Apache-2.0

import json
from urllib.parse import urlsplit

from harness.appserver.process import AppProcess
from harness.codec import JSON
from harness.http import request
from harness.hub import Hub
from harness.server import Server
from harness.tokens import bearer
from harness.transports import WebSocketTransport


def redirect(app: AppProcess, query="", path="/chat") -> tuple[str, str]:
    """The URL and the token that the app gives to a client."""
    answer = request(app, "POST", f"{path}/negotiate{'?' if query else ''}{query}")
    assert answer.status == 200, answer
    given = json.loads(answer.body)
    assert given.keys() == {"url", "accessToken", "availableTransports"}
    return given["url"], given["accessToken"]


def enter(app: AppProcess, service: Server, query="", transport=WebSocketTransport, codec=JSON, headers=None) -> Hub:
    """A client of the app, connected by way of the service."""
    url, token = redirect(app, query)
    parts = urlsplit(url)
    assert parts.port == service.port
    return Hub(service, f"{parts.path}?{parts.query}", transport, codec, bearer(token) | (headers or {}))
