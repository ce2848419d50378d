# SignalBox: a request of the REST API, signed for its path.
# SPDX-License-Identifier: Apache-2.0

import json

from harness.http import Answer, request
from harness.server import Server
from harness.tokens import bearer, rest_token


def call_rest(
    server: Server, method: str, path: str, body=None, query="", version="2022-06-01", kind="application/json", headers=None,
    **options
) -> Answer:
    """The body in bytes or as what JSON is made of; `query` is what follows the version, with its `&`."""
    signed = bearer(rest_token(server, path)) | ({"Content-Type": kind} if body is not None else {})
    body = json.dumps(body).encode() if isinstance(body, (dict, list)) else body
    return request(server, method, f"{path}?api-version={version}{query}", body, signed | (headers or {}), **options)


def rest_send(service: Server, hub: str, path="", body: bytes | dict = b"", query="") -> Answer:
    """A send to what `path` names below the hub."""
    return call_rest(service, "POST", f"/api/hubs/{hub}{path}/:send", body, query)
