# SignalBox: access-key tokens as the service's users make them, with a library that is not ours.
# SPDX-License-Identifier: Apache-2.0

import time

import jwt

from harness.server import Server


def sign(server: Server, audience: str, key: str | None = None, algorithm="HS256", lifetime=3600, **claims) -> str:
    now = int(time.time())
    payload = {"nbf": now - 1, "iat": now, "exp": now + lifetime, "aud": audience} | claims
    return jwt.encode(payload, key or server.access_key, algorithm=algorithm)


def client_token(server: Server, hub: str = "chat", user: str | None = None, **claims) -> str:
    identity = {"nameid": user} if user is not None else {}
    return sign(server, f"{server.url}/client/?hub={hub}", **(identity | claims))


def rest_token(server: Server, path: str, **claims) -> str:
    return sign(server, f"{server.url}{path}", **claims)


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}
