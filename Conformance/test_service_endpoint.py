# SignalBox: the app server's URLs, tokens and claims against the tables of the vectors (service reference §2, §3).
# SPDX-License-Identifier: Apache-2.0

import jwt
import pytest

from harness.appserver.endpoint import BadConnectionString, Endpoint, hub_name, restored_claims, user_claims
from harness.vectors import VECTORS

KEY = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789ABCDEFGH"


def endpoint(url: str) -> Endpoint:
    return Endpoint(f"Endpoint={url};AccessKey={KEY};Version=1.0;")


@pytest.mark.parametrize("row", VECTORS["connectionStrings"]["valid"], ids=lambda row: row["s"])
def test_connection_strings(row):
    parsed = Endpoint(row["s"])
    for end in ("client", "server"):
        if f"{end}Endpoint" in row:
            assert getattr(parsed, f"{end}_base") == row[f"{end}Endpoint"] + "/"


@pytest.mark.parametrize("row", VECTORS["connectionStrings"]["invalid"], ids=lambda row: row["s"])
def test_wrong_connection_strings(row):
    with pytest.raises(BadConnectionString):
        Endpoint(row["s"])


@pytest.mark.parametrize("row", VECTORS["urls"]["server"], ids=lambda row: row["url"])
def test_server_urls(row):
    hub = hub_name(row["hub"], row["app"])
    made = endpoint(row["endpoint"])
    assert made.server_url(hub) == row["url"]
    token = jwt.decode(made.server_token(hub, "HOST_1"), options={"verify_signature": False})
    assert (token["aud"], token["nameid"]) == (row["audience"], "HOST_1")


@pytest.mark.parametrize("row", VECTORS["urls"]["client"], ids=lambda row: row["url"])
def test_client_urls(row):
    made = endpoint("https://myendpoint")
    assert made.client_url("testhub", row["path"], row["query"]) == row["url"]
    token = made.client_token("testhub", [])
    assert jwt.decode(token, KEY, ["HS256"], audience=row["audience"])


@pytest.mark.parametrize("row", VECTORS["negotiate"], ids=lambda row: (row.get("expectSuffix") or row["expect"]))
def test_redirects(row):
    made = endpoint(row.get("clientEndpointOf", "http://localhost"))
    path = row.get("path", "").rstrip("/").removesuffix("/negotiate")
    url = made.client_url(hub_name(row["hub"], row.get("app")), path, row.get("query", ""), row["requestId"])
    assert url.endswith(row.get("expectSuffix") or row["expect"])


def test_an_audience_has_no_port():
    """§23 trap 1."""
    made = Endpoint(f"Endpoint=http://localhost;Port=8888;AccessKey={KEY};Version=1.0;")
    assert made.client_url("chat") == "http://localhost:8888/client/?hub=chat"
    assert jwt.decode(made.client_token("chat", []), KEY, ["HS256"], audience="http://localhost/client/?hub=chat")


@pytest.mark.parametrize("row", [row for row in VECTORS["claims"] if "in" in row], ids=str)
def test_claims_that_collide(row):
    """§3.1: asrs.u.X, and back."""
    system = [("asrs.s.uid", row["userId"])] if "userId" in row else []
    written = system + user_claims([tuple(pair) for pair in row["in"]])
    assert written == [tuple(pair) for pair in row["jwt"]]
    assert restored_claims(written) == [tuple(pair) for pair in row["in"]]


@pytest.mark.parametrize("row", [row for row in VECTORS["claims"] if "openClaims" in row], ids=str)
def test_a_user_without_claims_is_nobody(row):
    assert bool(restored_claims([tuple(pair) for pair in row["openClaims"]])) == row["authenticated"]
