# SignalBox: a connection string, and the URLs and tokens an SDK makes of it (service reference §2, §3).
# SPDX-License-Identifier: Apache-2.0

import re
import time
import uuid
from urllib.parse import quote, urlsplit

import jwt

# Claims that a client token may have only once; a user's claim of such a name travels as asrs.u.X (§3.1).
RESERVED = {"aud", "exp", "iat", "nbf", "iss", "actort", "acr", "azp", "c_hash", "jti", "nonce"}
# What an SDK leaves out when it makes the hub's user of a token's claims (§3.1).
SYSTEM = {"aud", "exp", "iat", "nbf"}


class BadConnectionString(ValueError):
    pass


class Endpoint:
    """Where a service is. A token's audience never has a port; URLs have it."""

    def __init__(self, connection_string: str):
        fields = parse(connection_string)
        self.key = fields["accesskey"]
        endpoint = address("endpoint", fields["endpoint"])
        self.audience_base = f"{endpoint.scheme}://{endpoint.hostname}/"
        port = fields.get("port", "")
        if port and not (port.isdigit() and 1 <= int(port) <= 65535):
            raise BadConnectionString("port")
        with_port = f"{endpoint.scheme}://{endpoint.hostname}:{port}" if port else fields["endpoint"].rstrip("/")
        self.server_base = self._own(fields, "serverendpoint", with_port)
        self.client_base = self._own(fields, "clientendpoint", with_port)

    @staticmethod
    def _own(fields: dict[str, str], name: str, otherwise: str) -> str:
        if name not in fields:
            return otherwise + "/"
        address(name, fields[name])
        return fields[name].rstrip("/") + "/"

    def server_url(self, hub: str) -> str:
        return f"{self.server_base}server/?hub={hub}"

    def server_token(self, hub: str, server: str, **details) -> str:
        """`server` is the name of the app server's process: machine_32hex."""
        return self.token(f"server/?hub={hub}", {"nameid": server}, **details)

    def classic_server_url(self, hub: str) -> str:
        return f"{self.server_base}aspnetserver/?hub={hub}"

    def classic_server_token(self, hub: str, server: str, **details) -> str:
        return self.token(f"aspnetserver/?hub={hub}", {"nameid": server}, **details)

    def classic_client_url(self, query="") -> str:
        return f"{self.client_base}aspnetclient" + (f"?{query}" if query else "")

    def classic_client_token(self, application: str, claims: list[tuple[str, object]], **details) -> str:
        """Its audience names no hub (§18.2)."""
        return self.token("aspnetclient", joined([("asrs.s.apn", application), ("asrs.s.vn", "1.30.3"), *claims]), **details)

    def client_url(self, hub: str, path="", query="", request_id: str | None = None) -> str:
        """Where a client of the app goes, that asked at `path` (§2)."""
        url = f"{self.client_base}client/?hub={hub}"
        if path:
            url += f"&asrs.op={quote(path, safe='')}"
        if query.lstrip("?"):
            url += f"&{query.lstrip('?')}"
        return url if request_id is None else f"{url}&asrs_request_id={quote(request_id, safe='')}"

    def client_token(self, hub: str, claims: list[tuple[str, object]], **details) -> str:
        return self.token(f"client/?hub={hub}", joined(claims), **details)

    def token(self, path: str, claims: dict, key: str | None = None, algorithm="HS256", lifetime=3600) -> str:
        now = int(time.time())
        payload = claims | {"nbf": now, "exp": now + lifetime, "iat": now, "aud": self.audience_base + path}
        # The key's id is the hash of the key in the process that signs: another one in every process (§3).
        return jwt.encode(payload, key or self.key, algorithm, headers={"kid": str(uuid.uuid4().int & 0x7FFFFFFF)})


def parse(connection_string: str) -> dict[str, str]:
    fields = {}
    for part in filter(None, connection_string.split(";")):
        name, separator, value = part.partition("=")
        if not separator or name.lower() in fields:
            raise BadConnectionString(part)
        fields[name.strip().lower()] = value.strip()
    if not {"endpoint", "accesskey"} <= fields.keys():
        raise BadConnectionString("missing required properties")
    if "version" in fields and not re.fullmatch(r"1\.\d+(-\w+)?", fields["version"]):
        raise BadConnectionString("version")
    return fields


def address(name: str, text: str):
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise BadConnectionString(f"{name} is not a URI")
    return parts


def hub_name(hub: str, application: str | None = None) -> str:
    return (f"{application}_{hub}" if application else hub).lower()


def user_claims(claims: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """A user's claims as they go into a client token."""
    out, has_subject = [], False
    for name, value in claims:
        collides = name in RESERVED or (name == "sub" and has_subject)
        has_subject = has_subject or name == "sub"
        out.append((f"asrs.u.{name}" if collides else name, value))
    return out


def restored_claims(claims: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """The hub user's claims, from those of OpenConnection. None: the user is not authenticated."""
    kept = [(name, value) for name, value in claims if name not in SYSTEM and not name.startswith("asrs.s.")]
    return [(name.removeprefix("asrs.u."), value) for name, value in kept]


def joined(claims: list[tuple[str, object]]) -> dict:
    """A JSON object of claims: what comes several times is an array."""
    out: dict = {}
    for name, value in claims:
        if name in out:
            out[name] = [*out[name], value] if isinstance(out[name], list) else [out[name], value]
        else:
            out[name] = value
    return out
