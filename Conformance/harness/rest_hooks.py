# SignalBox: what schemathesis cannot know of the REST API: how requests are signed, what filters and frames look like.
# SIGNALBOX_TEST_KEY holds the access key.
# SPDX-License-Identifier: Apache-2.0

import os
import time
from urllib.parse import urlsplit

import jwt
import msgpack
import schemathesis
from hypothesis import strategies

from harness.codec import JSON, MessagePack


@schemathesis.auth(refresh_interval=None)
class AccessKey:
    """A token for each path."""

    def get(self, case, context):
        url = urlsplit(case.as_transport_kwargs(base_url="http://localhost")["url"])
        payload = {"exp": int(time.time()) + 600, "aud": f"http://localhost{url.path}"}
        return jwt.encode(payload, os.environ["SIGNALBOX_TEST_KEY"], algorithm="HS256")

    def set(self, case, token, context):
        case.headers = case.headers or {}
        case.headers["Authorization"] = f"Bearer {token}"


def frames(target: str, arguments: list) -> bytes:
    message = {"type": 1, "target": target, "arguments": arguments}
    return msgpack.packb({codec.name: codec().encode(message) for codec in (JSON, MessagePack)})


values = strategies.one_of(strategies.text(max_size=9), strategies.integers(-9, 9), strategies.none())
schemathesis.openapi.media_type("application/octet-stream", strategies.builds(
    frames, strategies.text(min_size=1, max_size=9), strategies.lists(values, max_size=3)))

texts = strategies.text(max_size=9).map(lambda text: "'" + text.replace("'", "''") + "'")
conditions = strategies.one_of(
    texts.map(lambda text: f"userId eq {text}"), texts.map(lambda text: f"{text} in groups"),
    texts.map(lambda text: f"not startswith(connectionId, {text})"))
schemathesis.openapi.format("odata-filter", strategies.lists(conditions, min_size=1, max_size=3).map(" or ".join))
